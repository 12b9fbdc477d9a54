//! One connection, from its first frame to its close.

mod answer;
mod catch_up;
mod patience;
mod talk;
mod wire;

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use jiff::Timestamp;

use super::Relay;
use super::buffer::Waiting;
use super::place::Place;
use super::position::Position;
use super::protocol::{Complaint, Encoded, Status};
use super::seat::{Attached, Seat};
use crate::auth::Claims;
use crate::model::{Category, Stream};
use crate::store::StoreError;
use crate::telemetry::{ConnectionClosed, ConnectionOpened, StoreFailed};
use patience::Patience;
use talk::Said;
use wire::Wire;

/// Frames written before the socket is flushed.
const BATCH: usize = 64;

/// How long an expired token may be replaced.
const GRACE: std::time::Duration = std::time::Duration::from_secs(30);

/// Why a connection ends. Each has its close code and a word for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client closed, or is gone.
    Left,
    /// It read more slowly than it was written to.
    Slow,
    Idle,
    /// Too many frames that were not taken.
    Abuse,
    TooLarge,
    /// Whom the place is not open to any more.
    Outside,
    Expired,
    /// The store could not answer at the beginning.
    Failed,
    Closing,
}

/// What a connection knows of itself.
pub struct Session {
    relay: Arc<Relay>,
    /// Leaves the streams, and the seat, when it is dropped.
    attached: Attached,
    waiting: Waiting,
    place: Place,
    /// Who is connected.
    claims: Claims,
    /// Never empty.
    reading: Vec<Reading>,
    /// Empty: everything.
    types: Vec<Category>,
    patience: Patience,
    heard_at: Timestamp,
    ping_at: Timestamp,
    /// The client was told that its token expired.
    warned: bool,
    /// Messages of ours whose frames are still to come.
    said: Vec<Said>,
}

/// How far a connection has read one of its streams.
struct Reading {
    stream: Stream,
    position: Position,
    /// The last `seq` on the wire: `prev` of a narrowed connection.
    last: u64,
}

impl Session {
    /// Attaches to the place's streams at once: nothing committed from now on is missed.
    pub fn new(relay: Arc<Relay>, seat: Seat, place: Place, claims: Claims) -> Self {
        let streams = place.streams();
        let reading = |stream| Reading { stream, position: Position::at(0), last: 0 };
        let reading = streams.iter().cloned().map(reading).collect();
        let (attached, waiting) = seat.attach(streams);
        let now = relay.clock.now();
        let patience = Patience::new(relay.limits.frames_per_second, relay.clock.clone());
        let ping_at = relay.clock.after(relay.limits.ping_interval.0);
        Self {
            relay,
            attached,
            waiting,
            place,
            claims,
            reading,
            types: Vec::new(),
            patience,
            heard_at: now,
            ping_at,
            warned: false,
            said: Vec::new(),
        }
    }

    /// Reads where the streams stand; the first frame tells the client.
    async fn status(&mut self) -> Result<axum::extract::ws::Utf8Bytes, StoreError> {
        let store = self.relay.store.clone();
        let mut topics = serde_json::Map::new();
        for reading in &mut self.reading {
            let head = store.stream_head(&reading.stream).await?;
            reading.start_at(head);
            if let Stream::Topic(topic) = &reading.stream {
                topics.insert(topic.to_string(), head.into());
            }
        }
        if topics.len() < 2 {
            topics.clear();
        }
        let unread_count = match self.place.inbox() {
            Some(user) => store.unread(user).await?,
            None => 0,
        };
        let seq = self.reading.first().map_or(0, |reading| reading.position.sent());
        let last_sync = self.relay.clock.now();
        let status = Status { unread_count, last_sync, epoch: &self.relay.epoch, seq, topics };
        Ok(status.encode())
    }

    /// Tells a room where members speak that one of them has come, or gone with the last of their
    /// connections.
    fn appear(&self, on: bool) {
        let Place::Room { name, publish: true, .. } = &self.place else { return };
        let (stream, user) = (Stream::Room(name.clone()), &self.claims.sub);
        let hub = &self.relay.hub;
        if hub.is_there(&stream, user, self.attached.id()) {
            return;
        }
        let data = serde_json::json!({ "room": name, "user_id": user.to_json(), "on": on });
        let text = serde_json::json!({ "type": "presence", "data": data }).to_string();
        hub.whisper(&stream, text.into(), self.attached.id());
    }

    /// The next moment at which something is to be done about time.
    fn next_alarm(&self) -> Timestamp {
        let idle_at = after(self.heard_at, self.relay.limits.idle_timeout.0);
        let expiry = self.claims.expires_at;
        let token_at = if self.warned { after(expiry, GRACE) } else { expiry };
        idle_at.min(token_at).min(self.ping_at)
    }

    /// What the time asks for: nothing, a frame, or the end.
    fn alarm(&mut self) -> Result<Option<Message>, End> {
        let now = self.relay.clock.now();
        if now >= after(self.heard_at, self.relay.limits.idle_timeout.0) {
            return Err(End::Idle);
        }
        if now >= self.claims.expires_at && !self.warned {
            self.warned = true;
            // A token taken within the leeway may be past its end already: the grace is from now.
            self.claims.expires_at = now;
            let message = "the token has expired: send `authenticate` with a fresh one";
            let complaint = Complaint { code: "NOTIF_008", message: message.into() };
            return Ok(Some(Message::Text(complaint.encode(None))));
        }
        if self.warned && now >= after(self.claims.expires_at, GRACE) {
            return Err(End::Expired);
        }
        if now >= self.ping_at {
            self.ping_at = after(now, self.relay.limits.ping_interval.0);
            return Ok(Some(Message::Ping(axum::body::Bytes::new())));
        }
        Ok(None)
    }
}

/// Serves the connection to its end.
pub async fn run(mut session: Session, socket: WebSocket) {
    ConnectionOpened.emit();
    let relay = session.relay.clone();
    let overflowed = session.waiting.overflowed().clone();
    let mut wire = Wire::new(socket, overflowed, relay.clock.clone(), relay.limits.idle_timeout.0);
    let end = match serve(&mut session, &mut wire).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    wire.close(end).await;
    session.appear(false);
    // Now, not before: a socket that is still open counts, and a restart waits for the farewells.
    drop(session);
    ConnectionClosed { reason: end.word(), code: end.code() }.emit();
}

async fn serve(session: &mut Session, wire: &mut Wire) -> Result<std::convert::Infallible, End> {
    let relay = session.relay.clone();
    let status = session.status().await.map_err(failed)?;
    wire.send(Message::Text(status)).await?;
    session.appear(true);
    let overflowed = session.waiting.overflowed().clone();
    let closed = relay.hub.closed();
    tokio::pin!(closed);
    let mut alarm_at = session.next_alarm();
    let mut alarm = sleep(&relay, alarm_at);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            () = overflowed.cancelled() => return Err(End::Slow),
            () = &mut closed => return Err(End::Closing),
            () = &mut alarm => {
                if let Some(message) = session.alarm()? {
                    wire.send(message).await?;
                }
                alarm_at = session.next_alarm();
                alarm = sleep(&relay, alarm_at);
            }
            message = wire.receive() => {
                session.heard_at = relay.clock.now();
                answer::answer(session, wire, message?).await?;
                // A fresh token, or a shorter wait: anything later is seen when the alarm rings.
                if session.next_alarm() < alarm_at {
                    alarm_at = session.next_alarm();
                    alarm = sleep(&relay, alarm_at);
                }
            }
            more = session.waiting.take(&mut batch, BATCH) => {
                if !more {
                    return Err(End::Slow);
                }
                for frame in batch.drain(..) {
                    catch_up::live(session, wire, &frame).await?;
                }
                wire.flush().await?;
            }
        }
    }
}

fn sleep(relay: &Arc<Relay>, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let clock = relay.clock.clone();
    Box::pin(async move { clock.sleep_until(until).await })
}

fn after(at: Timestamp, wait: std::time::Duration) -> Timestamp {
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

fn failed(error: StoreError) -> End {
    StoreFailed { stage: "relay", error: &error }.emit();
    End::Failed
}

impl Session {
    /// Puts a frame on the wire, unless the client asked not to get its kind.
    async fn put(&mut self, wire: &mut Wire, frame: &Encoded) -> Result<(), End> {
        if !self.wants(frame) {
            return Ok(());
        }
        let several = self.reading.len() > 1;
        let narrowed = !self.types.is_empty();
        let Some(reading) = self.reading.iter_mut().find(|one| one.stream == frame.stream) else {
            return Ok(());
        };
        let own = self.said.iter().position(|said| Some(said.id) == frame.said);
        let text = match own.map(|place| self.said.swap_remove(place)) {
            Some(said) => frame.answering(&said.reference),
            None if several => frame.of_topic(),
            None if narrowed => frame.after(reading.last),
            None => frame.text.clone(),
        };
        reading.last = frame.seq.unwrap_or(reading.last);
        wire.feed(Message::Text(text)).await
    }

    fn wants(&self, frame: &Encoded) -> bool {
        let Some(category) = &frame.category else { return true };
        let same = |asked: &Category| asked.as_str().eq_ignore_ascii_case(category.as_str());
        self.types.is_empty() || self.types.iter().any(same)
    }
}

impl Reading {
    /// What comes after `head` is new.
    fn start_at(&mut self, head: u64) {
        self.position = Position::at(head);
        self.last = head;
    }
}

impl End {
    pub fn code(self) -> u16 {
        match self {
            Self::Left => 1000,
            Self::Slow => 4008,
            Self::Idle => 1001,
            Self::Abuse | Self::Outside => 1008,
            Self::TooLarge => 1009,
            Self::Expired => 4401,
            Self::Failed => 1011,
            Self::Closing => 1012,
        }
    }

    /// For metrics: one of a closed set.
    fn word(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Slow => "slow",
            Self::Idle => "idle",
            Self::Abuse => "abuse",
            Self::TooLarge => "too_large",
            Self::Outside => "outside",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Closing => "closing",
        }
    }

    /// For the client.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Slow => "slow reader: resume later",
            Self::Idle => "idle",
            Self::Abuse => "too many frames that were not taken",
            Self::TooLarge => "frame too large",
            Self::Outside => "this is not open to you any more",
            Self::Expired => "token expired",
            Self::Failed => "the store cannot answer now",
            Self::Closing => "restarting",
        }
    }
}

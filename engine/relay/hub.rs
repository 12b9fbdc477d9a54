use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::beyond::Beyond;
use super::line::{Line, Reader};
use super::lines::Lines;
use super::protocol::Encoded;
use super::seat::{Full, Seat, Seats};
use super::word::Word;
use crate::channel::Publish;
use crate::clock::Clock;
use crate::config;
use crate::model::{Frame, Presence, Stream, UserId};

/// Users whose last connection's end is remembered; the longest unseen are forgotten first.
const REMEMBERED_USERS: usize = 100_000;

/// How long after the last connection was told to close the process waits for it.
const CLOSING: Duration = Duration::from_secs(5);

/// Who is connected, and the way to them.
pub struct Hub {
    pub(super) lines: Lines,
    /// The other nodes, once they are followed.
    pub(super) beyond: OnceLock<Arc<Beyond>>,
    readers: AtomicU64,
    seats: Mutex<Seats>,
    last_seen: Cache<UserId, Timestamp>,
    closing: CancellationToken,
    /// Over how long connections are closed.
    spread: Mutex<Duration>,
    vacated: Notify,
    clock: Clock,
    limits: config::Relay,
}

impl Hub {
    pub fn new(limits: &config::Relay, clock: Clock) -> Self {
        Self {
            lines: Lines::new(),
            beyond: OnceLock::new(),
            readers: AtomicU64::new(0),
            seats: Mutex::default(),
            last_seen: Cache::new(REMEMBERED_USERS),
            closing: CancellationToken::new(),
            spread: Mutex::default(),
            vacated: Notify::new(),
            clock,
            limits: limits.clone(),
        }
    }

    /// Takes a seat for `user` within the limits, which are this node's.
    pub(super) fn sit(
        self: &Arc<Self>,
        user: &UserId,
        address: Option<IpAddr>,
    ) -> Result<Seat, Full> {
        if self.closing.is_cancelled() {
            return Err(Full::Closing);
        }
        self.seats().take(user, address, &self.limits)?;
        Ok(Seat::new(self.clone(), user.clone(), address))
    }

    pub(super) fn vacate(&self, user: &UserId, address: Option<IpAddr>) {
        self.seats().give_back(user, address);
        self.vacated.notify_waiters();
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.seats().all()
    }

    /// Lets nobody in any more and closes every connection with 1012, at moments spread over
    /// `spread`. Returns when all are gone, or five seconds after the last was told to go.
    pub async fn close(&self, spread: Duration) {
        *self.spread.lock().unwrap_or_else(PoisonError::into_inner) = spread;
        self.closing.cancel();
        let late = self.clock.sleep(spread + CLOSING);
        tokio::pin!(late);
        loop {
            let vacated = self.vacated.notified();
            if self.connections() == 0 {
                return;
            }
            tokio::select! {
                () = vacated => {}
                () = &mut late => return,
            }
        }
    }

    /// Resolves when this connection is to close.
    pub(super) async fn closed(&self) {
        self.closing.cancelled().await;
        let spread = *self.spread.lock().unwrap_or_else(PoisonError::into_inner);
        let most = i64::try_from(spread.as_millis()).unwrap_or(i64::MAX);
        let wait = self.clock.random_between(0, most);
        self.clock.sleep(Duration::from_millis(wait.unsigned_abs())).await;
    }

    /// Hands a frame that is kept nowhere to a stream's connections on all nodes, `except` one.
    pub(super) fn whisper(&self, stream: &Stream, text: Utf8Bytes, except: u64) {
        if let Some(beyond) = self.beyond.get() {
            beyond.say(|| Word::whisper(stream, &text));
        }
        let encoded = Arc::new(Encoded::whisper(stream, text));
        self.lines.with(stream, |line| line.hand(&encoded, Some(except)));
    }

    /// Whether `user` has another connection to the stream than `except`, on any node.
    pub(super) fn is_there(&self, stream: &Stream, user: &UserId, except: u64) -> bool {
        self.lines.with(stream, |line| line.has(user, Some(except))).unwrap_or_default()
            || self.beyond.get().is_some_and(|beyond| beyond.roster.has(stream, user))
    }

    pub(super) fn limits(&self) -> &config::Relay {
        &self.limits
    }

    pub(super) fn next_reader(&self) -> u64 {
        self.readers.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn attach(&self, streams: &[Stream], reader: &Reader) {
        self.lines.attach(streams, reader, |stream| self.tell(stream, &reader.user, true));
    }

    pub(super) fn detach(&self, streams: &[Stream], id: u64, user: &UserId, own: bool) {
        self.lines.detach(streams, id, user, |stream| self.tell(stream, user, false));
        if own {
            self.saw(user);
        }
    }

    /// The user's last connection ended just now, here or elsewhere.
    pub(super) fn saw(&self, user: &UserId) {
        self.last_seen.insert(user.clone(), self.clock.now());
    }

    /// Hands a frame out here, unless others come before it: then it is fetched with them.
    pub(super) fn hand(&self, stream: &Stream, line: &Line, encoded: &Arc<Encoded>) {
        match (self.beyond.get(), encoded.seq) {
            (Some(beyond), Some(seq)) if line.lacks_before(seq) => beyond.fall_behind(stream),
            _ => line.hand(encoded, None),
        }
    }

    pub(super) fn knock_here(&self, stream: &Stream, user: &UserId) {
        let knock = Arc::new(Encoded::knock(stream));
        self.lines.with(stream, |line| line.hand_to(user, &knock));
    }

    /// Tells the other nodes that a user came, or is gone.
    fn tell(&self, stream: &Stream, user: &UserId, on: bool) {
        let Some(beyond) = self.beyond.get() else { return };
        if Word::is_of_interest(stream, user) {
            let (name, user) = (stream.name(), user.clone());
            beyond.say(|| Word::Here { stream: name, user, on }.line());
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publish for Hub {
    fn publish(&self, frames: &[Frame]) {
        let beyond = self.beyond.get().filter(|_| !frames.is_empty());
        let beyond = beyond.filter(|beyond| beyond.is_open());
        if self.lines.is_empty() && beyond.is_none() {
            return;
        }
        for frame in frames {
            // Encoded once, by whichever of the two needs it first.
            let encoded = match beyond {
                Some(_) => Encoded::of(frame).map(Arc::new),
                None => None,
            };
            if let (Some(beyond), Some(encoded)) = (beyond, &encoded) {
                beyond.say(|| Word::frame(encoded));
            }
            self.lines.with(&frame.stream, |line| {
                let encoded = encoded.or_else(|| Encoded::of(frame).map(Arc::new));
                if let Some(encoded) = encoded {
                    self.hand(&frame.stream, line, &encoded);
                }
            });
        }
    }

    fn presence(&self, user: &UserId) -> Presence {
        let stream = Stream::User(user.clone());
        let here =
            !self.lines.is_empty() && self.lines.with(&stream, Line::has_owner).unwrap_or_default();
        if here || self.beyond.get().is_some_and(|beyond| beyond.roster.has(&stream, user)) {
            return Presence { online: true, last_seen: Some(self.clock.now()) };
        }
        let last_seen = if self.last_seen.is_empty() { None } else { self.last_seen.get(user) };
        Presence { online: false, last_seen }
    }

    fn knock(&self, stream: &Stream, user: &UserId) {
        if let Some(beyond) = self.beyond.get() {
            beyond.say(|| Word::Knock { stream: stream.name(), user: user.clone() }.line());
        }
        self.knock_here(stream, user);
    }
}

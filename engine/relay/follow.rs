//! What other nodes publish, brought to the connections of this one.
//!
//! The bus is fast and loses; the store is the truth. What comes by the bus is handed on if it is
//! the next of its stream; else, and whenever something may have been lost, the streams that are
//! read here are compared with the store, and what is missing is fetched: once for all readers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::beyond::Beyond;
use super::hub::Hub;
use super::line::Line;
use super::protocol::Encoded;
use super::word::Word;
use crate::clock::Clock;
use crate::model::Stream;
use crate::shared::{Heard, Listener, Shared};
use crate::store::{Replay, Store, StoreError};
use crate::telemetry::{FramesFetched, StoreFailed};

/// How often all streams are compared with the store: while the others are heard, and while not.
const ALONE: Duration = Duration::from_secs(1);
const HEARING: Duration = Duration::from_secs(15);

/// A comparison that took long is followed by so many times as long a rest.
const REST: u32 = 10;

/// While the others are not heard: how often connections to rooms are asked whether they may still
/// be there.
const KNOCK: Duration = Duration::from_secs(30);

/// How often others may bring the next comparison forward, and how long one may take for that.
const HURRIES: u32 = 16;
const HURRIED: Duration = Duration::from_millis(100);

/// Streams compared at once.
const PAGE: usize = 1000;

/// Frames of one stream fetched at once; who missed more is told to load the list again.
const MOST: usize = 1000;

/// The bus's channel.
const CHANNEL: &str = "relay";

/// The following of other nodes; ends when it is dropped.
pub struct Following {
    _tasks: JoinSet<()>,
}

/// When what is done next.
struct Turn {
    at: Timestamp,
    knock_at: Timestamp,
    /// How often what is asked for may still be done before that.
    hurries: u32,
}

struct Follower {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    beyond: Arc<Beyond>,
    clock: Clock,
}

impl Hub {
    /// From here on, connections get what is published on any node over the same `store`: at once
    /// through `shared`, else within about a second. Called once; later calls do nothing. Must be
    /// called within a runtime.
    pub fn follow(
        self: &Arc<Self>,
        store: Arc<dyn Store>,
        shared: &Shared,
        clock: &Clock,
    ) -> Following {
        let mut tasks = JoinSet::new();
        let node: Uuid = clock.id();
        let (sender, listener) = shared.bus(CHANNEL, &node.simple().to_string()).unzip();
        let beyond = Arc::new(Beyond::new(sender));
        if self.beyond.set(beyond.clone()).is_err() {
            return Following { _tasks: tasks };
        }
        let follower = || Follower {
            hub: self.clone(),
            store: store.clone(),
            beyond: beyond.clone(),
            clock: clock.clone(),
        };
        tasks.spawn(follower().keep_up());
        if let Some(listener) = listener {
            tasks.spawn(follower().listen(listener));
        }
        Following { _tasks: tasks }
    }
}

impl Follower {
    async fn listen(self, mut listener: Listener) {
        let beyond = &self.beyond;
        while let Some(heard) = listener.next().await {
            match heard {
                Heard::Began => {
                    beyond.hearing.store(true, Ordering::SeqCst);
                    beyond.raise(&beyond.unsure);
                    beyond.raise(&beyond.asked);
                    beyond.raise(&beyond.late);
                }
                Heard::Ended => {
                    beyond.hearing.store(false, Ordering::SeqCst);
                    beyond.roster.clear();
                    beyond.raise(&beyond.late);
                }
                Heard::Said { node, missed, lines } => {
                    if !node.is_empty() && beyond.roster.hear(&node, self.clock.now()) {
                        // What was said while nobody was known, nobody heard.
                        beyond.miss();
                        beyond.raise(&beyond.asked);
                    }
                    if missed {
                        beyond.raise(&beyond.unsure);
                        beyond.raise(&beyond.late);
                    }
                    lines.lines().for_each(|line| self.hear(&node, line));
                }
            }
        }
    }

    fn hear(&self, node: &str, line: &str) {
        let (hub, roster) = (&self.hub, &self.beyond.roster);
        // What a later version says and this one does not know needs no answer.
        let Some((word, text)) = Word::read(line) else { return };
        match word {
            Word::Frame { stream, seq, category } => {
                let Some(stream) = Stream::named(&stream) else { return };
                hub.lines.with(&stream, |line| {
                    let (stream, seq) = (stream.clone(), Some(seq));
                    let frame = Encoded { stream, seq, category, said: None, text: text.into() };
                    hub.hand(&frame.stream.clone(), line, &Arc::new(frame));
                });
            }
            Word::Whisper { stream } => {
                let Some(stream) = Stream::named(&stream) else { return };
                let frame = Arc::new(Encoded::whisper(&stream, text.into()));
                hub.lines.with(&stream, |line| line.hand(&frame, None));
            }
            Word::Knock { stream, user } => {
                let Some(stream) = Stream::named(&stream) else { return };
                hub.knock_here(&stream, &user);
            }
            Word::Here { stream, user, on } => {
                let Some(stream) = Stream::named(&stream) else { return };
                if !on && stream == Stream::User(user.clone()) {
                    hub.saw(&user);
                }
                roster.here(node, stream, user, on);
            }
            Word::Anew => roster.anew(node),
            Word::Who => self.beyond.raise(&self.beyond.asked),
        }
    }

    async fn keep_up(self) {
        let beyond = &self.beyond;
        let mut turn = Turn { at: self.clock.now(), knock_at: self.clock.now(), hurries: HURRIES };
        loop {
            tokio::select! {
                () = beyond.stir.notified() => {}
                () = self.clock.sleep_until(turn.at) => {}
            }
            self.fill(beyond.behind()).await;
            let due = self.clock.now() >= turn.at;
            if due {
                turn.hurries = HURRIES;
            }
            if !due && (!beyond.is_stirred() || turn.hurries == 0) {
                // What is asked for in a row waits for the next turn, which then comes soon.
                let soon = self.clock.after(ALONE);
                turn.at = if beyond.is_stirred() { turn.at.min(soon) } else { turn.at };
                continue;
            }
            turn.hurries = turn.hurries.saturating_sub(1);
            self.take(&mut turn, due).await;
        }
    }

    /// Does what the others asked for, and compares if that is due.
    async fn take(&self, turn: &mut Turn, due: bool) {
        let beyond = &self.beyond;
        if beyond.unsure.swap(false, Ordering::SeqCst) {
            beyond.call_out(Word::Who.line());
        }
        if beyond.asked.swap(false, Ordering::SeqCst) {
            self.answer();
        }
        let late = beyond.late.swap(false, Ordering::SeqCst);
        if !late && !due {
            return;
        }
        let began = self.clock.now();
        let hearing = beyond.hearing.load(Ordering::SeqCst);
        if late || (!hearing && began >= turn.knock_at) {
            self.knock_at_rooms();
            turn.knock_at = after(began, KNOCK);
        }
        beyond.roster.tidy(began);
        let compared = self.compare().await;
        let took = self.clock.now().duration_since(began).unsigned_abs();
        let pause = if hearing && compared { HEARING } else { ALONE };
        turn.at = self.clock.after(pause.max(took * REST));
        if took > HURRIED {
            turn.hurries = 0;
        }
    }

    /// Compares all streams that are read here with the store. `false`: it could not answer.
    async fn compare(&self) -> bool {
        let mut streams = Vec::new();
        self.hub.lines.each(|stream, line| streams.push((stream.clone(), line.told())), || {});
        for page in streams.chunks(PAGE) {
            let names: Vec<Stream> = page.iter().map(|(stream, _)| stream.clone()).collect();
            let heads = match self.store.stream_heads(&names).await {
                Ok(heads) => heads,
                Err(error) => return failed(&error),
            };
            for ((stream, told), head) in
                page.iter().zip(heads).filter(|((_, told), head)| head > told)
            {
                if *told == 0 {
                    // Each connection knows for itself whether it has all up to there.
                    self.mark(stream, head);
                } else if let Err(error) = self.fetch(stream, *told, head).await {
                    return failed(&error);
                }
            }
        }
        true
    }

    /// Fetches what is missing of some streams.
    async fn fill(&self, streams: Vec<Stream>) {
        for page in streams.chunks(PAGE) {
            let filled = async {
                for (stream, head) in page.iter().zip(self.store.stream_heads(page).await?) {
                    let told = self.hub.lines.with(stream, Line::told).unwrap_or(head);
                    if told < head {
                        self.fetch(stream, told, head).await?;
                    }
                }
                Ok(())
            };
            if let Err(error) = filled.await {
                // Their frames were held back: all is compared until it is known again.
                failed(&error);
                self.beyond.late.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Reads a stream's frames from `told` up to its `head`, once for all its readers.
    async fn fetch(&self, stream: &Stream, told: u64, head: u64) -> Result<(), StoreError> {
        if let Replay::Frames(frames) = self.store.stream_replay(stream, told, MOST).await? {
            FramesFetched { count: frames.len() as u64 }.emit();
            for encoded in frames.iter().filter_map(Encoded::of).map(Arc::new) {
                self.hub.lines.with(stream, |line| line.hand(&encoded, None));
            }
        }
        // What is gone is found missing by each connection, which says so to its client.
        self.mark(stream, head);
        Ok(())
    }

    fn mark(&self, stream: &Stream, head: u64) {
        let mark = Arc::new(Encoded::mark(stream, head));
        self.hub.lines.with(stream, |line| line.hand(&mark, None));
    }

    /// Asks all who are in rooms whether they may still be: a removal may not have come by.
    fn knock_at_rooms(&self) {
        let knock = |stream: &Stream, line: &Line| {
            if matches!(stream, Stream::Room(_)) {
                line.hand(&Arc::new(Encoded::knock(stream)), None);
            }
        };
        self.hub.lines.each(knock, || {});
    }

    /// Tells the others who is here. Said under the locks under which users come and go, so that
    /// nothing is told in the wrong order.
    fn answer(&self) {
        self.beyond.call_out(Word::Anew.line());
        let text = std::cell::RefCell::new(String::new());
        let each = |stream: &Stream, line: &Line| {
            for user in line.users().into_iter().filter(|user| Word::is_of_interest(stream, user)) {
                let word = Word::Here { stream: stream.name(), user: user.clone(), on: true };
                let mut text = text.borrow_mut();
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&word.line().unwrap_or_default());
            }
        };
        let rest = || {
            let said = text.take();
            self.beyond.call_out((!said.is_empty()).then_some(said));
        };
        self.hub.lines.each(each, rest);
    }
}

fn after(at: Timestamp, wait: Duration) -> Timestamp {
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

fn failed(error: &StoreError) -> bool {
    StoreFailed { stage: "relay", error }.emit();
    false
}

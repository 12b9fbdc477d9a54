//! What holds at the end of every story.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use nuncio::model::{
    AttemptOutcome, EventId, EventStatus, FrameBody, MessageId, MessageStatus, Run, RunId,
    RunStatus, Stream, UserId,
};
use nuncio::store::{
    Events, Frames, Inbox, MessageQuery, MessageRecord, Messages, Queue, Recovered, Replay,
    Timeline,
};

use super::client::{Post, USERS};
use super::files::WINDOW_SECONDS;
use super::log::{Leave, Noted};
use super::story::PUT_BACK;
use super::world::{PER_HOUR, QUEUES, World};

/// Claims that get nowhere are twenty at most, and the schedule has four attempts.
const MOST_DEPARTURES: usize = 24;

/// Everything that is otherwise than promised.
pub fn broken(world: &mut World) -> Vec<String> {
    let end = End::of(world);
    for decision in end.events.values().flat_map(|event| &event.decisions) {
        *world.tally.decided.entry(decision.code.to_string()).or_default() += 1;
    }
    let world = &*world;
    let mut found = Vec::new();
    end.nothing_is_left(world, &mut found);
    end.events_are_kept(&mut found);
    end.attempts_are_on_record(&mut found);
    end.arrivals_are_accounted_for(&mut found);
    end.what_was_taken_back_stays(&mut found);
    end.budgets_are_kept(&mut found);
    end.the_same_is_sent_once(&mut found);
    end.streams_have_no_gaps(world, &mut found);
    end.inboxes_are_right(world, &mut found);
    end.everything_collected_is_told_once(&mut found);
    found
}

struct End {
    posts: Vec<Post>,
    events: BTreeMap<EventId, Timeline>,
    runs: BTreeMap<RunId, Run>,
    messages: Vec<MessageRecord>,
    noted: Noted,
}

impl End {
    fn of(world: &World) -> Self {
        let timeline = |id: EventId| {
            let found = world.store.timeline(id.0).now_or_never()?.ok()??;
            Some((id, found))
        };
        let events: BTreeMap<_, _> =
            world.store.event_ids().into_iter().filter_map(timeline).collect();
        let runs = events.values().flat_map(|event| &event.runs);
        let query = MessageQuery { limit: usize::MAX, ..MessageQuery::default() };
        let messages = world.store.messages(&query).now_or_never().expect("memory");
        Self {
            posts: world.clients.posts(),
            runs: runs.map(|run| (run.id, run.clone())).collect(),
            events,
            messages: messages.expect("memory answers"),
            noted: std::mem::take(&mut world.log.noted()),
        }
    }

    fn nothing_is_left(&self, world: &World, found: &mut Vec<String>) {
        for queue in QUEUES {
            let next = world.store.next_due(queue).now_or_never().expect("memory");
            if let Some(next) = next.expect("memory answers") {
                found.push(format!("{queue:?} has something due at {next}"));
            }
        }
        let leases = world.store.recover(Timestamp::MAX, true, &|_, _| true).now_or_never();
        let leases = leases.expect("memory").expect("memory answers");
        if leases != Recovered::default() {
            found.push(format!("leases are left: {leases:?}"));
        }
        for (id, event) in &self.events {
            if event.status != EventStatus::Planned {
                found.push(format!("event {id} is {:?}", event.status));
            }
        }
        for (id, run) in &self.runs {
            if matches!(run.status, RunStatus::Waiting | RunStatus::Running) {
                found.push(format!("run {id} of {} is {:?}", run.workflow, run.status));
            }
        }
        for MessageRecord { message, .. } in &self.messages {
            if !message.status.is_final() {
                found.push(format!("message {} is {:?}", message.id, message.status));
            }
        }
    }

    /// What was answered is there, under the one id that its key has.
    fn events_are_kept(&self, found: &mut Vec<String>) {
        let mut keys: HashMap<&str, EventId> = HashMap::new();
        for (id, event) in &self.events {
            let key = event.event.idempotency_key.as_deref();
            if let Some(other) = key.and_then(|key| keys.insert(key, *id)) {
                found.push(format!("events {id} and {other} have one key"));
            }
        }
        for post in &self.posts {
            found.extend(post.complaint.iter().map(|complaint| format!("{post:?}: {complaint}")));
            let answered: BTreeSet<&EventId> = post.answers.iter().collect();
            if answered.len() > 1 && post.key.is_some() {
                found.push(format!("one key, several events: {post:?}"));
            }
            for id in answered.iter().filter(|id| !self.events.contains_key(id)) {
                found.push(format!("event {id} was accepted and is gone: {post:?}"));
            }
        }
    }

    /// Each departure has its line, numbered from 1, and one that is sent was accepted once.
    fn attempts_are_on_record(&self, found: &mut Vec<String>) {
        for MessageRecord { message, attempts } in &self.messages {
            let mut numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
            numbers.sort_unstable();
            if !numbers.iter().copied().eq(1..=message.attempt) {
                found.push(format!("attempts {numbers:?} of {message:?}"));
            }
            let left = self.noted.departures.get(&message.id).map_or(0, Vec::len);
            if !message.channel.is_in_app() && left != attempts.len() {
                found.push(format!("{left} departures, and attempts {numbers:?}: {message:?}"));
            }
            if left > MOST_DEPARTURES && !self.noted.retried.contains(&message.id) {
                found.push(format!("it left {left} times: {message:?}"));
            }
            let accepted = count(attempts, AttemptOutcome::Accepted);
            if (message.status == MessageStatus::Sent) != (accepted == 1) || accepted > 1 {
                found.push(format!("{accepted} attempts were accepted: {message:?}"));
            }
        }
    }

    /// Sent means arrived; arrived more than once is on record as unknown.
    fn arrivals_are_accounted_for(&self, found: &mut Vec<String>) {
        for MessageRecord { message, attempts } in &self.messages {
            if message.channel.is_in_app() {
                continue;
            }
            let arrivals = self.noted.arrivals.get(&message.id).map_or(&[][..], Vec::as_slice);
            let accepted = count(attempts, AttemptOutcome::Accepted);
            let unknown = count(attempts, AttemptOutcome::Unknown);
            if message.status == MessageStatus::Sent && arrivals.is_empty() {
                found.push(format!("sent, and never arrived: {message:?}"));
            }
            if arrivals.len() > accepted + unknown {
                found.push(format!(
                    "{} arrivals, {accepted} accepted, {unknown} unknown: {message:?}",
                    arrivals.len()
                ));
            }
            let by_hand = self.noted.retried.contains(&message.id);
            if message.channel.as_str() == "sms" && arrivals.len() > 1 && !by_hand {
                found.push(format!("sent again by itself: {message:?}"));
            }
            let keys: BTreeSet<&str> = arrivals.iter().map(|arrival| &*arrival.key).collect();
            let attempts: BTreeSet<u32> = arrivals.iter().map(|arrival| arrival.attempt).collect();
            if keys.len() > 1 || attempts.len() < arrivals.len() {
                found.push(format!("one message, one key, one arrival an attempt: {arrivals:?}"));
            }
        }
        let known: BTreeSet<MessageId> = self.messages.iter().map(|row| row.message.id).collect();
        for id in self.noted.arrivals.keys().filter(|id| !known.contains(id)) {
            found.push(format!("message {id} arrived, and is none"));
        }
    }

    /// Nothing departs after the answer that it would not.
    fn what_was_taken_back_stays(&self, found: &mut Vec<String>) {
        let mut late = |id: &MessageId, since: u64, why: &str| {
            let left = self.noted.departures.get(id).into_iter().flatten();
            if !self.noted.retried.contains(id) && left.clone().any(|leave| leave.moment > since) {
                found.push(format!("message {id} left after {since}, when {why}"));
            }
        };
        for (id, moment) in &self.noted.cancelled {
            late(id, *moment, "it was taken back");
        }
        for post in self.posts.iter().filter(|post| !post.takes_back.is_empty()) {
            let Some(answered) = post.answered else { continue };
            let placed = post.takes_back.iter().flat_map(|n| &self.posts[*n].answers);
            for event in placed.filter_map(|id| self.events.get(id)) {
                for message in event.messages.iter().filter(|one| one.workflow.as_str() == "later")
                {
                    late(&message.id, answered, "its order was");
                }
            }
        }
    }

    fn budgets_are_kept(&self, found: &mut Vec<String>) {
        let mut heard: BTreeMap<&UserId, Vec<Timestamp>> = BTreeMap::new();
        for (message, first) in self.first_departures() {
            if let Some(user) = message.recipient.as_ref().filter(|_| first.binding) {
                heard.entry(user).or_default().push(first.at);
            }
        }
        for (user, mut moments) in heard {
            moments.sort_unstable();
            let most = PER_HOUR as usize;
            for window in moments.windows(most + 1) {
                if window[most].duration_since(window[0]) < SignedDuration::from_hours(1) {
                    found.push(format!("{user} heard too much: {window:?}"));
                }
            }
        }
    }

    /// Workflow `wide` names what is the same.
    fn the_same_is_sent_once(&self, found: &mut Vec<String>) {
        let mut told: BTreeMap<(String, &UserId), Vec<Timestamp>> = BTreeMap::new();
        for (message, first) in self.first_departures() {
            let (true, Some(user), Some(event)) = (
                message.workflow.as_str() == "wide",
                message.recipient.as_ref(),
                self.events.get(&message.event),
            ) else {
                continue;
            };
            let key = format!("{} {}", message.channel, event.event.data["order"]);
            told.entry((key, user)).or_default().push(first.at);
        }
        // The gates look at the clock before the departure, which may be put back between.
        let put_back = SignedDuration::try_from(PUT_BACK).expect("minutes");
        let window = SignedDuration::from_secs(WINDOW_SECONDS) - put_back;
        for (what, mut moments) in told {
            moments.sort_unstable();
            if moments.windows(2).any(|pair| pair[1].duration_since(pair[0]) < window) {
                found.push(format!("{what:?} was told the same at {moments:?}"));
            }
        }
    }

    /// What was sent, or may have been, with its first departure; what a person sent again does not
    /// count.
    fn first_departures(&self) -> impl Iterator<Item = (&nuncio::model::Message, Leave)> {
        use MessageStatus::{Sent, Unknown};
        let left = self.messages.iter().map(|row| &row.message).filter(|message| {
            matches!(message.status, Sent | Unknown) && !self.noted.retried.contains(&message.id)
        });
        left.filter_map(|message| {
            Some((message, *self.noted.departures.get(&message.id)?.first()?))
        })
    }

    /// Every stream counts from 1, and what was published is what it holds.
    fn streams_have_no_gaps(&self, world: &World, found: &mut Vec<String>) {
        let mut frames = HashMap::new();
        let topic = Stream::Topic("things".into());
        for stream in (0..USERS).map(|n| Stream::User(format!("u{n}").into())).chain([topic]) {
            let replay = match &stream {
                Stream::User(user) => world.store.replay(user, 0, usize::MAX).now_or_never(),
                other => world.store.stream_replay(other, 0, usize::MAX).now_or_never(),
            };
            let Some(Ok(Replay::Frames(held))) = replay else { continue };
            if !held.iter().map(|frame| frame.seq).eq(1..=held.len() as u64) {
                found.push(format!("{} has gaps", stream.name()));
            }
            for frame in held {
                frames.insert((frame.stream.name(), frame.seq), frame.body);
            }
        }
        for frame in &self.noted.published {
            let held = frames.get(&(frame.stream.name(), frame.seq));
            if held.is_some_and(|held| *held != frame.body) {
                found.push(format!("published, and not what is held: {frame:?}"));
            }
        }
    }

    /// One entry a run, for each run that put one there.
    fn inboxes_are_right(&self, world: &World, found: &mut Vec<String>) {
        let mut entered: BTreeMap<RunId, usize> = BTreeMap::new();
        for user in 0..USERS {
            let user = format!("u{user}").into();
            let replay = world.store.replay(&user, 0, usize::MAX).now_or_never();
            let Some(Ok(Replay::Frames(held))) = replay else { continue };
            for frame in held {
                if let FrameBody::NewNotification { id, .. } = &*frame.body {
                    *entered.entry(*id).or_default() += 1;
                }
            }
        }
        for (run, times) in entered.iter().filter(|(_, times)| **times > 1) {
            found.push(format!("run {run} is in its inbox {times} times"));
        }
        let shown = self.messages.iter().map(|row| &row.message);
        let shown = shown.filter(|message| message.channel.is_in_app());
        let shown = shown.filter(|message| message.status == MessageStatus::Sent);
        let shown: BTreeSet<RunId> = shown.map(|message| message.run).collect();
        let entered: BTreeSet<RunId> = entered.into_keys().collect();
        for run in shown.symmetric_difference(&entered) {
            found.push(format!("run {run} is sent to its inbox, or is in it: not both"));
        }
    }

    /// Each note is in one message of the batches and one of the digests, unless it was stopped.
    fn everything_collected_is_told_once(&self, found: &mut Vec<String>) {
        let mut told: BTreeMap<(&str, &str, &UserId), BTreeSet<MessageId>> = BTreeMap::new();
        for MessageRecord { message, .. } in &self.messages {
            let (workflow, Some(user)) = (message.workflow.as_str(), &message.recipient) else {
                continue;
            };
            for arrival in self.noted.arrivals.get(&message.id).into_iter().flatten() {
                for n in arrival.body.split(' ').filter(|n| !n.is_empty()) {
                    told.entry((workflow, n, user)).or_default().insert(message.id);
                }
            }
        }
        let collects = ["batch", "digest"];
        for (what, messages) in told.iter().filter(|((of, ..), _)| collects.contains(of)) {
            if messages.len() > 1 {
                found.push(format!("{what:?} is told by {messages:?}"));
            }
        }
        let lost = self.messages.iter().any(|row| {
            collects.contains(&row.message.workflow.as_str())
                && row.message.status != MessageStatus::Sent
        });
        let stopped = self.runs.values().any(|run| run.status != RunStatus::Finished);
        if lost || stopped {
            return;
        }
        for event in self.events.values().filter(|event| event.event.name == "note.written") {
            for run in &event.runs {
                let n = event.event.data["n"].as_str().unwrap_or_default();
                let Some(user) = &run.recipient else { continue };
                if !told.contains_key(&(run.workflow.as_str(), n, user)) {
                    found.push(format!("note {n} is not told by {}", run.workflow));
                }
            }
        }
    }
}

fn count(attempts: &[nuncio::model::Attempt], outcome: AttemptOutcome) -> usize {
    attempts.iter().filter(|attempt| attempt.outcome == outcome).count()
}

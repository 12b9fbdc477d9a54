use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Acceptance, Once, Result, Spend, Stop};
use crate::model::{
    Attempt, Decision, Entry, Event, EventId, Expected, Fence, Frame, Join, Match, Message,
    MessageId, MessageStatus, Occasion, Publication, Run, RunId, Wait, WorkflowName,
};

/// The three kinds of job: events to plan, runs to go on with, messages to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueName {
    Events,
    Runs,
    Messages,
}

impl QueueName {
    /// For metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Runs => "runs",
            Self::Messages => "messages",
        }
    }
}

/// What planning an event, or taking a run further, adds to the store in one write.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub runs: Vec<Run>,
    pub messages: Vec<Message>,
    /// Inbox deliveries made in this very write: the message is `Sent`, the entry gets its `seq`.
    pub delivered: Vec<(Entry, Attempt)>,
    pub decisions: Vec<Decision>,
    /// More of the event remains to be planned: when, and where to go on (opaque to the store).
    pub more: Option<(Timestamp, String)>,
    /// With `more`: the workflows that have recipients to tell still, and their runs' key.
    pub unplanned: Vec<Unplanned>,
    /// Ordered by this event or run; done before anything else of the plan is written.
    pub stops: Vec<Stop>,
    /// Emitted; one whose key is taken was emitted before.
    pub events: Vec<Acceptance>,
    /// Runs that wait for others from now on: the store says which lead, and when they wake.
    pub joins: Vec<Join>,
    /// What leaders went on with: those that followed them are finished.
    pub closes: Vec<Occasion>,
    /// Runs that end where they wait, and when: what they led goes on without them.
    pub leaves: Vec<(RunId, Timestamp)>,
    /// What the plan's runs wait for from now on: one each, in the place of what they waited for
    /// before. One that holds already wakes its run in this very write.
    pub waits: Vec<Wait>,
    /// Waits that an event has ended: their runs are due.
    pub matches: Vec<Match>,
    /// To be published, once each where they say so: their frames are answered.
    pub publications: Vec<Publication>,
}

/// A workflow that has not told all of an event's recipients yet: a stop of its key finds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Unplanned {
    pub event: EventId,
    pub workflow: WorkflowName,
    pub key: String,
}

impl Plan {
    /// Leaves out the runs of `workflows` with all that hangs on them.
    pub(super) fn leave_out(&mut self, workflows: &[WorkflowName]) {
        let out: HashSet<RunId> = self
            .runs
            .extract_if(.., |run| workflows.contains(&run.workflow))
            .map(|run| run.id)
            .collect();
        self.messages.retain(|message| !out.contains(&message.run));
        self.delivered.retain(|(entry, _)| !out.contains(&entry.id));
        self.decisions.retain(|decision| decision.run.is_none_or(|run| !out.contains(&run)));
        self.joins.retain(|join| !out.contains(&join.occasion.run));
        self.waits.retain(|wait| !out.contains(&wait.run));
        let by_one_of_them = |run: Option<RunId>| run.is_some_and(|run| out.contains(&run));
        self.publications.retain(|publication| !by_one_of_them(publication.decision.run));
        self.events.retain(|emitted| !by_one_of_them(emitted.emitter));
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub now: Timestamp,
    /// The lease's end.
    pub until: Timestamp,
    pub limit: usize,
}

#[derive(Clone, Debug)]
pub struct DueEvent {
    pub event: Event,
    pub cursor: Option<String>,
    pub fence: Fence,
    pub attempt: u32,
    /// Stopped before they had told everybody: they tell nobody more.
    pub stopped: Vec<WorkflowName>,
}

#[derive(Clone, Debug)]
pub struct DueRun {
    pub run: Run,
    pub event: std::sync::Arc<Event>,
    pub fence: Fence,
    pub attempt: u32,
}

#[derive(Clone, Debug)]
pub struct DueMessage {
    pub message: Message,
    pub run: std::sync::Arc<Run>,
    pub event: std::sync::Arc<Event>,
    pub fence: Fence,
    /// Its budget was spent by an earlier attempt.
    pub left_before: bool,
    /// Claims since it last got anywhere, this one included: a message that kills its worker ends.
    pub claims: u32,
    /// It leads others that were gathered with it ([`super::Ledger::gathered`]).
    pub leads: bool,
}

/// A message that is about to be handed to a provider.
#[derive(Clone, Debug)]
pub struct Departure {
    pub message: MessageId,
    pub fence: Fence,
    pub provider: crate::model::ProviderName,
    pub at: Timestamp,
    /// For a channel that interrupts a user: what it takes from the budget. Counted once a
    /// message, however often it departs.
    pub spend: Option<Spend>,
    /// Where the workflow wants the same thing once: asked at the first departure.
    pub once: Option<Once>,
    /// Another provider was asked just before, in the same claim, and surely did not send it.
    pub failover: Option<Box<Failover>>,
}

/// What the provider before came to; written with the departure to the next.
#[derive(Clone, Debug)]
pub struct Failover {
    pub attempt: Attempt,
    pub decisions: Vec<Decision>,
}

/// Whether a message may be handed to its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departed {
    Left,
    /// The lease was lost, or the message cancelled: it is no longer the caller's.
    Withdrawn,
    /// The same left within the window. The caller still holds the lease.
    Duplicate,
    /// Another took the last place in the budget. The caller still holds the lease.
    OverBudget,
}

/// What became of a claimed message.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub message: MessageId,
    pub fence: Fence,
    pub status: MessageStatus,
    /// For `Pending`: when to try again.
    pub due_at: Option<Timestamp>,
    /// The try that ended, if there was one.
    pub attempt: Option<Attempt>,
    /// An in-app delivery: the entry gets its `seq` here.
    pub entry: Option<Entry>,
    pub decisions: Vec<Decision>,
    pub code: Option<String>,
    /// For `Pending`: put off by a gate, so a change of the recipient's wishes moves it.
    pub held: Option<Held>,
    /// For `Sent`: what its provider will report of it.
    pub expected: Option<Expected>,
}

impl Settlement {
    /// Whether it says what became of a message that was with a provider.
    pub(super) fn ends_a_send(&self) -> bool {
        self.attempt.is_some()
            || matches!(self.status, MessageStatus::Sent | MessageStatus::Unknown)
    }

    /// When the message ended without being sent, if that is what became of it.
    pub(super) fn ended_unsent(&self) -> Option<Timestamp> {
        use MessageStatus::{Cancelled, Expired, Failed, Suppressed};
        if !matches!(self.status, Cancelled | Expired | Failed | Suppressed) {
            return None;
        }
        Some(self.ended_at())
    }

    /// When it was decided what became of it.
    pub(super) fn ended_at(&self) -> Timestamp {
        let decided = self.decisions.last().map(|decision| decision.at);
        let at = decided.or(self.attempt.as_ref().map(|attempt| attempt.finished_at));
        at.unwrap_or(Timestamp::MIN)
    }
}

/// How a gate put a message off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// With others that bear the same text, into one message. The first of them waits and leads;
    /// one that finds a leader waiting, which never left, becomes `Suppressed` and is told by it.
    pub gathers: Option<String>,
}

/// What became of a claimed event or run.
#[derive(Clone, Debug)]
pub struct Progress<Id> {
    pub id: Id,
    pub fence: Fence,
    pub plan: Plan,
    /// For a run: its new state (`status`, `position`, `wake_at`, `state`).
    pub run: Option<Run>,
}

/// Claims given back untouched, at a graceful stop: their attempt is not counted.
#[derive(Clone, Debug)]
pub enum Unsent {
    Event(EventId, Fence),
    Run(RunId, Fence),
    Message(MessageId, Fence),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Claimed but not begun: due again at once.
    pub released: u64,
    /// Was being sent: journalled as `unknown`.
    pub unknown: u64,
}

/// The work that is due. Claims take the highest priority first, then the earliest.
#[async_trait]
pub trait Queue {
    async fn claim_events(&self, claim: Claim) -> Result<Vec<DueEvent>>;

    async fn claim_runs(&self, claim: Claim) -> Result<Vec<DueRun>>;

    /// Claimed messages are `Leased`; their attempt is counted by [`Queue::depart`].
    async fn claim_messages(&self, claim: Claim) -> Result<Vec<DueMessage>>;

    /// Moves leased messages to `Sending` and counts the attempt, durably, before any provider
    /// hears of them. In the same write the budget is spent and the dedupe key kept; where either
    /// says no, nothing is changed. Do not send what did not leave.
    ///
    /// With a `failover` the message is `Sending` already, with the attempt that ended: that one is
    /// journalled, and the next begins, which the budget of attempts does not count. A stop that
    /// came in between withdraws it.
    async fn depart(&self, departures: Vec<Departure>) -> Result<Vec<Departed>>;

    /// Writes what became of claimed messages. `None` where the fence was an old one; otherwise
    /// the frames of the inbox entries made. What is with a provider is not put off, dropped or
    /// failed but with the attempt that ended: else the answer is `None` too.
    ///
    /// One that ends without being sent (`Failed`, `Suppressed`, `Cancelled`, `Expired`) gives
    /// back what it spent, and its dedupe key; what waits for its recipient's budget is due at
    /// once. One that led others, and did not fail, sets them free: they are due on their own.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Option<Vec<Frame>>>>;

    async fn planned(&self, progress: Vec<Progress<EventId>>) -> Result<Vec<Option<Vec<Frame>>>>;

    async fn advanced(&self, progress: Vec<Progress<RunId>>) -> Result<Vec<Option<Vec<Frame>>>>;

    async fn unsent(&self, unsent: Vec<Unsent>) -> Result<()>;

    /// Lengthens the leases of `fences` to `until`.
    async fn renew(&self, queue: QueueName, fences: &[Fence], until: Timestamp) -> Result<()>;

    /// When the next job of `queue` falls due; `None` if nothing waits.
    async fn next_due(&self, queue: QueueName) -> Result<Option<Timestamp>>;

    /// Ends leases past their time: `Leased` is due again, one whose workers were lost more than
    /// three times after a while, longer each time and apart from others, up to 11 s; `Sending`
    /// gets an attempt with outcome `unknown` and is due again where `retry_unknown` holds its
    /// channel, else `Unknown`.
    /// `everything` ends all leases: at the start of the only node.
    async fn recover(
        &self,
        now: Timestamp,
        everything: bool,
        retry_unknown: &RetryUnknown<'_>,
    ) -> Result<Recovered>;
}

/// How long a message stays back whose workers were lost with it so many times: it may be what
/// they die of. From the fourth time on longer each time, up to 10 s, and by its id up to 0.9 s
/// more or less than others, so that it takes none of them along again and again.
pub(super) fn setback(claims: u32, id: MessageId) -> Option<Duration> {
    let apart = u64::from(id.0.as_bytes()[15] & 0xf) * 60;
    let squared = u64::from(claims.saturating_mul(claims)) * 100;
    (claims > 3).then(|| Duration::from_millis(squared.min(10_000) + apart))
}

/// Whether a message last handed to this (channel, provider) may be sent again.
pub type RetryUnknown<'a> =
    dyn Fn(&crate::model::ChannelName, &crate::model::ProviderName) -> bool + Send + Sync + 'a;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::model::{
    Attempt, Decision, Entry, Event, EventId, Fence, Frame, Match, Message, MessageId,
    MessageStatus, Publication, Run, RunId, Wait,
};

/// The three kinds of job: events to plan, runs to go on with, messages to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueName {
    Events,
    Runs,
    Messages,
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
    /// What the plan's runs wait for from now on: one each, in the place of what they waited for
    /// before. One that holds already wakes its run in this very write.
    pub waits: Vec<Wait>,
    /// Waits that an event has ended: their runs are due.
    pub matches: Vec<Match>,
    /// To be published, once each where they say so: their frames are answered.
    pub publications: Vec<Publication>,
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
}

/// A message that is about to be handed to a provider.
#[derive(Clone, Debug)]
pub struct Departure {
    pub message: MessageId,
    pub fence: Fence,
    pub provider: crate::model::ProviderName,
    pub at: Timestamp,
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
    /// hears of them. `false`: the lease was lost or the message cancelled; do not send.
    async fn depart(&self, departures: Vec<Departure>) -> Result<Vec<bool>>;

    /// Writes what became of claimed messages. `None` where the fence was an old one; otherwise
    /// the frames of the inbox entries made.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Option<Vec<Frame>>>>;

    async fn planned(&self, progress: Vec<Progress<EventId>>) -> Result<Vec<Option<Vec<Frame>>>>;

    async fn advanced(&self, progress: Vec<Progress<RunId>>) -> Result<Vec<Option<Vec<Frame>>>>;

    async fn unsent(&self, unsent: Vec<Unsent>) -> Result<()>;

    /// Lengthens the leases of `fences` to `until`.
    async fn renew(&self, queue: QueueName, fences: &[Fence], until: Timestamp) -> Result<()>;

    /// When the next job of `queue` falls due; `None` if nothing waits.
    async fn next_due(&self, queue: QueueName) -> Result<Option<Timestamp>>;

    /// Ends leases past their time: `Leased` is due again; `Sending` gets an attempt with outcome
    /// `unknown` and is due again where `retry_unknown` holds its channel, else `Unknown`.
    /// `everything` ends all leases: at the start of the only node.
    async fn recover(
        &self,
        now: Timestamp,
        everything: bool,
        retry_unknown: &RetryUnknown<'_>,
    ) -> Result<Recovered>;
}

/// Whether a message last handed to this (channel, provider) may be sent again.
pub type RetryUnknown<'a> =
    dyn Fn(&crate::model::ChannelName, &crate::model::ProviderName) -> bool + Send + Sync + 'a;

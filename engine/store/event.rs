use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use super::queue::Plan;
use crate::model::{
    Attempt, Decision, Event, EventId, EventStatus, Frame, Message, Run, RunId, Version,
    WorkflowName,
};

/// An event to be stored, with all that was planned from it at once.
#[derive(Clone, Debug)]
pub struct Acceptance {
    pub event: Event,
    /// Of the body as it came: the same key with another body is a conflict.
    pub body_hash: [u8; 32],
    pub plan: Plan,
    /// The run that emitted it; `None`: a service sent it.
    pub emitter: Option<RunId>,
}

/// What became of one acceptance.
#[derive(Clone, Debug)]
pub enum Accepted {
    /// Stored, and due. `frames` are for `Publish`, now that it is committed.
    New { id: EventId, frames: Vec<Frame> },
    /// The key was used before, with the same body: the first event's id.
    Duplicate(EventId),
    /// The key was used before, with another body.
    Conflict(EventId),
}

#[derive(Clone, Debug)]
pub struct EventRecord {
    pub event: Event,
    pub status: EventStatus,
    /// How many runs there are so far: while the event waits, how far its planning has come.
    pub planned: u64,
    /// The first of them, [`SHOWN_RUNS`] at most.
    pub runs: Vec<Run>,
}

/// Runs that an [`EventRecord`] shows.
pub const SHOWN_RUNS: usize = 100;
/// Runs that a [`Timeline`] tells of: an event may have millions, which nobody reads in one piece.
pub const TOLD_RUNS: usize = 10_000;

/// What is known of an event: what `explain` prints.
#[derive(Clone, Debug)]
pub struct Timeline {
    pub event: Event,
    pub status: EventStatus,
    /// The first of the event's runs, [`TOLD_RUNS`] at most, with all that hangs on them; the one
    /// asked for, where an id of it was given.
    pub runs: Vec<Run>,
    pub messages: Vec<Message>,
    pub attempts: Vec<Attempt>,
    /// In the order of their writing.
    pub decisions: Vec<Decision>,
}

#[async_trait]
pub trait Events {
    /// Stores events and what was planned from them; durable when it returns. Answers in order.
    /// Of two with one key the first wins, in one call too.
    async fn accept(&self, acceptances: Vec<Acceptance>) -> Result<Vec<Accepted>>;

    async fn event(&self, id: EventId) -> Result<Option<EventRecord>>;

    /// The time line of the event that `id` is; or of the run that `id` is, or that the message
    /// `id` belongs to, with what concerns the event as a whole.
    async fn timeline(&self, id: uuid::Uuid) -> Result<Option<Timeline>>;

    /// Keeps a workflow file's content under its hash. Idempotent.
    async fn keep_version(
        &self,
        version: &Version,
        workflow: &WorkflowName,
        source: &str,
    ) -> Result<()>;

    async fn version(&self, version: &Version) -> Result<Option<String>>;

    /// How many unfinished runs each version still has.
    async fn versions_in_use(&self) -> Result<Vec<(WorkflowName, Version, u64)>>;

    /// Counts by status, for metrics: (events waiting, oldest due work).
    async fn backlog(&self, now: Timestamp) -> Result<Backlog>;
}

/// How much work is due, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    pub events: u64,
    pub runs: u64,
    pub messages: u64,
    /// The earliest `due_at` among due messages.
    pub oldest: Option<Timestamp>,
}

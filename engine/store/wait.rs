use std::sync::Arc;

use async_trait::async_trait;

use super::Result;
use crate::model::{Event, EventId, Match, Run, RunId, StepPath, Version, WorkflowName};

/// The cursor of an event whose runs all exist, and that some other runs may be waiting for: it is
/// due, so that its own job finds them. `awaited <run>` goes on behind that run.
pub const AWAITED: &str = "awaited";

/// A run that waits for an event with a `match` of its own.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub run: Run,
    pub event: Arc<Event>,
    /// The step that waits, and its round.
    pub step: StepPath,
    pub item: u32,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concluded {
    /// What was waited for has come: by this event, where it was one.
    Matched(Option<EventId>),
    Unmatched,
}

/// What runs wait for. Waits are written with a run's progress ([`Plan::waits`](super::Plan)) and
/// forgotten with its next.
///
/// An accepted event whose name is awaited is left due with the cursor [`AWAITED`]. A write that
/// brings a message or an inbox entry to a state wakes the runs that wait for it.
#[async_trait]
pub trait Waits {
    /// Whether some run waits for an event of this one's name and tenant. It may have begun later.
    async fn is_awaited(&self, event: &Event) -> Result<bool>;

    /// The workflows, by version, with runs that wait by their key for such an event; some may have
    /// begun later.
    async fn awaiting(&self, event: &Event) -> Result<Vec<(WorkflowName, Version)>>;

    /// Waits of that version's runs with this key that `event` ends, at most `limit`. Written as
    /// [`Plan::matches`](super::Plan), they are not answered again.
    async fn waiting_by_key(
        &self,
        event: &Event,
        version: &Version,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Match>>;

    /// Runs whose own `match` decides whether `event` ends their wait, in the order of their ids.
    async fn waiting_by_match(
        &self,
        event: &Event,
        after: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<Waiting>>;

    /// Ends the wait of `run` at a step: from now on nothing matches it. The same answer however
    /// often it is asked, until the run has gone on.
    async fn conclude(&self, run: RunId, step: &StepPath, item: u32) -> Result<Concluded>;
}

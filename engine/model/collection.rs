use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Decision, Event, RunId, StepPath};

/// A step of a run in one round of the loops around it. Its effects bear this key, so that they
/// happen once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Occasion {
    pub run: RunId,
    pub step: StepPath,
    pub item: u32,
}

/// A run has come to a step where it waits for others, to go on as one. Runs of one tenant,
/// workflow, step, recipient and `key` are in one collection; the first leads, and goes on for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    pub occasion: Occasion,
    /// The event's: what belongs to different ones never comes together.
    pub tenant: String,
    pub key: String,
    pub at: Timestamp,
    /// The end of the collection that it opens, where none is open.
    pub closes_at: Timestamp,
    /// Each that joins moves the end.
    pub slide: Option<Slide>,
    /// So many are enough: the collection ends at once.
    pub max_items: Option<u64>,
    /// With fewer, the collection stays open past its end.
    pub min_items: u64,
    /// The first goes on at once and alone, and so begins a window of this length for the others.
    pub leading: Option<Duration>,
    /// The record of waiting; `until` is the collection's end.
    pub decision: Decision,
}

/// How a collection's end moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slide {
    /// The end is so long after the last that joined.
    pub by: Duration,
    /// And at the latest so long after the first.
    pub most: Duration,
}

/// What a leader finds when it wakes.
#[derive(Clone, Debug, PartialEq)]
pub enum Collected {
    /// Nobody joins any more. Asked again, it is the same.
    Closed {
        /// Of events, those that `items` leaves out included.
        count: u64,
        /// In the order of their coming.
        items: Vec<Item>,
    },
    /// It is not over.
    Open { until: Timestamp, count: u64 },
}

/// What one run brought to a collection.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Event(Arc<Event>),
    /// The run had gone on for others before: `{"count", "items"}` of that time.
    Collected(Value),
}

impl Item {
    /// Of events.
    pub fn count(&self) -> u64 {
        match self {
            Self::Event(_) => 1,
            Self::Collected(earlier) => earlier.get("count").and_then(Value::as_u64).unwrap_or(1),
        }
    }

    /// Of its data as JSON text.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.data.to_string().len(),
            Self::Collected(earlier) => earlier.to_string().len(),
        }
    }
}

/// A run wants to pass where only so many may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    pub occasion: Occasion,
    /// What is counted together.
    pub key: [u8; 32],
    /// Passes within any `window`.
    pub limit: u64,
    pub window: Duration,
    pub at: Timestamp,
    /// Where there is no place now, the next is kept for it.
    pub ahead: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It has its place. Asked again, it still has it.
    Free,
    /// There is none before then.
    From(Timestamp),
}

use jiff::Timestamp;

use super::{ChannelName, Event, EventId, Pattern, RunId, StepPath, Version, WorkflowName};

/// What a run stands still for, at a step. A run waits for one thing at a time; what it waits
/// for is forgotten when it goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    pub run: RunId,
    pub step: StepPath,
    pub item: u32,
    pub began_at: Timestamp,
    pub awaited: Awaited,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Awaited {
    /// An event of one of these names and of this tenant, accepted after the wait began.
    Event {
        on: Vec<Pattern>,
        tenant: String,
        workflow: WorkflowName,
        version: Version,
        /// The key that the event has to have by the workflow's `key`; `None`: the step's own
        /// `match` decides.
        key: Option<String>,
    },
    /// The run's messages of a step come to a state.
    Message {
        step: StepPath,
        /// `None`: of whatever round.
        item: Option<u32>,
        /// `None`: on whatever channel.
        channel: Option<ChannelName>,
        state: Reached,
    },
}

/// Stored as the number. The numbers are in rows: never reorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reached {
    /// One was delivered: so its provider reports, or it is in the inbox, or taken by a provider
    /// that reports no delivery.
    Delivered = 1,
    /// The run's inbox entry was read.
    Read = 2,
    /// None of them will change any more.
    Ended = 3,
    /// Read, or ended without being sent.
    ReadOrLost = 4,
    /// Delivered, or ended otherwise.
    DeliveredOrLost = 5,
}

impl Wait {
    /// Whether an event of that name and tenant might be what is waited for.
    pub fn expects(&self, event: &Event) -> bool {
        let Awaited::Event { on, tenant, .. } = &self.awaited else { return false };
        *tenant == event.tenant && on.iter().any(|name| name.matches(&event.name))
    }
}

/// An event that a run waited for has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub run: RunId,
    /// Where it waits: a wait that has moved on is not meant.
    pub step: StepPath,
    pub item: u32,
    pub event: EventId,
}

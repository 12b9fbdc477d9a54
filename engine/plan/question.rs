//! What a step has to know of the world, and what it is told.

use jiff::Timestamp;
use serde_json::Value;

use crate::egress::{Ask, EgressError, Fetched};
use crate::model::{ChannelName, Collected, Event, Once, Pass, Passage, Span, StepPath};
use crate::workflow::step::Success;

/// A question of the step at `step`, in the round `item` of the loops around it. Both name it
/// for good: asked again after a crash, it gets the same answer and has the same effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub step: StepPath,
    pub item: u32,
    pub question: Question,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// What came together where the run waits. With too few, it goes on until `next`.
    Collected {
        next: Option<Timestamp>,
    },
    Throttle(Pass),
    /// Whether what the step waited for has come. It waits no longer.
    Awaited,
    /// How the step's message on `channel` stands. One that has not left is called back: the step
    /// tries another way.
    Tried {
        channel: ChannelName,
        success: Success,
    },
    /// What a template makes of this data, as JSON.
    Written {
        template: String,
        data: Value,
    },
    /// What a server answers.
    Fetch(Box<Inquiry>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Collected(Collected),
    Throttle(Passage),
    Awaited(Ended),
    Tried(Standing),
    /// Or why there is none, and where.
    Written(Result<Value, Unwritten>),
    Fetched(Result<Fetched, EgressError>),
}

/// A request to a server, and for whom its answer does.
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    pub ask: Ask,
    /// How long an answer serves all who ask the same.
    pub cache: Option<Span>,
    /// The first answer serves all runs under this name.
    pub once: Option<Once>,
}

/// Why a template gave no JSON. Names places and fields, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritten {
    pub reason: String,
    /// `path:line` in the template, where it is known.
    pub place: Option<String>,
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// By this event, where an event was waited for.
    Matched(Option<Box<Event>>),
    TimedOut,
}

/// How a message stands whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It reached what its step wants of it.
    Reached,
    /// It is with a provider this very moment.
    Leaving,
    /// It failed, was stopped, did not reach it in time, or was called back.
    Lost,
}

//! What a step has to know of the world, and what it is told.

use jiff::Timestamp;

use crate::model::{Collected, Pass, Passage, StepPath};

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
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Collected(Collected),
    Throttle(Passage),
}

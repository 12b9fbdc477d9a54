use super::{Decision, EventId, FrameBody, StepPath, Stream, WorkflowName};

/// A relay message that a step publishes, with the record of it: both are written, or neither.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    pub stream: Stream,
    pub body: FrameBody,
    pub decision: Decision,
    /// It is published once under this name.
    pub once: Option<Once>,
}

/// Names what a step does once for all runs of one event in one workflow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Once {
    pub event: EventId,
    pub workflow: WorkflowName,
    pub step: StepPath,
    pub item: u32,
}

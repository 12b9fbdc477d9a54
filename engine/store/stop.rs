use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::model::{
    Decision, EventId, Message, MessageId, MessageStatus, Run, RunId, StepPath, Verdict,
    WorkflowName,
};

/// An order to stop what is planned for a business key.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    pub tenant: String,
    /// `None`: of every workflow.
    pub workflow: Option<WorkflowName>,
    pub key: String,
    /// Runs of events before this one are meant: ids grow in the order of their making.
    pub before: EventId,
    /// This run goes on: the one that asks.
    pub except: Option<RunId>,
    pub at: Timestamp,
    /// Who asks, for the records of what is stopped.
    pub reason: String,
    /// `path:line`, where a file asks.
    pub rule: Option<String>,
}

/// What an order stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    pub runs: Vec<RunId>,
    /// Held or waiting to leave; they will not.
    pub messages: Vec<MessageId>,
    /// With a provider at that moment: they may arrive, and are not tried again.
    pub leaving: Vec<MessageId>,
    /// Where stopped runs waited to go on with others (a batch, a digest).
    pub batches: Vec<(RunId, StepPath)>,
    /// Whose further recipients are not told.
    pub unplanned: Vec<(EventId, WorkflowName)>,
}

#[async_trait]
pub trait Stops {
    /// Stops at once, and for good: a run that a worker has claimed writes nothing more, a
    /// message that is leased does not leave. Each thing stopped gets its record (`cancelled`).
    /// Asked again, it finds nothing more to stop.
    async fn stop(&self, stop: Stop) -> Result<Stopped>;
}

impl Stop {
    pub(super) fn record_run(&self, run: &Run) -> Decision {
        let reason = self.reason.as_str();
        let decision = Decision::of_run(run, self.at, Verdict::Cancel, "cancelled", reason);
        Decision { step: run.position.clone(), rule: self.rule.clone(), ..decision }
    }

    /// `message` in its state after the stop.
    pub(super) fn record_message(&self, message: &Message) -> Decision {
        let reason = match message.status {
            MessageStatus::Sending => {
                format!("{}: it was leaving at that moment, and is not tried again", self.reason)
            }
            _ => self.reason.clone(),
        };
        let decision = Decision::of_message(message, self.at, Verdict::Cancel, "cancelled", reason);
        Decision { rule: self.rule.clone(), ..decision }
    }

    pub(super) fn record_unplanned(&self, event: EventId, workflow: &WorkflowName) -> Decision {
        let reason = format!("{}: its further recipients are not told", self.reason);
        let decision = Decision::of_id(event, self.at, Verdict::Cancel, "cancelled", reason);
        Decision { workflow: Some(workflow.clone()), rule: self.rule.clone(), ..decision }
    }

    /// Whether a run is meant, but for its tenant.
    pub(super) fn means(&self, run: &Run) -> bool {
        run.key.as_ref() == Some(&self.key)
            && self.workflow.as_ref().is_none_or(|workflow| *workflow == run.workflow)
            && self.except != Some(run.id)
            && run.event < self.before
    }
}

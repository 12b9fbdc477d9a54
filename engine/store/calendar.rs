use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::model::{EventId, MessageId, Run, StepPath, UserId, WorkflowName};

/// What is planned from `from` on, before `until`; earliest first, pages by `after`.
#[derive(Clone, Debug)]
pub struct CalendarQuery {
    pub user: Option<UserId>,
    pub workflow: Option<WorkflowName>,
    pub from: Timestamp,
    pub until: Timestamp,
    /// The last of another page: its moment and id.
    pub after: Option<(Timestamp, uuid::Uuid)>,
    pub limit: usize,
}

/// A line of the calendar.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub at: Timestamp,
    pub event: EventId,
    pub due: Due,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Due {
    /// The event's own moment lies ahead, or recipients remain to be told.
    Event,
    /// The run goes on.
    Run(Box<Run>),
    /// A message leaves, or asks its gates again.
    Message {
        message: MessageId,
        run: crate::model::RunId,
        user: Option<UserId>,
        workflow: WorkflowName,
        step: StepPath,
        channel: crate::model::ChannelName,
        /// Why it did not leave before: a decision's code.
        code: Option<String>,
    },
}

#[async_trait]
pub trait Calendar {
    /// Nothing that a worker has claimed is in it: that is happening.
    async fn calendar(&self, query: &CalendarQuery) -> Result<Vec<Planned>>;
}

impl CalendarQuery {
    pub(super) fn asks_for(&self, user: Option<&UserId>, workflow: &WorkflowName) -> bool {
        (self.user.is_none() || self.user.as_ref() == user)
            && self.workflow.as_ref().is_none_or(|asked| asked == workflow)
    }
}

impl Planned {
    /// What `after` names it by, with its moment.
    pub fn id(&self) -> uuid::Uuid {
        match &self.due {
            Due::Event => self.event.0,
            Due::Run(run) => run.id.0,
            Due::Message { message, .. } => message.0,
        }
    }
}

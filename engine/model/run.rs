use jiff::Timestamp;
use serde_json::Value;

use super::{EventId, Priority, RunId, StepPath, TopicName, UserId, Version, WorkflowName};

/// One workflow at work for one recipient of one event. Unique by those three.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub id: RunId,
    pub event: EventId,
    pub workflow: WorkflowName,
    /// The workflow file's content when the run began: an edit never re-routes it.
    pub version: Version,
    /// `None` for a workflow without recipients.
    pub recipient: Option<UserId>,
    /// The recipient's `as`, empty where the file gives none.
    pub role: String,
    /// A `contact:` recipient's fields, given by the event and stored nowhere else.
    pub contact: Option<Value>,
    pub priority: Priority,
    /// The business key that `cancel_on` and `restart_on` look up.
    pub key: Option<String>,
    pub status: RunStatus,
    /// The step to go on with; `None` once finished.
    pub position: Option<StepPath>,
    /// When to go on; `None` unless waiting.
    pub wake_at: Option<Timestamp>,
    /// What steps left for later ones: `{"vars": {…}, "steps": {…}}`.
    pub state: Value,
    pub started_at: Timestamp,
    /// The workflow says `sensitive`: `state`, `contact` and the inbox entry are on the disk only as
    /// ciphertext, and a lock screen shows nothing of it.
    pub sensitive: bool,
    /// The topic by which the run came to its recipient, if it came by one.
    pub topic: Option<TopicName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Has a step to come, at `wake_at`.
    Waiting,
    /// Claimed by a worker.
    Running,
    Finished,
    Cancelled,
    Failed,
}

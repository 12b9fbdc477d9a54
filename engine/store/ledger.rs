use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::model::{Event, Limits, Message, MessageId, Priority, Run, UserId};

/// What a departing message takes from its recipient's budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Spend {
    pub user: UserId,
    /// Those in force. Without one, only the moment is kept, for a limit that is set later.
    pub limits: Limits,
    /// Whether the limits keep it from leaving. What is critical is counted and leaves.
    pub binding: bool,
}

/// A message's dedupe key, as a digest over workflow, recipient, channel and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    pub key: [u8; 32],
    /// What was sent at this moment or before is out of the window.
    pub since: Timestamp,
    /// When this one will be.
    pub until: Timestamp,
}

/// Whose budget is asked about, and by which message.
#[derive(Clone, Debug)]
pub struct Asking {
    pub user: UserId,
    pub message: MessageId,
    pub priority: Priority,
    pub now: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// When messages left in the last 24 hours, in the order of time.
    pub at: Vec<Timestamp>,
    /// Others that were put off, are due by now, and come before the one that asks: of a higher
    /// priority, or older.
    pub ahead: usize,
}

/// One of the messages that became one.
#[derive(Clone, Debug)]
pub struct Gathered {
    pub message: Message,
    pub run: Arc<Run>,
    pub event: Arc<Event>,
}

/// What left, and what was put off, as far as other messages of the recipient have to know.
#[async_trait]
pub trait Ledger {
    /// Which message was last sent with this key, and when, if that was within its window.
    async fn sent_like(&self, once: &Once) -> Result<Option<(MessageId, Timestamp)>>;

    async fn spending(&self, asking: &Asking) -> Result<Spending>;

    /// Those that `leader` was to speak for too, oldest first; the leader itself is not among them.
    async fn gathered(&self, leader: MessageId) -> Result<Vec<Gathered>>;
}

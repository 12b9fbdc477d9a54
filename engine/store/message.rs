use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::model::{
    Attempt, ChannelName, Message, MessageId, MessageStatus, ProviderName, UserId, WorkflowName,
};

/// Filters of `GET /v1/messages` and `GET /v1/dead-letters`; newest first, pages by `after`.
#[derive(Clone, Debug, Default)]
pub struct MessageQuery {
    pub status: Option<MessageStatus>,
    /// Dead letters alone: failed, or held as unknown.
    pub dead: bool,
    pub channel: Option<ChannelName>,
    pub user: Option<UserId>,
    pub workflow: Option<WorkflowName>,
    /// That took it last, or was to take it.
    pub provider: Option<ProviderName>,
    /// Why it ended otherwise than sent.
    pub code: Option<String>,
    /// Made then or later.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
    /// Those alone that may leave at this moment still.
    pub in_time_at: Option<Timestamp>,
    pub after: Option<MessageId>,
    pub limit: usize,
}

#[derive(Clone, Debug)]
pub struct MessageRecord {
    pub message: Message,
    pub attempts: Vec<Attempt>,
}

#[async_trait]
pub trait Messages {
    async fn messages(&self, query: &MessageQuery) -> Result<Vec<MessageRecord>>;

    /// How many there are; `after` and `limit` do not count.
    async fn count_messages(&self, query: &MessageQuery) -> Result<u64>;

    async fn message(&self, id: MessageId) -> Result<Option<MessageRecord>>;

    /// A failed, unknown or expired message falls due again, with a new budget of attempts.
    /// Answers its state before: unchanged if that was another one.
    async fn retry(&self, id: MessageId, now: Timestamp) -> Result<Option<MessageStatus>>;

    /// Cancels a message that has not left. Answers its state before.
    async fn cancel(&self, id: MessageId, now: Timestamp) -> Result<Option<MessageStatus>>;
}

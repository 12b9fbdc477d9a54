use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::model::{Attempt, Category, Entry, Frame, Message, Priority, RunId, UserId};

#[derive(Clone, Debug)]
pub struct InboxQuery {
    /// `None`: everybody's (admin).
    pub user: Option<UserId>,
    pub is_read: Option<bool>,
    pub category: Option<Category>,
    pub priority: Option<Priority>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// In title and message, any case.
    pub search: Option<String>,
    pub order: InboxOrder,
    pub offset: u64,
    pub limit: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InboxOrder {
    OldestFirst,
    #[default]
    NewestFirst,
    LowestFirst,
    /// Critical first.
    HighestFirst,
}

#[derive(Clone, Debug)]
pub struct InboxPage {
    pub count: u64,
    pub entries: Vec<Entry>,
}

/// What a connection missed.
#[derive(Clone, Debug)]
pub enum Replay {
    /// In order, without gaps.
    Frames(Vec<Frame>),
    /// Something in between is no longer kept, or there is too much of it.
    Gone,
}

/// A user's notifications and stream. Changes answer the frames that tell the user's connections.
#[async_trait]
pub trait Inbox {
    async fn entries(&self, query: &InboxQuery) -> Result<InboxPage>;

    async fn entry(&self, id: RunId) -> Result<Option<Entry>>;

    /// The messages and attempts of the entry's run: what the detail gathers its state from.
    async fn deliveries(&self, id: RunId) -> Result<Vec<(Message, Vec<Attempt>)>>;

    async fn unread(&self, user: &UserId) -> Result<u64>;

    /// Marks one of `user`'s entries. `None`: no such entry of theirs. No frame where nothing
    /// changed.
    async fn mark(
        &self,
        user: &UserId,
        id: RunId,
        read_at: Option<Timestamp>,
    ) -> Result<Option<(Entry, Vec<Frame>)>>;

    async fn mark_all(
        &self,
        user: &UserId,
        category: Option<&Category>,
        now: Timestamp,
    ) -> Result<(u64, Vec<Frame>)>;

    /// Marks those of `ids` that are `user`'s and answers how many changed, and which are not
    /// theirs.
    async fn mark_many(
        &self,
        user: &UserId,
        ids: &[RunId],
        now: Timestamp,
    ) -> Result<(u64, Vec<RunId>, Vec<Frame>)>;

    async fn delete_many(
        &self,
        user: &UserId,
        ids: &[RunId],
        now: Timestamp,
    ) -> Result<(u64, Vec<RunId>, Vec<Frame>)>;

    /// The last `seq` of the user's stream; 0 for an empty one.
    async fn head(&self, user: &UserId) -> Result<u64>;

    /// The frames after `seq`, at most `limit`.
    async fn replay(&self, user: &UserId, seq: u64, limit: usize) -> Result<Replay>;
}

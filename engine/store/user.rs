use std::sync::Arc;

use async_trait::async_trait;

use super::Result;
use crate::model::{Person, Preferences, TopicName, User, UserId};

/// What erasing a user removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    pub entries: u64,
    pub messages: u64,
    pub subscriptions: u64,
}

#[async_trait]
pub trait Users {
    /// Creates or replaces; `true` if it was created. `created_at` of an existing one stays. What
    /// gates put off for these users is due at once, to be asked again.
    async fn put_users(&self, users: Vec<User>) -> Result<Vec<bool>>;

    async fn user(&self, id: &UserId) -> Result<Option<User>>;

    /// The known ones of `ids`, in any order, with all that was written before the call, on whatever
    /// node.
    async fn people(&self, ids: &[UserId]) -> Result<Vec<Arc<Person>>>;

    /// Users of `role` (`None`: all), ids in text order after `after`.
    async fn members(
        &self,
        role: Option<&str>,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>>;

    /// Erases the person's data everywhere, and keeps counts. `None`: no such user.
    async fn erase_user(&self, id: &UserId) -> Result<Option<Erased>>;

    /// Replaces what the user said. Allowed for an unknown user: the app may come first. What
    /// gates put off for the user is due at once, to be asked again.
    async fn put_preferences(&self, id: &UserId, preferences: Preferences) -> Result<()>;

    /// What the user said; default for one that said nothing.
    async fn preferences(&self, id: &UserId) -> Result<Preferences>;
}

#[async_trait]
pub trait Topics {
    /// `true` if it is new. The user need not be known yet.
    async fn subscribe(&self, topic: &TopicName, user: &UserId) -> Result<bool>;

    /// `true` if there was a subscription.
    async fn unsubscribe(&self, topic: &TopicName, user: &UserId) -> Result<bool>;

    /// Ids in text order, after `after`.
    async fn subscribers(
        &self,
        topic: &TopicName,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>>;
}

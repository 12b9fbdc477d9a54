use async_trait::async_trait;
use jiff::Timestamp;

use super::{MessageQuery, Result};
use crate::model::MessageId;

/// Dead letters at once: of a page, and of one write.
pub const MOST_LETTERS: usize = 500;

/// How dead letters are sent on their way again.
#[derive(Clone, Debug)]
pub struct Redrive {
    pub at: Timestamp,
    /// Who asked: the reason of each decision.
    pub reason: String,
}

/// What was given up, or is held since it may have been sent.
#[async_trait]
pub trait Letters {
    /// The ids of those that `query` means, oldest first and behind `query.after`.
    async fn letters(&self, query: &MessageQuery) -> Result<Vec<MessageId>>;

    /// Those of `ids` that are failed, unknown or expired fall due again, each with a new budget of
    /// attempts and its decision, in one write. Answers how many.
    async fn redrive(&self, ids: Vec<MessageId>, redrive: &Redrive) -> Result<u64>;
}

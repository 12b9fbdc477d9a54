use async_trait::async_trait;

use super::Result;
use crate::model::{Bounce, Message, ProviderName, Report};

/// A message of which its provider reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Reported {
    pub message: Message,
    pub sent_to: Bounce,
}

/// What providers say became of messages that they took.
#[async_trait]
pub trait Reports {
    /// The message that `provider` took under its own id `receipt`, if it was to report of it.
    async fn reported(&self, provider: &ProviderName, receipt: &str) -> Result<Option<Reported>>;

    /// Moves the message forward with the decision of why, and wakes the runs that wait for it.
    /// `false`: there is none, or it is there or further already, and nothing was changed.
    async fn report(&self, report: &Report) -> Result<bool>;
}

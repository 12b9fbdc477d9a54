use tokio::sync::Notify;

use crate::store::QueueName;

/// Tells this node's claimers that there may be new work. Only a hint: the rows are the truth,
/// and a claimer looks at them at least once a second.
#[derive(Default)]
pub struct Wake {
    events: Notify,
    runs: Notify,
    messages: Notify,
}

impl Wake {
    /// There is work in `queue`. Remembered until somebody waits for it.
    pub fn tell(&self, queue: QueueName) {
        self.of(queue).notify_one();
    }

    /// Returns once there was a [`Wake::tell`] that nobody has heard yet. One waits at a time.
    pub async fn told(&self, queue: QueueName) {
        self.of(queue).notified().await;
    }

    fn of(&self, queue: QueueName) -> &Notify {
        match queue {
            QueueName::Events => &self.events,
            QueueName::Runs => &self.runs,
            QueueName::Messages => &self.messages,
        }
    }
}

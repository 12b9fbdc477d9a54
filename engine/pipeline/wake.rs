use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::store::QueueName;

/// Tells this node's claimers that there may be new work, and says it to the other nodes. Only a
/// hint: the rows are the truth, and a claimer looks at them at least once a second.
#[derive(Default)]
pub struct Wake {
    events: Notify,
    runs: Notify,
    messages: Notify,
    /// What this node told and nobody passed on yet.
    untold: Mutex<Vec<QueueName>>,
    passing: Notify,
}

impl Wake {
    /// There is work in `queue`. Remembered until somebody waits for it.
    pub fn tell(&self, queue: QueueName) {
        self.hear(queue);
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        if !untold.contains(&queue) {
            untold.push(queue);
            self.passing.notify_one();
        }
    }

    /// Another node said that there is work in `queue`.
    pub fn hear(&self, queue: QueueName) {
        self.of(queue).notify_one();
    }

    /// Returns once there was a [`Wake::tell`] that nobody has heard yet. One waits at a time.
    pub async fn told(&self, queue: QueueName) {
        self.of(queue).notified().await;
    }

    /// What was told since the last call, for the other nodes; waits until there is something. One
    /// waits at a time.
    pub async fn untold(&self) -> Vec<QueueName> {
        loop {
            let untold =
                std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner));
            if !untold.is_empty() {
                return untold;
            }
            self.passing.notified().await;
        }
    }

    fn of(&self, queue: QueueName) -> &Notify {
        match queue {
            QueueName::Events => &self.events,
            QueueName::Runs => &self.runs,
            QueueName::Messages => &self.messages,
        }
    }
}

//! What the nodes of one store tell each other: that there may be work, so that a node need not
//! wait for its next look.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::pipeline::Wake;
use crate::store::Installation;

/// The least time between two things told.
const PAUSE: Duration = Duration::from_millis(100);

/// Speaks and listens until it is dropped.
pub(super) struct Neighbours(Vec<JoinHandle<()>>);

impl Neighbours {
    pub fn meet(store: &Arc<dyn Installation>, wake: &Arc<Wake>, clock: &Clock) -> Self {
        if !store.is_shared() {
            return Self(Vec::new());
        }
        let speaking = speak(store.clone(), wake.clone(), clock.clone());
        let listening = listen(store.clone(), wake.clone());
        Self(vec![tokio::spawn(speaking), tokio::spawn(listening)])
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

async fn speak(store: Arc<dyn Installation>, wake: Arc<Wake>, clock: Clock) {
    loop {
        let queues = wake.untold().await;
        if let Err(error) = store.tell(&queues).await {
            tracing::debug!(%error, "the other nodes were not told of new work");
        }
        clock.sleep(PAUSE).await;
    }
}

async fn listen(store: Arc<dyn Installation>, wake: Arc<Wake>) {
    loop {
        for queue in store.told().await {
            wake.hear(queue);
        }
    }
}

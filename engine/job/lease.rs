use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::model::Fence;
use crate::store::{QueueName, Store};

/// The fences of this node's claims, and how many jobs of each still go on.
#[derive(Default)]
pub(super) struct Leases {
    held: Mutex<HashMap<(QueueName, Fence), usize>>,
}

/// One job's share of a lease; dropped with the job.
pub(super) struct Held {
    leases: Arc<Leases>,
    of: (QueueName, Fence),
}

impl Leases {
    pub fn hold(self: &Arc<Self>, queue: QueueName, fence: Fence) -> Held {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held.entry((queue, fence)).or_default() += 1;
        Held { leases: self.clone(), of: (queue, fence) }
    }

    fn of(&self, queue: QueueName) -> Vec<Fence> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.keys().filter(|(of, _)| *of == queue).map(|(_, fence)| *fence).collect()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.leases.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = held.get_mut(&self.of) {
            *jobs -= 1;
            if *jobs == 0 {
                held.remove(&self.of);
            }
        }
    }
}

/// Lengthens the leases of what still goes on, at a third of their length. Its own task, so that
/// no slow batch can keep it from running (docs/decisions/0002, T1).
pub(super) async fn renew(
    leases: Arc<Leases>,
    store: Arc<dyn Store>,
    clock: Clock,
    lease: Duration,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = clock.sleep(lease / 3) => {}
            // Work may still go on after the stop; its leases outlast the grace.
            () = stop.cancelled() => return,
        }
        for queue in [QueueName::Events, QueueName::Runs, QueueName::Messages] {
            let fences = leases.of(queue);
            if fences.is_empty() {
                continue;
            }
            if let Err(error) = store.renew(queue, &fences, clock.after(lease)).await {
                tracing::warn!(%error, ?queue, "leases could not be renewed");
            }
        }
    }
}

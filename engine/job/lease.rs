use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::model::Fence;
use crate::store::{QueueName, Store};

/// How long a claim holds, and how often what holds it is looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub lease: Duration,
    pub renewal: Duration,
    /// Between two looks for the leases that others left behind.
    pub sweep: Duration,
}

impl Terms {
    /// Lease and sweep come to five sixths of `takeover`: the rest is for the clocks and for a
    /// slow store. Two renewals may fail before a live worker loses its lease.
    pub fn within(takeover: Duration) -> Self {
        let lease = takeover * 2 / 3;
        Self { lease, renewal: lease / 3, sweep: takeover / 6 }
    }
}

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

/// Lengthens the leases of what still goes on. Its own task, so that no slow batch can keep it
/// from running (docs/decisions/0002, T1). It never returns: at a stop, work that still goes on keeps
/// its leases.
pub(super) async fn renew(leases: Arc<Leases>, store: Arc<dyn Store>, clock: Clock, terms: Terms) {
    loop {
        clock.sleep(terms.renewal).await;
        for queue in [QueueName::Events, QueueName::Runs, QueueName::Messages] {
            let fences = leases.of(queue);
            if fences.is_empty() {
                continue;
            }
            if let Err(error) = store.renew(queue, &fences, clock.after(terms.lease)).await {
                tracing::warn!(%error, ?queue, "leases could not be renewed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_node_held_is_free_within_the_takeover() {
        for seconds in [5, 60, 600] {
            let takeover = Duration::from_secs(seconds);
            let Terms { lease, renewal, sweep } = Terms::within(takeover);
            assert!(lease + sweep < takeover);
            assert!(renewal * 2 < lease, "a renewal that fails may be repeated in time");
        }
    }
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::due::{Claimed, Due};
use super::lease::Leases;
use crate::clock::Clock;
use crate::pipeline::Wake;
use crate::store::{Claim, QueueName, Store, Unsent};
use crate::telemetry::RowsClaimed;

/// The rows are asked at least this often, whatever the hints say.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// The first wait after an error of the store; doubled up to [`LONGEST_SLEEP`].
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
/// Rows of one claim at most.
const LARGEST_CLAIM: usize = 200;

/// Claims rows for free workers, so that never more is leased than is being worked on.
pub(super) struct Claimer {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub wake: Arc<Wake>,
    pub leases: Arc<Leases>,
    pub lease: Duration,
    pub workers: usize,
    pub stop: CancellationToken,
}

impl Claimer {
    pub fn start<D: Due>(self) -> (mpsc::Receiver<Claimed<D>>, JoinHandle<()>) {
        let (sender, due) = mpsc::channel(self.workers);
        (due, tokio::spawn(self.claim(sender)))
    }

    async fn claim<D: Due>(self, sender: mpsc::Sender<Claimed<D>>) {
        let places = Arc::new(Semaphore::new(self.workers));
        let mut backoff = FIRST_BACKOFF;
        while let Some(mut free) = self.places(&places).await {
            let now = self.clock.now();
            let claim =
                Claim { now, until: self.clock.after(self.lease), limit: free.num_permits() };
            let began = Instant::now();
            let rest = match D::claim(&*self.store, claim).await {
                Ok(claimed) => {
                    let (queue, took) = (D::QUEUE.as_str(), began.elapsed());
                    RowsClaimed { queue, rows: claimed.len(), took }.emit();
                    backoff = FIRST_BACKOFF;
                    let drained = claimed.len() < claim.limit;
                    self.hand_over(claimed, &mut free, &sender).await;
                    drop(free);
                    if !drained {
                        continue;
                    }
                    self.until_next(D::QUEUE).await
                }
                Err(error) => {
                    tracing::warn!(%error, queue = ?D::QUEUE, "nothing could be claimed");
                    backoff = (backoff * 2).min(LONGEST_SLEEP);
                    backoff
                }
            };
            tokio::select! {
                () = self.clock.sleep(rest) => {}
                () = self.wake.told(D::QUEUE) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Free places, at least one; `None` at the stop.
    async fn places(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let first = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            first = places.clone().acquire_owned() => first.ok()?,
        };
        let more = places.available_permits().min(LARGEST_CLAIM - 1);
        let mut all = first;
        if more > 0
            && let Ok(more) = u32::try_from(more)
            && let Ok(rest) = places.clone().try_acquire_many_owned(more)
        {
            all.merge(rest);
        }
        Some(all)
    }

    async fn hand_over<D: Due>(
        &self,
        claimed: Vec<D>,
        free: &mut OwnedSemaphorePermit,
        sender: &mpsc::Sender<Claimed<D>>,
    ) {
        for due in claimed {
            let fence = match due.unsent() {
                Unsent::Event(_, fence) | Unsent::Run(_, fence) | Unsent::Message(_, fence) => {
                    fence
                }
            };
            let Some(place) = free.split(1) else { return };
            let lease = self.leases.hold(D::QUEUE, fence);
            if sender.send(Claimed { due, place, lease }).await.is_err() {
                return;
            }
        }
    }

    /// How long nothing will be due, as far as the rows say.
    async fn until_next(&self, queue: QueueName) -> Duration {
        let next = match self.store.next_due(queue).await {
            Ok(Some(next)) => next,
            Ok(None) | Err(_) => return LONGEST_SLEEP,
        };
        let wait = next.duration_since(self.clock.now());
        Duration::try_from(wait).unwrap_or_default().min(LONGEST_SLEEP)
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;

/// A worker stands in line for a turn no longer; the message comes back instead.
const PATIENCE: Duration = Duration::from_millis(500);
/// Calls that take so long on average are slow ones.
const SLOW: Duration = Duration::from_secs(1);

/// How many calls go on at once, and how long they take.
pub(super) struct Turns {
    free: Arc<Semaphore>,
    most: usize,
    /// At once, of calls that turn out slow.
    most_slow: usize,
    /// Those that wait for a turn now.
    waiting: AtomicUsize,
    /// Somebody waited in vain, and nothing has ended since.
    stuck: AtomicBool,
    /// The average call, in microseconds; the last ones count most.
    average: AtomicU64,
}

/// A call's place, given back when it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    place: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub fn new(most: usize, most_slow: usize) -> Self {
        let most = most.max(1);
        Self {
            free: Arc::new(Semaphore::new(most)),
            most,
            most_slow: most_slow.clamp(1, most),
            waiting: AtomicUsize::new(0),
            stuck: AtomicBool::new(false),
            average: AtomicU64::new(0),
        }
    }

    /// Takes a turn, waiting for it where that will not be long. `None`: the caller should come
    /// again later.
    pub async fn take(self: &Arc<Self>, clock: &Clock) -> Option<Turn> {
        if self.is_slow() && self.going_on() >= self.most_slow {
            return None;
        }
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            return Some(Turn { turns: self.clone(), place: Some(place) });
        }
        if self.stuck.load(Ordering::Relaxed) || self.expected() > PATIENCE {
            return None;
        }
        let _waiting = Waiting::begin(&self.waiting);
        tokio::select! {
            biased;
            place = self.free.clone().acquire_owned() => {
                Some(Turn { turns: self.clone(), place: place.ok() })
            }
            () = clock.sleep(PATIENCE) => {
                self.stuck.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    /// The time between two turns that come free, as things go; at least 5 ms.
    pub fn gap(&self) -> Duration {
        let most = if self.is_slow() { self.most_slow } else { self.most };
        (self.average() / u32::try_from(most).unwrap_or(u32::MAX)).max(Duration::from_millis(5))
    }

    pub fn most(&self) -> usize {
        self.most
    }

    pub fn took(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / 8);
        let average = self.average.load(Ordering::Relaxed);
        // Two that end at once may lose one of them: it is an estimate.
        self.average.store(average - average / 8 + took / 8, Ordering::Relaxed);
    }

    pub fn are_idle(&self) -> bool {
        self.going_on() == 0 && !self.is_slow()
    }

    fn going_on(&self) -> usize {
        self.most - self.free.available_permits().min(self.most)
    }

    fn is_slow(&self) -> bool {
        self.average() >= SLOW
    }

    fn average(&self) -> Duration {
        Duration::from_micros(self.average.load(Ordering::Relaxed))
    }

    /// How long one more would wait.
    fn expected(&self) -> Duration {
        let ahead = u32::try_from(self.waiting.load(Ordering::Relaxed) + 1).unwrap_or(u32::MAX);
        self.average().saturating_mul(ahead) / u32::try_from(self.most).unwrap_or(u32::MAX)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.place.take());
        // Most often it is not set, and a read disturbs no other core.
        if self.turns.stuck.load(Ordering::Relaxed) {
            self.turns.stuck.store(false, Ordering::Relaxed);
        }
    }
}

/// One that waits; counted until it is dropped, however its waiting ends.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[tokio::test]
    async fn a_hanging_provider_keeps_nobody_waiting_but_the_first() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 7);
        let turns = Arc::new(Turns::new(1, 1));
        let held = turns.take(&clock).await.expect("it is free");
        let mut waits = std::pin::pin!(turns.take(&clock));
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        clock.advance(PATIENCE);
        assert!(waits.await.is_none(), "it waited in vain");
        assert!(turns.take(&clock).await.is_none(), "and nobody else waits");
        drop(held);
        assert!(turns.take(&clock).await.is_some());
    }

    #[tokio::test]
    async fn a_turn_that_comes_soon_is_waited_for() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 7);
        let turns = Arc::new(Turns::new(1, 1));
        let held = turns.take(&clock).await.expect("it is free");
        let mut waits = std::pin::pin!(turns.take(&clock));
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        drop(held);
        assert!(waits.await.is_some());
    }

    #[tokio::test]
    async fn slow_calls_get_a_smaller_share() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 7);
        let turns = Arc::new(Turns::new(8, 2));
        (0..8).for_each(|_| turns.took(Duration::from_secs(4)));
        let _held = (turns.take(&clock).await, turns.take(&clock).await);
        assert!(turns.take(&clock).await.is_none());
        (0..32).for_each(|_| turns.took(Duration::from_millis(5)));
        assert!(turns.take(&clock).await.is_some());
    }
}

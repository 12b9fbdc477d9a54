//! Time and randomness: the only reader of either.
//!
//! Every stage is handed a [`Clock`]. The system clock runs by itself; the manual one stands
//! still until it is moved, so that `simulate` and the tests run the real pipeline through days
//! in milliseconds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::sync::oneshot;
use uuid::Uuid;

/// A source of time and randomness. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    System,
    Manual(Box<Mutex<Manual>>),
}

struct Manual {
    now: Timestamp,
    random: StdRng,
    /// The instant of the last id: where the clock is put back, ids still sort in the order of
    /// their making, as those of the system clock do.
    last_id: Timestamp,
    /// Counts ids made within one instant.
    ids: u16,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    slept: u64,
}

impl Clock {
    pub fn system() -> Self {
        Self(Arc::new(Source::System))
    }

    /// A clock that stands at `now` until it is moved, and draws its randomness from `seed`.
    pub fn manual(now: Timestamp, seed: u64) -> Self {
        let manual = Manual {
            now,
            random: StdRng::seed_from_u64(seed),
            last_id: now,
            ids: 0,
            sleepers: BTreeMap::new(),
            slept: 0,
        };
        Self(Arc::new(Source::Manual(Box::new(Mutex::new(manual)))))
    }

    /// The current instant, in whole milliseconds: what the store can hold.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System => milliseconds(system_now()),
            Source::Manual(manual) => lock(manual).now,
        }
    }

    /// A new UUIDv7 (RFC 9562 §5.7): ids of one process sort in the order of their making.
    pub fn id<I: From<Uuid>>(&self) -> I {
        I::from(match &*self.0 {
            Source::System => system_id(),
            Source::Manual(manual) => lock(manual).id(),
        })
    }

    /// `bytes.len()` unpredictable bytes (on the manual clock: those of its seed).
    pub fn fill_random(&self, bytes: &mut [u8]) {
        match &*self.0 {
            Source::System => system_random().fill_bytes(bytes),
            Source::Manual(manual) => lock(manual).random.fill_bytes(bytes),
        }
    }

    /// A number from `low` to `high`, both included.
    pub fn random_between(&self, low: i64, high: i64) -> i64 {
        match &*self.0 {
            Source::System => system_random().random_range(low..=high),
            Source::Manual(manual) => lock(manual).random.random_range(low..=high),
        }
    }

    /// Returns at the first instant not before `until`. Cancel-safe.
    pub async fn sleep_until(&self, until: Timestamp) {
        match &*self.0 {
            Source::System => {
                let wait = until.duration_since(system_now());
                tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
            }
            Source::Manual(manual) => {
                let woken = lock(manual).sleeper(until);
                if let Some(woken) = woken {
                    // The sender goes only with the clock itself: then nothing will wake any more.
                    let _ = woken.await;
                }
            }
        }
    }

    pub async fn sleep(&self, wait: Duration) {
        match &*self.0 {
            Source::System => tokio::time::sleep(wait).await,
            Source::Manual(_) => self.sleep_until(self.after(wait)).await,
        }
    }

    /// Now plus `wait`, held at the end of time.
    pub fn after(&self, wait: Duration) -> Timestamp {
        self.now().saturating_add(wait).unwrap_or(Timestamp::MAX)
    }

    /// Moves a manual clock forward and wakes those whose moment has come, earliest first.
    ///
    /// # Panics
    /// On the system clock: nobody can turn that.
    pub fn advance(&self, by: Duration) {
        self.set(self.after(by));
    }

    /// Sets a manual clock. Backwards is allowed: real clocks do it too.
    ///
    /// # Panics
    /// On the system clock.
    pub fn set(&self, now: Timestamp) {
        let Source::Manual(manual) = &*self.0 else {
            panic!("the system clock cannot be set");
        };
        let mut manual = lock(manual);
        manual.now = milliseconds(now);
        while let Some(first) = manual.sleepers.first_entry() {
            if first.key().0 > now {
                break;
            }
            let _ = first.remove().send(());
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Source::System => f.write_str("Clock::system"),
            Source::Manual(_) => write!(f, "Clock::manual({})", self.now()),
        }
    }
}

impl Manual {
    fn id(&mut self) -> Uuid {
        let mut bytes = [0; 10];
        self.random.fill_bytes(&mut bytes);
        if self.now > self.last_id {
            self.last_id = self.now;
            self.ids = 0;
        }
        bytes[..2].copy_from_slice(&self.ids.to_be_bytes());
        self.ids = self.ids.wrapping_add(1);
        let millis = u64::try_from(self.last_id.as_millisecond()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    fn sleeper(&mut self, until: Timestamp) -> Option<oneshot::Receiver<()>> {
        if until <= self.now {
            return None;
        }
        let (wake, woken) = oneshot::channel();
        self.slept += 1;
        self.sleepers.insert((until, self.slept), wake);
        Some(woken)
    }
}

/// The instant with everything below a millisecond cut off.
pub fn milliseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
fn system_now() -> Timestamp {
    Timestamp::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
fn system_id() -> Uuid {
    Uuid::now_v7()
}

#[expect(clippy::disallowed_methods, reason = "the one place that draws random numbers")]
fn system_random() -> rand::rngs::ThreadRng {
    rand::rng()
}

fn lock(manual: &Mutex<Manual>) -> MutexGuard<'_, Manual> {
    manual.lock().unwrap_or_else(PoisonError::into_inner)
}

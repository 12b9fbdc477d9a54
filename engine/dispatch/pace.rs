use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jiff::Timestamp;

use super::setback::Setback;
use crate::clock::Clock;
use crate::config::Rate;
use crate::shared::{self, Shared};

/// How fast providers may be called: a place for each call, evenly spaced, with a second's share
/// at once at most.
#[async_trait]
pub trait Pace: Send + Sync {
    /// Takes a call of `key`'s; else says when the next is free. Never waits for it, and never
    /// fails: one that cannot ask those it shares with decides by itself.
    async fn take(&self, key: &str, rate: Rate) -> Result<(), Timestamp>;
}

/// The pace of one node alone.
pub struct OwnPace {
    clock: Clock,
    limiters: Mutex<HashMap<String, Arc<Limiter>>>,
    setback: Setback,
}

/// The pace of all nodes that share a Redis; of this one alone while that is away.
pub struct SharedPace {
    shared: Shared,
    own: OwnPace,
    clock: Clock,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Nanos>>;

/// Our clock as the limiter's, so that it stands still in tests and `simulate` too.
#[derive(Clone)]
struct Ticks(Clock);

impl OwnPace {
    pub fn new(clock: Clock) -> Self {
        Self { clock, limiters: Mutex::default(), setback: Setback::default() }
    }

    /// There are as many as configured providers.
    fn limiter(&self, key: &str, rate: Rate) -> Arc<Limiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limiter) = limiters.get(key) {
            return limiter.clone();
        }
        let limiter = RateLimiter::direct_with_clock(quota(rate), Ticks(self.clock.clone()));
        let limiter = Arc::new(limiter);
        limiters.insert(key.to_owned(), limiter.clone());
        limiter
    }
}

#[async_trait]
impl Pace for OwnPace {
    async fn take(&self, key: &str, rate: Rate) -> Result<(), Timestamp> {
        if self.setback.noticed(self.clock.now()) {
            self.limiters.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let now = Ticks(self.clock.clone()).now();
        let wait = |full: governor::NotUntil<Nanos>| self.clock.after(full.wait_time_from(now));
        self.limiter(key, rate).check().map_err(wait)
    }
}

impl SharedPace {
    pub fn new(shared: Shared, clock: Clock) -> Self {
        Self { shared, own: OwnPace::new(clock.clone()), clock }
    }
}

#[async_trait]
impl Pace for SharedPace {
    async fn take(&self, key: &str, rate: Rate) -> Result<(), Timestamp> {
        let asked = shared::Rate { count: rate.count.get(), per: rate.per };
        match self.shared.take(&format!("provider:{key}"), asked).await {
            Some(taken) => taken.map_err(|wait| self.clock.after(wait)),
            None => self.own.take(key, rate).await,
        }
    }
}

/// The time between two calls.
pub(super) fn gap(rate: Rate) -> Duration {
    let nanos = rate.per.as_nanos() / u128::from(rate.count.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).max(1))
}

fn quota(rate: Rate) -> Quota {
    let gap = gap(rate);
    let per_second = Duration::from_secs(1).as_nanos() / gap.as_nanos();
    let burst = u32::try_from(per_second).ok().and_then(NonZeroU32::new);
    let quota = Quota::with_period(gap).unwrap_or_else(|| Quota::per_second(rate.count));
    quota.allow_burst(burst.unwrap_or(NonZeroU32::MIN))
}

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let millis = u64::try_from(self.0.now().as_millisecond()).unwrap_or_default();
        Nanos::new(millis.saturating_mul(1_000_000))
    }
}

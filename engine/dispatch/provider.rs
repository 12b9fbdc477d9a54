use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Installed;
use crate::channel::{Channel, Outcome, Traits};
use crate::clock::Clock;
use crate::config::{OnUnknown, Rate};
use crate::model::{Parcel, ProviderName};

type Limiter = RateLimiter<NotKeyed, InMemoryState, GovernorClock, NoOpMiddleware<Nanos>>;

/// A provider behind its limits.
pub(super) struct Gatekeeper {
    name: ProviderName,
    channel: Arc<dyn Channel>,
    rate: Option<Limiter>,
    turns: Semaphore,
    on_unknown: OnUnknown,
    clock: Clock,
}

/// Our clock as the limiter's, so that it stands still in tests and `simulate` too.
#[derive(Clone)]
struct GovernorClock(Clock);

impl Gatekeeper {
    pub fn new(installed: Installed, clock: Clock) -> Self {
        let limiter =
            |rate| RateLimiter::direct_with_clock(quota(rate), GovernorClock(clock.clone()));
        Self {
            name: installed.name,
            channel: installed.channel,
            rate: installed.rate.map(limiter),
            turns: Semaphore::new(installed.concurrency.max(1)),
            on_unknown: installed.on_unknown,
            clock,
        }
    }

    pub fn name(&self) -> &ProviderName {
        &self.name
    }

    pub fn traits(&self) -> &Traits {
        self.channel.traits()
    }

    pub fn retries_unknown(&self) -> bool {
        self.on_unknown == OnUnknown::Retry
    }

    /// Takes one send from the rate; else says when the next is free.
    pub fn take_rate(&self) -> Result<(), Timestamp> {
        let Some(rate) = &self.rate else { return Ok(()) };
        let now = GovernorClock(self.clock.clone()).now();
        rate.check().map_err(|full| self.clock.after(full.wait_time_from(now)))
    }

    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Closed never happens: nothing closes it.
        self.turns.acquire().await.ok()
    }

    pub async fn send(&self, parcel: &Parcel, deadline: Duration) -> Outcome {
        self.channel.send(parcel, deadline).await
    }
}

/// Evenly spaced: a burst of one second's share at most.
fn quota(rate: Rate) -> Quota {
    let nanos = rate.per.as_nanos() / u128::from(rate.count.get());
    let gap = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).max(1));
    let per_second = Duration::from_secs(1).as_nanos() / gap.as_nanos();
    let burst = u32::try_from(per_second).ok().and_then(std::num::NonZeroU32::new);
    let quota = Quota::with_period(gap).unwrap_or_else(|| Quota::per_second(rate.count));
    quota.allow_burst(burst.unwrap_or(std::num::NonZeroU32::MIN))
}

impl governor::clock::Clock for GovernorClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let millis = u64::try_from(self.0.now().as_millisecond()).unwrap_or_default();
        Nanos::new(millis.saturating_mul(1_000_000))
    }
}

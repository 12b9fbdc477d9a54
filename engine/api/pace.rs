use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::Reference;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter, middleware::NoOpMiddleware};

use crate::clock::Clock;
use crate::config;
use crate::model::UserId;

/// Users that are forgotten once their burst is whole again: looked for every so many requests.
const SWEEP_EVERY: u32 = 4096;

/// The inbox API's rate limit (NOTIF_007), by user: GCRA, in memory of the users of the last
/// seconds alone.
pub struct Pace {
    limiter: RateLimiter<UserId, HashMapStateStore<UserId>, Ticks, NoOpMiddleware<Tick>>,
    clock: Ticks,
    taken: AtomicU32,
}

/// Our clock as the limiter reads it.
#[derive(Clone)]
struct Ticks(Clock);

/// Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(u64);

impl Pace {
    pub fn new(server: &config::Server, clock: Clock) -> Self {
        let least = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(least(server.requests_per_second))
            .allow_burst(least(server.request_burst));
        let clock = Ticks(clock);
        let limiter = RateLimiter::hashmap_with_clock(quota, clock.clone());
        Self { limiter, clock, taken: AtomicU32::new(0) }
    }

    /// Takes one request of the user's; else after how many seconds to come again.
    pub fn take(&self, user: &UserId) -> Result<(), u64> {
        if self.taken.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(user).map_err(|not_until| {
            let wait = not_until.wait_time_from(governor::clock::Clock::now(&self.clock));
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}

impl governor::clock::Clock for Ticks {
    type Instant = Tick;

    fn now(&self) -> Tick {
        Tick(u64::try_from(self.0.now().as_nanosecond()).unwrap_or_default())
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Self) -> Nanos {
        Nanos::new(self.0.saturating_sub(earlier.0))
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.saturating_sub(duration.as_u64()))
    }
}

impl Add<Nanos> for Tick {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0.saturating_add(nanos.as_u64()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_the_rate_by_user() {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH, 1);
        let server =
            config::Server { requests_per_second: 2, request_burst: 3, ..Default::default() };
        let pace = Pace::new(&server, clock.clone());
        let (one, other) = (UserId::from("1"), UserId::from("2"));
        assert!((0..3).all(|_| pace.take(&one).is_ok()));
        assert_eq!(pace.take(&one), Err(1));
        assert_eq!(pace.take(&other), Ok(()));
        clock.advance(Duration::from_millis(500));
        assert_eq!(pace.take(&one), Ok(()));
        assert_eq!(pace.take(&one), Err(1));
    }

    #[test]
    fn users_of_long_ago_are_forgotten() {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH, 1);
        let pace = Pace::new(&config::Server::default(), clock.clone());
        for user in 0..SWEEP_EVERY - 1 {
            pace.take(&user.to_string().into()).expect("each is alone");
        }
        clock.advance(Duration::from_secs(60));
        pace.take(&"last".into()).expect("it is alone");
        assert_eq!(pace.limiter.len(), 1);
    }
}

use std::num::NonZeroU32;

use jiff::Timestamp;

use crate::clock::Clock;

/// Frames that were not taken before the connection is closed.
const STRIKES: u32 = 10;

/// A strike is forgotten after so many seconds without another.
const FORGIVEN_SECONDS: i64 = 60;

/// What is borne of one client: a rate, and a number of mistakes.
pub struct Patience {
    clock: Clock,
    rate: i64,
    /// GCRA: when the next frame would be due if they came at an even pace, in microseconds.
    due: i64,
    strikes: u32,
    struck_at: Timestamp,
}

impl Patience {
    /// `frames_per_second` frames a second, and as many at once. 0 counts as 1.
    pub fn new(frames_per_second: u32, clock: Clock) -> Self {
        let rate = NonZeroU32::new(frames_per_second).map_or(1, |rate| i64::from(rate.get()));
        let now = clock.now();
        Self { clock, rate, due: now.as_microsecond(), strikes: 0, struck_at: now }
    }

    /// Counts one frame; `false` if it came too fast.
    pub fn take(&mut self) -> bool {
        let now = self.clock.now().as_microsecond();
        let apart = 1_000_000 / self.rate;
        let due = self.due.max(now);
        if due - now > apart * (self.rate - 1) {
            return false;
        }
        self.due = due + apart;
        true
    }

    /// Counts one mistake; `true` when it is one too many.
    pub fn strike(&mut self) -> bool {
        let now = self.clock.now();
        if now.duration_since(self.struck_at).as_secs() >= FORGIVEN_SECONDS {
            self.strikes = 0;
        }
        self.struck_at = now;
        self.strikes += 1;
        self.strikes >= STRIKES
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_of_one_second_then_the_rate() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 1);
        let mut patience = Patience::new(20, clock.clone());
        assert_eq!((0..30).filter(|_| patience.take()).count(), 20);
        clock.advance(Duration::from_millis(100));
        assert_eq!((0..30).filter(|_| patience.take()).count(), 2);
        clock.advance(Duration::from_secs(10));
        assert_eq!((0..30).filter(|_| patience.take()).count(), 20);
    }

    #[test]
    fn mistakes_far_apart_are_forgiven() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 1);
        let mut patience = Patience::new(20, clock.clone());
        for _ in 0..100 {
            assert!(!patience.strike());
            clock.advance(Duration::from_secs(60));
        }
        assert_eq!((1..=20).find(|_| patience.strike()), Some(10));
    }
}

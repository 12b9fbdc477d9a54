use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::line::Line;
use super::turn::Turns;

/// What calls to a provider, or to one host behind it, pass through.
pub(super) struct Door {
    pub turns: Arc<Turns>,
    pub failures: Failures,
    /// Of those that could not go in.
    pub line: Line,
    /// It asked to be left alone until then, in milliseconds.
    rests_until: AtomicI64,
}

/// Failures in a row, within a window that the first of them opens.
#[derive(Default)]
pub(super) struct Failures {
    count: AtomicU32,
    first_at: Mutex<Timestamp>,
}

impl Door {
    pub fn new(most: usize, most_slow: usize) -> Arc<Self> {
        Arc::new(Self {
            turns: Arc::new(Turns::new(most, most_slow)),
            failures: Failures::default(),
            line: Line::default(),
            rests_until: AtomicI64::new(i64::MIN),
        })
    }

    pub fn rest_until(&self, until: Timestamp) {
        self.rests_until.fetch_max(until.as_millisecond(), Ordering::Relaxed);
    }

    /// Until when it asked to be left alone, if that is still to come.
    pub fn rests(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.rests_until.load(Ordering::Relaxed);
        if until <= now.as_millisecond() {
            return None;
        }
        Timestamp::from_millisecond(until).ok()
    }

    /// Whoever asked to be left alone may be asked, and nobody stands before.
    pub fn forget(&self) {
        self.rests_until.store(i64::MIN, Ordering::Relaxed);
        self.line.forget();
        self.failures.forget();
    }

    /// Nothing is known of it that one would miss.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.turns.are_idle() && self.failures.are_none() && self.rests(now).is_none()
    }
}

impl Failures {
    /// One more; answers how many there are.
    pub fn add(&self, now: Timestamp, window: Duration) -> u32 {
        let mut first_at = self.first_at.lock().unwrap_or_else(PoisonError::into_inner);
        let over = first_at.saturating_add(window).is_ok_and(|end| end <= now);
        if over || self.are_none() {
            *first_at = now;
            self.count.store(0, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn forget(&self) {
        // Most often there is none, and a read disturbs no other core.
        if !self.are_none() {
            self.count.store(0, Ordering::Relaxed);
        }
    }

    fn are_none(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_in_a_row_and_within_their_window() {
        let failures = Failures::default();
        let window = Duration::from_secs(60);
        let at = |second| Timestamp::from_second(second).expect("in range");
        assert_eq!((failures.add(at(1), window), failures.add(at(2), window)), (1, 2));
        failures.forget();
        assert_eq!(failures.add(at(3), window), 1, "one that went well ends the row");
        assert_eq!((failures.add(at(62), window), failures.add(at(63), window)), (2, 1));
    }
}

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// Less than this is how calls overtake each other, and how clocks are kept right. In milliseconds.
const TOLERATED: i64 = 5_000;

/// Notices that the clock was set back: what was to last for seconds would then last for as long
/// as the clock was wrong.
pub(super) struct Setback {
    latest: AtomicI64,
}

impl Default for Setback {
    fn default() -> Self {
        Self { latest: AtomicI64::new(i64::MIN) }
    }
}

impl Setback {
    /// Whether it was, since the last call. Of several callers one hears of it.
    pub fn noticed(&self, now: Timestamp) -> bool {
        let now = now.as_millisecond();
        let latest = self.latest.fetch_max(now, Ordering::Relaxed);
        let was = now < latest.saturating_sub(TOLERATED);
        let relaxed = Ordering::Relaxed;
        was && self.latest.compare_exchange(latest, now, relaxed, relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_is_noticed_once() {
        let setback = Setback::default();
        let noticed = |second| setback.noticed(Timestamp::from_second(second).expect("in range"));
        assert!(!noticed(1_000) && !noticed(2_000));
        assert!(!noticed(1_996), "calls overtake each other");
        assert!(noticed(1_500) && !noticed(1_500) && !noticed(1_600));
    }
}

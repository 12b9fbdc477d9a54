use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::model::Lane;

/// Moments for those who could not go now, one after the other with a gap between, so that they
/// do not all come back at one instant. Each lane has its own, so that nobody waits behind
/// another tenant's flood.
#[derive(Default)]
pub(super) struct Line {
    /// The end of each lane's line, in microseconds since 1970.
    ends: [AtomicI64; Lane::COUNT as usize],
}

/// How far from one another those stand that are put off.
#[derive(Clone, Copy)]
pub(super) struct Spacing {
    pub gap: Duration,
    /// Nobody is put off for longer at once: what was in the way may be gone.
    pub longest: Duration,
}

impl Line {
    /// Where the line of `lane` ends; `None` where nobody waits in it.
    pub fn end(&self, lane: Lane, now: Timestamp) -> Option<Timestamp> {
        let end = self.place(lane).load(Ordering::Relaxed);
        (end > now.as_microsecond()).then(|| moment(end))
    }

    /// A moment at the end of the line, not before `from`. Past `longest` from now, any in its
    /// second half.
    pub fn join(
        &self,
        lane: Lane,
        from: Timestamp,
        Spacing { gap, longest }: Spacing,
        clock: &Clock,
    ) -> Timestamp {
        let gap = i64::try_from(gap.as_micros()).unwrap_or(i64::MAX / 2);
        let from = from.as_microsecond();
        let longest = clock.after(longest).as_microsecond();
        let mut mine = from;
        // What does not fit in makes the line no longer.
        let joined = self.place(lane).fetch_update(Ordering::Relaxed, Ordering::Relaxed, |end| {
            mine = end.max(from);
            (mine <= longest).then(|| mine.saturating_add(gap))
        });
        if joined.is_err() {
            let now = clock.now().as_microsecond();
            mine = clock.random_between(now + (longest - now) / 2, longest);
        }
        moment(mine)
    }

    /// Nobody waits any more, or nobody knows for how long.
    pub fn forget(&self) {
        self.ends.iter().for_each(|end| end.store(0, Ordering::Relaxed));
    }

    fn place(&self, lane: Lane) -> &AtomicI64 {
        &self.ends[usize::from(lane.number())]
    }
}

/// Whole milliseconds, as the store has them, and never before it.
fn moment(micros: i64) -> Timestamp {
    let millis = micros.saturating_add(999).div_euclid(1000);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn ten_thousand_are_spread_and_none_waits_longer_than_ten_minutes() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 7);
        let line = Line::default();
        let gap = Duration::from_millis(100);
        let spacing = Spacing { gap, longest: Duration::from_secs(600) };
        let mut at = BTreeMap::<i64, usize>::new();
        for _ in 0..10_000 {
            let moment = line.join(Lane::default(), clock.now(), spacing, &clock);
            *at.entry(moment.as_second()).or_default() += 1;
        }
        assert!(at.last_key_value().is_some_and(|(last, _)| *last <= 600), "{at:?}");
        assert!(at.values().all(|count| *count < 100), "{at:?}");
        assert_eq!(at.get(&17), Some(&10));
    }

    #[test]
    fn a_lane_does_not_wait_behind_another() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 7);
        let line = Line::default();
        let second = Duration::from_secs(1);
        let spacing = Spacing { gap: second, longest: Duration::from_secs(600) };
        let (flood, other) = (Lane::of("acme"), Lane::of(""));
        for _ in 0..100 {
            line.join(flood, clock.now(), spacing, &clock);
        }
        assert_eq!(line.end(flood, clock.now()), Some(clock.after(Duration::from_secs(100))));
        assert_eq!(line.end(other, clock.now()), None);
        let mine = line.join(other, clock.now(), spacing, &clock);
        assert_eq!(mine, clock.now());
    }
}

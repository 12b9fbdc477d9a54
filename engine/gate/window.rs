use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Hours of the local wall clock: from `start`, `end` left out; over midnight where `end` is the
/// smaller. The two are never equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    start: Time,
    end: Time,
}

impl Window {
    /// `None` where the two are equal: nobody could say whether that is never or always.
    pub fn new(start: Time, end: Time) -> Option<Self> {
        (start != end).then_some(Self { start, end })
    }

    /// Whether the wall clock of `zone` stands in the window at `at`.
    pub fn is_quiet(&self, zone: &TimeZone, at: Timestamp) -> bool {
        self.holds(zone.to_datetime(at).time())
    }

    /// The first instant, not before `now`, that is not quiet.
    ///
    /// By instants alone, so that it is right where the wall clock is turned: a window may end in
    /// hours that a gap leaves out, and one that ended may begin again where the clock is set back.
    pub fn release(&self, zone: &TimeZone, now: Timestamp) -> Timestamp {
        let mut at = now;
        // Between two turns of the clock the offset stands still, and within 24 hours of that the
        // window ends: the loop goes once for each turn within the window.
        loop {
            let local = zone.to_datetime(at).time();
            if !self.holds(local) {
                return at;
            }
            let ends = at.saturating_add(self.left(local)).unwrap_or(Timestamp::MAX);
            match zone.following(at).next() {
                // At the very end too: what the clock shows then is not the end.
                Some(turn) if turn.timestamp() <= ends => at = turn.timestamp(),
                _ => return ends,
            }
        }
    }

    fn holds(&self, local: Time) -> bool {
        if self.start < self.end {
            self.start <= local && local < self.end
        } else {
            self.start <= local || local < self.end
        }
    }

    /// How long the wall clock takes from `local` to the window's end, if nobody turns it.
    fn left(&self, local: Time) -> SignedDuration {
        let left = self.end.duration_since(local);
        if left.is_positive() { left } else { left + SignedDuration::from_hours(24) }
    }
}

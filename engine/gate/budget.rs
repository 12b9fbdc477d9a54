//! Gate 7: has the recipient had enough?
//!
//! What left counts for 60 minutes and for 24 hours, over all workflows and all channels that
//! interrupt. The gate decides by what the store told; that nobody else spent the same place in
//! the meantime is made sure of in the write that lets the message leave.

use jiff::{SignedDuration, Timestamp};

use super::{Defaults, Facts, Reason, Says, preferences};
use crate::model::{Limits, Planned};
use crate::workflow::step::WhenHeld;

pub(super) fn ask(planned: &Planned, facts: &Facts<'_>) -> Says {
    let put_off = facts.step.over_limit;
    if !facts.traits.interrupts || facts.left_before || put_off == WhenHeld::Ignore {
        return Says::Pass;
    }
    let limits = limits(planned, facts.defaults);
    let full = [
        Rolling { most: limits.max_per_hour, hours: 1, code: "budget.hour" },
        Rolling { most: limits.max_per_day, hours: 24, code: "budget.day" },
    ];
    let full = full.into_iter().filter_map(|limit| limit.full(facts));
    let Some(full) = full.max_by_key(|full| (full.until.is_none(), full.until)) else {
        return Says::Pass;
    };
    let reason = |what: &str| {
        let (most, hours) = (full.most, full.hours);
        let span = if hours == 1 { "an hour" } else { "a day" };
        Reason {
            code: full.code,
            reason: format!("{what}: the recipient wants at most {most} {span}").into(),
            rule: Some(rule(planned, &full)),
        }
    };
    if facts.critical(planned) {
        return Says::Waived(reason("critical: passes the limit"));
    }
    let Some(until) = full.until.filter(|_| put_off != WhenHeld::Drop) else {
        return Says::drop(reason("not sent"));
    };
    if put_off == WhenHeld::Batch {
        return Says::hold(reason("gathered with others"), until, true);
    }
    Says::hold(reason("held"), until, false)
}

/// How much the recipient wants to hear: what the user said, else what the configuration says.
pub fn limits(planned: &Planned, defaults: &Defaults) -> Limits {
    let own = preferences(planned).and_then(|said| said.frequency_limits).unwrap_or_default();
    defaults.limits_of(own)
}

/// One limit over the hours before now.
struct Rolling {
    most: Option<u32>,
    hours: i64,
    code: &'static str,
}

/// A limit that is used up.
struct Full {
    most: u32,
    hours: i64,
    code: &'static str,
    /// When there is room again; `None`: never, the limit is 0.
    until: Option<Timestamp>,
}

impl Rolling {
    fn full(self, facts: &Facts<'_>) -> Option<Full> {
        let Self { most, hours, code } = self;
        let most = most?;
        let window = SignedDuration::from_hours(hours);
        let until = room(&facts.past.spent, facts.past.ahead, most, window, facts.now)?;
        Some(Full { most, hours, code, until: (most > 0).then_some(until) })
    }
}

/// When `most` is no longer reached, if it is now. `spent` in the order of time; `ahead` others
/// that wait too come first, and count as if they left now.
fn room(
    spent: &[Timestamp],
    ahead: usize,
    most: u32,
    window: SignedDuration,
    now: Timestamp,
) -> Option<Timestamp> {
    let since = now.saturating_sub(window).unwrap_or(Timestamp::MIN);
    let counting = spent.iter().copied().filter(|at| *at > since);
    let counting: Vec<Timestamp> = counting.chain(std::iter::repeat_n(now, ahead)).collect();
    let over = counting.len().checked_sub(usize::try_from(most).unwrap_or(usize::MAX))?;
    let frees = counting.get(over).copied().unwrap_or(now);
    Some(frees.saturating_add(window).unwrap_or(Timestamp::MAX))
}

fn rule(planned: &Planned, full: &Full) -> String {
    let name = if full.hours == 1 { "max_per_hour" } else { "max_per_day" };
    let own = preferences(planned).and_then(|said| said.frequency_limits);
    let own = own.and_then(|own| if full.hours == 1 { own.max_per_hour } else { own.max_per_day });
    match (own, planned.recipient.id()) {
        (Some(_), Some(user)) => format!("user {user}: frequency_limits.{name}"),
        _ => format!("engine.budgets.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).expect("a moment")
    }

    #[test]
    fn there_is_room_when_enough_of_the_window_has_passed() {
        let spent = [minute(0), minute(10), minute(20)];
        let ask = |most, ahead, now| room(&spent, ahead, most, HOUR, minute(now));
        assert_eq!(ask(4, 0, 30), None);
        assert_eq!(ask(3, 0, 30), Some(minute(60)), "the first of three leaves the window");
        assert_eq!(ask(2, 0, 30), Some(minute(70)), "two have to leave it");
        assert_eq!(ask(3, 0, 60), None, "what left an hour ago counts no more");
        assert_eq!(ask(3, 0, 59), Some(minute(60)));
        assert_eq!(ask(3, 1, 60), Some(minute(70)), "one that waits longer goes first");
        assert_eq!(ask(3, 3, 60), Some(minute(120)), "all places go to those ahead");
        assert_eq!(ask(4, 2, 30), Some(minute(70)), "two too many");
    }
}

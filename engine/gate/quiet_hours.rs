//! Gate 6: is it night for the recipient?

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Facts, Reason, Says, Window, preferences};
use crate::model::{Planned, QuietHours};
use crate::workflow::step::WhenHeld;

pub(super) fn ask(planned: &Planned, facts: &Facts<'_>) -> Says {
    let put_off = facts.step.quiet_hours;
    if !facts.traits.interrupts || put_off == WhenHeld::Ignore {
        return Says::Pass;
    }
    let Some(night) = Night::of(planned, facts) else { return Says::Pass };
    let until = night.window.release(&night.zone.zone, facts.now);
    if until <= facts.now {
        return Says::Pass;
    }
    let reason = |code, what: &str| Reason {
        code,
        reason: format!("{what} {}", night.by(until)).into(),
        rule: Some(night.rule.clone()),
    };
    if facts.critical(planned) {
        return Says::Waived(reason("quiet_hours.held", "critical: passes; would be held"));
    }
    match put_off {
        WhenHeld::Drop => Says::drop(reason("quiet_hours.dropped", "not kept")),
        // What may be with a provider already is told by itself.
        WhenHeld::Batch if !facts.left_before => {
            let reason = reason("quiet_hours.batched", "gathered with others");
            Says::hold(reason, until, true)
        }
        WhenHeld::Batch | WhenHeld::Defer | WhenHeld::Ignore => {
            Says::hold(reason("quiet_hours.held", "held"), until, false)
        }
    }
}

/// A zone, its name, and whether nobody named it.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub name: String,
    pub zone: TimeZone,
    pub assumed: bool,
}

/// The recipient's quiet hours, or those of the configuration.
struct Night {
    window: Window,
    zone: Zone,
    whose: String,
    rule: String,
}

impl Night {
    /// `None`: nobody wants quiet hours, or the recipient switched them off.
    fn of(planned: &Planned, facts: &Facts<'_>) -> Option<Self> {
        let own = preferences(planned).and_then(|said| said.quiet_hours.as_ref());
        let QuietHours { enabled, start_time, end_time, timezone } =
            own.or(facts.defaults.quiet_hours.as_ref())?;
        let window = Window::new(*start_time, *end_time).filter(|_| *enabled)?;
        let named = [timezone.as_deref(), planned.recipient.time_zone()];
        let zone = named.into_iter().flatten().find_map(Zone::named);
        let zone = zone.unwrap_or_else(|| facts.defaults.zone());
        let (whose, rule) = match (own, planned.recipient.id()) {
            (Some(_), Some(user)) => {
                (format!("quiet hours of user {user}"), format!("user {user}: quiet_hours"))
            }
            _ => ("the configured quiet hours".into(), "engine.quiet_hours".into()),
        };
        Some(Self { window, zone, whose, rule })
    }

    /// `until 08:00 Africa/Tunis by quiet hours of user 42`.
    fn by(&self, until: Timestamp) -> String {
        let local = self.zone.zone.to_datetime(until).time();
        let mut text = format!("until {:02}:{:02}", local.hour(), local.minute());
        // Writing into text cannot fail.
        if local.second() != 0 {
            let _ = write!(text, ":{:02}", local.second());
        }
        let _ = write!(text, " {} by {}", self.zone.name, self.whose);
        if self.zone.assumed {
            text.push_str(", in the configured default zone: none is known of the recipient");
        }
        text
    }
}

impl Zone {
    /// `None` for a name that the bundled database does not have.
    pub fn named(name: &str) -> Option<Self> {
        let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())?;
        Some(Self { name: name.to_owned(), zone, assumed: false })
    }
}

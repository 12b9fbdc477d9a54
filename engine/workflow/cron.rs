//! Moments that come round, as a crontab writes them.

mod field;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use field::{DAYS, Field, HOURS, MINUTES, MONTHS, WEEKDAYS};

/// A moment further ahead than this is none: ten years hold every 29 February.
const HORIZON_DAYS: i32 = 3_653;

/// Five fields: minute, hour, day of the month, month, day of the week; or `@daily` and its like.
///
/// Lists, ranges, steps and the names of months and days are known. Where both days are named,
/// either will do, unless one begins with `*` or `?`, as in every crontab. It has no zone of its
/// own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: Arc<str>,
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

/// Why a text is no cron.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadCron {
    pub message: String,
    /// In bytes of the text.
    pub span: Range<usize>,
    pub hint: Option<&'static str>,
}

impl Cron {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its first moment after `after`, by the clocks of `zone`.
    ///
    /// A local time that the clocks jump over fires at the first instant after the jump; one that
    /// they show twice fires once, the first time. `None`: it does not fire within ten years.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = zone.to_datetime(after);
        let last = local.date().saturating_add(HORIZON_DAYS.days());
        let mut from = next_minute(local)?;
        loop {
            let found = self.next_local(from, last)?;
            // The second time that the clocks show it: it has fired the first time.
            match instant(found, zone) {
                Some(instant) if instant > after => return Some(instant),
                _ => from = next_minute(found)?,
            }
        }
    }

    /// Whether there is any moment at all: `0 0 30 2 *` has none.
    pub fn fires(&self) -> bool {
        self.next_after(Timestamp::UNIX_EPOCH, &TimeZone::UTC).is_some()
    }

    /// The first local time that it names, from `from` on.
    fn next_local(&self, from: DateTime, last: Date) -> Option<DateTime> {
        let mut date = from.date();
        let (mut hour, mut minute) = (from.hour(), from.minute());
        while date <= last {
            if !self.months.has(date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
            } else {
                if self.on_day(date)
                    && let Some((hour, minute)) = self.time_from(hour, minute)
                {
                    return Some(date.at(hour, minute, 0, 0));
                }
                date = date.tomorrow().ok()?;
            }
            (hour, minute) = (0, 0);
        }
        None
    }

    fn on_day(&self, date: Date) -> bool {
        let day = self.days.has(date.day());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        match self.days.starred || self.weekdays.starred {
            true => day && weekday,
            false => day || weekday,
        }
    }

    fn time_from(&self, hour: i8, minute: i8) -> Option<(i8, i8)> {
        if self.hours.has(hour)
            && let Some(minute) = self.minutes.from(minute)
        {
            return Some((hour, minute));
        }
        Some((self.hours.from(hour + 1)?, self.minutes.from(0)?))
    }
}

impl FromStr for Cron {
    type Err = BadCron;

    fn from_str(text: &str) -> Result<Self, BadCron> {
        let written = text.trim();
        let fields = match written.strip_prefix('@') {
            Some(name) => field::nickname(name).ok_or_else(|| field::no_nickname(text))?,
            None => text,
        };
        let [minutes, hours, days, months, weekdays] = field::split(fields)?;
        Ok(Self {
            text: written.into(),
            minutes: MINUTES.parse(minutes)?,
            hours: HOURS.parse(hours)?,
            days: DAYS.parse(days)?,
            months: MONTHS.parse(months)?,
            weekdays: WEEKDAYS.parse(weekdays)?,
        })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn next_minute(local: DateTime) -> Option<DateTime> {
    let minute = local.date().at(local.hour(), local.minute(), 0, 0);
    minute.checked_add(1.minute()).ok()
}

/// When the clocks of `zone` show `local` first; where they jump over it, the end of the jump.
fn instant(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
        AmbiguousOffset::Gap { before, after } => jump(local, before, after, zone),
    }
}

/// The clocks jump at an instant between the two readings of a local time inside the gap.
fn jump(local: DateTime, before: Offset, after: Offset, zone: &TimeZone) -> Option<Timestamp> {
    let earliest = after.to_timestamp(local).ok()?;
    let latest = before.to_timestamp(local).ok()?;
    let mut jumps = zone.following(earliest).take_while(|jump| jump.timestamp() <= latest);
    let found = jumps.find(|jump| jump.offset() == after).map(|jump| jump.timestamp());
    Some(found.unwrap_or(latest))
}

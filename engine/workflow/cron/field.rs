use std::ops::Range;

use super::BadCron;

/// The values that one field allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    bits: u64,
    /// It begins with `*` or `?`.
    pub(super) starred: bool,
}

/// What may stand in a field.
pub(super) struct Kind {
    name: &'static str,
    low: u8,
    high: u8,
    /// Words for values, from `low` on.
    words: &'static [&'static str],
}

/// A field's text, and where it begins.
pub(super) type Written<'a> = (usize, &'a str);

pub(super) const MINUTES: Kind = Kind { name: "minute", low: 0, high: 59, words: &[] };
pub(super) const HOURS: Kind = Kind { name: "hour", low: 0, high: 23, words: &[] };
pub(super) const DAYS: Kind = Kind { name: "day of the month", low: 1, high: 31, words: &[] };
pub(super) const MONTHS: Kind = Kind {
    name: "month",
    low: 1,
    high: 12,
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// 0 and 7 are Sunday.
pub(super) const WEEKDAYS: Kind = Kind {
    name: "day of the week",
    low: 0,
    high: 7,
    words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// `daily` of `@daily`, as fields.
pub(super) fn nickname(name: &str) -> Option<&'static str> {
    Some(match name {
        "yearly" | "annually" => "0 0 1 1 *",
        "monthly" => "0 0 1 * *",
        "weekly" => "0 0 * * 0",
        "daily" | "midnight" => "0 0 * * *",
        "hourly" => "0 * * * *",
        _ => return None,
    })
}

pub(super) fn no_nickname(text: &str) -> BadCron {
    let message = format!("`{}` is no cron", text.trim());
    let hint = "there are `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly`";
    BadCron { message, span: 0..text.len(), hint: Some(hint) }
}

/// The five fields.
pub(super) fn split(text: &str) -> Result<[Written<'_>; 5], BadCron> {
    let mut fields = Vec::with_capacity(5);
    let mut at = 0;
    for part in text.split(char::is_whitespace) {
        if !part.is_empty() {
            fields.push((at, part));
        }
        // White space of more than a byte is longer than the split says; what it splits is not.
        at += part.len();
        at += text[at..].chars().next().map_or(0, char::len_utf8);
    }
    let found = fields.len();
    fields.try_into().map_err(|_| BadCron {
        message: format!("a cron has five fields, not {found}"),
        span: 0..text.len(),
        hint: Some("minute, hour, day of the month, month, day of the week: `30 8 * * mon-fri`"),
    })
}

impl Field {
    pub(super) fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| value < 64 && self.bits >> value & 1 == 1)
    }

    /// The first value from `value` on.
    pub(super) fn from(self, value: i8) -> Option<i8> {
        let value = u32::try_from(value).ok().filter(|value| *value < 64)?;
        let rest = self.bits >> value;
        let found = value + rest.trailing_zeros();
        if rest == 0 { None } else { i8::try_from(found).ok() }
    }
}

impl Kind {
    pub(super) fn parse(&self, (start, text): Written<'_>) -> Result<Field, BadCron> {
        let mut bits = 0_u64;
        let mut at = start;
        for item in text.split(',') {
            bits |= self.item(at, item)?;
            at += item.len() + 1;
        }
        if self.high == 7 && bits & 1 << 7 != 0 {
            bits |= 1;
        }
        Ok(Field { bits, starred: text.starts_with(['*', '?']) })
    }

    /// `*`, `5`, `1-5`, `*/15`, `10-40/5`, `20/5`.
    fn item(&self, at: usize, item: &str) -> Result<u64, BadCron> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some((at + range.len() + 1, step))),
            None => (item, None),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.low, self.highest()),
            Some((low, high)) => {
                let high_at = at + low.len() + 1;
                let low = self.value(at, low)?;
                let high = self.value(high_at, high)?;
                // `fri-sun`: the week ends with the day it begins with.
                let high = if self.high == 7 && high == 0 && low > 0 { 7 } else { high };
                (low, high)
            }
            None => {
                let value = self.value(at, range)?;
                (value, if step.is_some() { self.highest() } else { value })
            }
        };
        if low > high {
            let message = format!("`{range}` runs backwards");
            let hint = Some("write it as two: `22-23,0-5`");
            return Err(BadCron { message, span: at..at + range.len(), hint });
        }
        let step = match step {
            Some((at, text)) => self.step(at, text)?,
            None => 1,
        };
        Ok((low..=high).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    /// A Sunday is counted once where all days are meant.
    fn highest(&self) -> u8 {
        if self.high == 7 { 6 } else { self.high }
    }

    fn step(&self, at: usize, text: &str) -> Result<usize, BadCron> {
        match text.parse() {
            Ok(step) if step > 0 => Ok(step),
            _ => Err(self.wrong(at..at + text.len(), format!("`{text}` is no step"))),
        }
    }

    fn value(&self, at: usize, text: &str) -> Result<u8, BadCron> {
        let word = text.to_ascii_lowercase();
        if let Some(index) = self.words.iter().position(|other| *other == word) {
            return Ok(self.low + u8::try_from(index).unwrap_or_default());
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u8>() {
            Ok(value) if digits && (self.low..=self.high).contains(&value) => Ok(value),
            _ => {
                let message = format!("`{text}` is no {}", self.name);
                Err(self.wrong(at..at + text.len(), message))
            }
        }
    }

    fn wrong(&self, span: Range<usize>, message: String) -> BadCron {
        let Self { low, high, .. } = self;
        let message = format!("{message}: values go from {low} to {high}");
        BadCron { message, span, hint: None }
    }
}

//! How languages write days, hours, plurals and money, after CLDR. For a language that is not here
//! they are written as the standards have it, which everybody can read: `2026-11-21 14:30`,
//! `1 234.50 EUR`.

use jiff::Zoned;
use jiff::civil::Date;

/// A language's conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// Month first, twelve hours.
    American,
    English,
    French,
    /// ISO 8601, ISO 4217.
    Standard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Short,
    Medium,
    /// With the day's name, and the zone of a time.
    Long,
}

const ENGLISH_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const ENGLISH_SHORT: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const ENGLISH_DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const FRENCH_MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];
const FRENCH_SHORT: [&str; 12] = [
    "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.",
    "déc.",
];
const FRENCH_DAYS: [&str; 7] =
    ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"];

impl Language {
    /// By BCP 47 tag; `en` alone, and no tag at all, are American.
    pub(super) fn of(locale: &str) -> Self {
        let mut tags = locale.split(['-', '_']);
        let language = tags.next().unwrap_or_default();
        let region = tags.find(|tag| tag.len() == 2).unwrap_or_default();
        let american = ["", "US", "CA", "PH"].iter().any(|own| region.eq_ignore_ascii_case(own));
        if language.eq_ignore_ascii_case("fr") {
            Self::French
        } else if !language.is_empty() && !language.eq_ignore_ascii_case("en") {
            Self::Standard
        } else if american {
            Self::American
        } else {
            Self::English
        }
    }

    pub(super) fn date(self, date: Date, length: Length) -> String {
        let (year, day) = (date.year(), date.day());
        let month = self.month(date, length);
        let written = match self {
            Self::American => format!("{month} {day}, {year}"),
            Self::French if day == 1 => format!("1er {month} {year}"),
            Self::English | Self::French => format!("{day} {month} {year}"),
            Self::Standard => return date.to_string(),
        };
        if length != Length::Long {
            return written;
        }
        let index = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
        match self {
            Self::American => format!("{}, {written}", ENGLISH_DAYS[index]),
            Self::English | Self::Standard => format!("{} {written}", ENGLISH_DAYS[index]),
            Self::French => format!("{} {written}", FRENCH_DAYS[index]),
        }
    }

    pub(super) fn time(self, moment: &Zoned, length: Length) -> String {
        let (hour, minute) = (moment.hour(), moment.minute());
        let written = match self {
            Self::American => {
                let half = if hour < 12 { "AM" } else { "PM" };
                format!("{}:{minute:02} {half}", (hour + 11) % 12 + 1)
            }
            Self::English | Self::French | Self::Standard => format!("{hour:02}:{minute:02}"),
        };
        match length {
            Length::Long => format!("{written} {}", moment.strftime("%Z")),
            Length::Short | Length::Medium => written,
        }
    }

    pub(super) fn date_time(self, moment: &Zoned, length: Length) -> String {
        let joint = match (length, self) {
            (_, Self::Standard) => " ",
            (Length::Short, _) => ", ",
            (_, Self::French) => " à ",
            (_, Self::American | Self::English) => " at ",
        };
        format!("{}{joint}{}", self.date(moment.date(), length), self.time(moment, length))
    }

    /// Whether the singular is used: in French, for everything below two.
    pub(super) fn is_one(self, number: f64) -> bool {
        match self {
            Self::French => number.abs() < 2.0,
            Self::American | Self::English | Self::Standard => (number - 1.0).abs() < f64::EPSILON,
        }
    }

    /// An amount given by its digits (`1234.50`).
    pub(super) fn money(
        self,
        digits: &str,
        negative: bool,
        code: &str,
        symbol: Option<&str>,
    ) -> String {
        let (whole, cents) = digits.split_once('.').unwrap_or((digits, ""));
        let sign = if negative { "-" } else { "" };
        let (separator, point) = match self {
            Self::French => ('\u{a0}', ','),
            Self::Standard => ('\u{a0}', '.'),
            Self::American | Self::English => (',', '.'),
        };
        let mut amount = grouped(whole, separator);
        if !cents.is_empty() {
            amount.push(point);
            amount.push_str(cents);
        }
        match (self, symbol) {
            (Self::French, _) => format!("{sign}{amount}\u{a0}{}", symbol.unwrap_or(code)),
            (Self::Standard, _) => format!("{sign}{amount}\u{a0}{code}"),
            (_, Some(symbol)) => format!("{sign}{symbol}{amount}"),
            (_, None) => format!("{sign}{code}\u{a0}{amount}"),
        }
    }

    fn month(self, date: Date, length: Length) -> &'static str {
        let names = match (self, length) {
            (Self::French, Length::Short) => &FRENCH_SHORT,
            (Self::French, _) => &FRENCH_MONTHS,
            (_, Length::Short) => &ENGLISH_SHORT,
            _ => &ENGLISH_MONTHS,
        };
        names[usize::from(date.month().unsigned_abs() - 1)]
    }
}

fn grouped(whole: &str, separator: char) -> String {
    let mut grouped = String::with_capacity(whole.len() * 2);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(separator);
        }
        grouped.push(digit);
    }
    grouped
}

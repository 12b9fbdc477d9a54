//! What each helper takes: for the checks of files, and for the reference of their writers.

use std::collections::HashMap;
use std::fmt::Write;

use handlebars::template::Parameter;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// One helper that gives a value.
pub(in crate::template) struct Signature {
    pub(in crate::template) name: &'static str,
    values: &'static [(&'static str, Takes)],
    /// So many of the last values may be left out.
    optional: usize,
    /// More values of the last kind may follow.
    more: bool,
    options: &'static [(&'static str, Takes)],
    /// An option that stands for the last value.
    instead: Option<&'static str>,
    says: &'static str,
    example: &'static str,
    gives: &'static str,
}

#[derive(Clone, Copy)]
enum Takes {
    Anything,
    /// Written as text: no list and no object.
    Shown,
    Number,
    Moment,
    /// A whole number above 0.
    Length,
    Currency,
    Zone,
    Truth,
    OneOf(&'static [&'static str]),
}

use Takes::{Anything, Currency, Length, Moment, Number, OneOf, Shown, Truth, Zone};

const DATE_FORMATS: Takes = OneOf(&["short", "medium", "long", "time", "datetime"]);
const FORMATS: Takes = OneOf(&["short", "medium", "long"]);

const NONE: Signature = Signature {
    name: "",
    values: &[],
    optional: 0,
    more: false,
    options: &[],
    instead: None,
    says: "",
    example: "",
    gives: "",
};

const ALL: [Signature; 21] = [
    Signature {
        name: "date",
        values: &[("moment", Moment), ("format", DATE_FORMATS)],
        optional: 1,
        options: &[("format", DATE_FORMATS), ("zone", Zone)],
        says: "the day of an RFC 3339 moment, in the recipient's zone and language; a date alone \
               stays that date",
        example: "{{date event.data.at}}",
        gives: "November 21, 2026",
        ..NONE
    },
    Signature {
        name: "time",
        values: &[("moment", Moment), ("format", FORMATS)],
        optional: 1,
        options: &[("format", FORMATS), ("zone", Zone)],
        says: "its time of day; `long` adds the zone",
        example: "{{time event.data.at \"long\"}}",
        gives: "2:30 PM CET",
        ..NONE
    },
    Signature {
        name: "datetime",
        values: &[("moment", Moment), ("format", FORMATS)],
        optional: 1,
        options: &[("format", FORMATS), ("zone", Zone)],
        says: "both",
        example: "{{datetime event.data.at \"long\"}}",
        gives: "Saturday, November 21, 2026 at 2:30 PM CET",
        ..NONE
    },
    Signature {
        name: "plural",
        values: &[("number", Number), ("one", Anything), ("other", Anything)],
        says: "the form that the recipient's language has for the number; in French, 0 and 1.5 \
               are singular",
        example: "{{count}} {{plural count \"item\" \"items\"}}",
        gives: "3 items",
        ..NONE
    },
    Signature {
        name: "money",
        values: &[("amount", Number), ("currency", Currency)],
        options: &[("minor", Truth)],
        says: "an amount of an ISO 4217 currency, with its number of decimals; with `minor=true` \
               the amount is in cents (or what the currency has in their place)",
        example: "{{money event.data.total \"USD\"}}",
        gives: "$1,234.50",
        ..NONE
    },
    Signature {
        name: "truncate",
        values: &[("text", Shown), ("length", Length)],
        options: &[("segments", Length)],
        instead: Some("segments"),
        says: "at most so much of a text, with an ellipsis where it was cut, never within a \
               character as readers see them. In `sms` the length is in GSM-7 characters, 160 to \
               a message; a text that needs UCS-2 takes its 16 bits from the same room (70 to a \
               message), and `segments` counts messages. In `push` the length is in bytes",
        example: "{{truncate event.data.note 20}}",
        gives: "The parcel is at yo…",
        ..NONE
    },
    Signature {
        name: "url",
        values: &[("text", Shown)],
        says: "percent-encoded, as one segment of a path or one value of a query",
        example: "/orders/{{url event.data.order}}",
        gives: "/orders/A%2F7",
        ..NONE
    },
    Signature {
        name: "default",
        values: &[("value", Anything), ("fallback", Anything)],
        says: "the fallback for a missing value, null and the empty text",
        example: "{{default recipient.first_name \"there\"}}",
        gives: "there",
        ..NONE
    },
    Signature {
        name: "upper",
        values: &[("text", Shown)],
        says: "in capitals",
        example: "{{upper event.data.code}}",
        gives: "A7",
        ..NONE
    },
    Signature {
        name: "lower",
        values: &[("text", Shown)],
        says: "in small letters",
        example: "{{lower event.data.code}}",
        gives: "a7",
        ..NONE
    },
    comparison("eq", "whether both are the same", "{{#if (eq run.priority \"high\")}}"),
    comparison("ne", "whether they are not", "{{#if (ne event.data.state \"paid\")}}"),
    comparison("gt", "greater than", "{{#if (gt count 1)}}"),
    comparison("gte", "greater or the same", "{{#if (gte count 2)}}"),
    comparison("lt", "less than", "{{#if (lt count 2)}}"),
    comparison("lte", "less or the same", "{{#if (lte count 1)}}"),
    Signature {
        name: "and",
        values: &[("value", Anything)],
        more: true,
        says: "whether all are truthy; a missing one is not",
        example: "{{#if (and event.data.late event.data.paid)}}",
        ..NONE
    },
    Signature {
        name: "or",
        values: &[("value", Anything)],
        more: true,
        says: "whether one is truthy",
        example: "{{#if (or event.data.late event.data.urgent)}}",
        ..NONE
    },
    Signature {
        name: "not",
        values: &[("value", Anything)],
        says: "whether it is missing or falsy",
        example: "{{#if (not event.data.paid)}}",
        ..NONE
    },
    Signature {
        name: "len",
        values: &[("value", Anything)],
        says: "how many items, fields or bytes",
        example: "{{len event.data.lines}}",
        gives: "2",
        ..NONE
    },
    Signature {
        name: "lookup",
        values: &[("value", Anything), ("key", Anything)],
        says: "an item by its number from 0, or a field by its name",
        example: "{{lookup event.data.lines 0}}",
        gives: "Tea",
        ..NONE
    },
];

const fn comparison(name: &'static str, says: &'static str, example: &'static str) -> Signature {
    let values = &[("one", Anything), ("other", Anything)];
    Signature { name, values, says, example, ..NONE }
}

/// The helpers, for `docs/reference/templates.md`: name, what it takes, what it gives.
pub fn reference() -> String {
    let mut page = String::new();
    for signature in &ALL {
        // A `String` takes whatever is written.
        let _ =
            writeln!(page, "- `{}`: {}. `{}`", signature.form(), signature.says, signature.example);
        page.truncate(page.trim_end().len());
        if !signature.gives.is_empty() {
            let _ = write!(page, " → `{}`", signature.gives);
        }
        page.push('\n');
    }
    page
}

impl Signature {
    pub(in crate::template) fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|signature| signature.name == name)
    }

    pub(in crate::template) fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|signature| signature.name)
    }

    /// Everything that is wrong with a call as it is written.
    pub(in crate::template) fn refuse(
        &self,
        values: &[Parameter],
        options: &HashMap<String, Parameter>,
    ) -> Vec<String> {
        let mut found = Vec::new();
        let replaced = self.instead.is_some_and(|name| options.contains_key(name));
        let least = self.values.len() - self.optional - usize::from(replaced);
        if values.len() < least || (values.len() > self.values.len() && !self.more) {
            found.push(format!("is called as `{}`", self.form()));
        }
        for (value, (name, takes)) in values.iter().zip(self.values) {
            found.extend(refused(value, *takes).map(|wants| format!("`{name}` {wants}")));
        }
        let mut given: Vec<_> = options.iter().collect();
        given.sort_unstable_by_key(|(name, _)| name.as_str());
        for (name, value) in given {
            match self.options.iter().find(|(known, _)| known == name) {
                Some((_, takes)) => {
                    found.extend(refused(value, *takes).map(|wants| format!("`{name}` {wants}")));
                }
                None => found.push(format!("has no option `{name}`")),
            }
        }
        found
    }

    /// `date moment [format] [zone=…]`
    fn form(&self) -> String {
        let mut form = self.name.to_owned();
        let last = self.values.len() - self.optional;
        for (index, (name, _)) in self.values.iter().enumerate() {
            let _ = match (index < last, self.more) {
                (true, false) => write!(form, " {name}"),
                (true, true) => write!(form, " {name} …"),
                (false, _) => write!(form, " [{name}]"),
            };
        }
        let positional = |name: &str| self.values.iter().any(|(known, _)| *known == name);
        for (name, takes) in self.options.iter().filter(|(name, _)| !positional(name)) {
            let _ = match takes {
                Truth => write!(form, " [{name}=true]"),
                _ => write!(form, " [{name}=…]"),
            };
        }
        form
    }
}

/// What a literal would have to be; `None` for one that fits, and for what messages decide.
fn refused(parameter: &Parameter, takes: Takes) -> Option<String> {
    let Parameter::Literal(value) = parameter else {
        return None;
    };
    let text = value.as_str();
    let (fits, wants) = match takes {
        Anything => return None,
        Shown => (!value.is_array() && !value.is_object(), "must be a text"),
        Number => {
            let number = |text: &str| text.trim().parse::<f64>().is_ok_and(f64::is_finite);
            (value.is_number() || text.is_some_and(number), "must be a number")
        }
        Moment => {
            let moment =
                |text: &str| text.parse::<Timestamp>().is_ok() || text.parse::<Date>().is_ok();
            (text.is_some_and(moment), "must be RFC 3339 text (`2026-11-21T13:30:00Z`)")
        }
        Length => (value.as_u64().is_some_and(|n| n > 0), "must be a whole number above 0"),
        Currency => (text.is_some_and(is_currency), "must be an ISO 4217 code (`EUR`)"),
        Zone => {
            let known = text.is_some_and(|text| TimeZone::get(text).is_ok());
            (known, "must be an IANA time zone (`Africa/Tunis`)")
        }
        Truth => (value.is_boolean(), "must be true or false"),
        OneOf(words) => {
            let known = text.is_some_and(|text| words.contains(&text));
            return (!known).then(|| format!("must be one of `{}`", words.join("`, `")));
        }
    };
    (!fits).then(|| wants.to_owned())
}

pub(super) fn is_currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Only a literal's own kind is looked at here: see [`refused`].
#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_literal_is_held_to_its_kind() {
        let literal = |value: Value| Parameter::Literal(value);
        let fits = |value: Value, takes| refused(&literal(value), takes).is_none();
        assert!(fits("2026-11-21".into(), Moment) && !fits("soon".into(), Moment));
        assert!(fits(3.into(), Length) && !fits(0.into(), Length) && !fits("3".into(), Length));
        assert!(fits("EUR".into(), Currency) && !fits("euro".into(), Currency));
        assert!(fits("Europe/Paris".into(), Zone) && !fits("Mars/Base".into(), Zone));
        assert!(fits(true.into(), Truth) && !fits(1.into(), Truth));
        assert!(fits("long".into(), FORMATS) && !fits("time".into(), FORMATS));
        assert!(fits("1.5".into(), Number) && !fits("many".into(), Number));
    }
}

//! Preferences as a body: made sure of, with the path of what does not fit.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Time, time};
use serde_json::{Map, Value};

use super::user::is_zone;
use crate::model::{Category, ChannelName, Limits, Preferences, QuietHours, Row, Switch};

/// Workflows, or topics, that a user may have a say about.
const MAX_SWITCHES: usize = 1000;

/// Bytes of a workflow's or a topic's name.
const MAX_NAME: usize = 255;

type Parsed<T> = Result<T, BadPreference>;

/// What does not fit, by its path: `quiet_hours.start_time`; empty for the whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {message}")]
pub struct BadPreference {
    pub path: String,
    pub message: String,
}

/// What preferences may speak of.
pub struct Known {
    pub types: Vec<Category>,
    pub channels: BTreeSet<ChannelName>,
}

/// Off, from ten in the evening to eight in the morning, in the user's zone.
pub fn default_quiet_hours() -> QuietHours {
    QuietHours {
        enabled: false,
        start_time: time(22, 0, 0, 0),
        end_time: time(8, 0, 0, 0),
        timezone: None,
    }
}

/// Reads a whole set: what is absent or `null` is as if nothing had been said. `id` and `user`,
/// which GET gives, are passed over.
pub fn parse(value: Value, known: &Known) -> Parsed<Preferences> {
    let mut preferences = Preferences::default();
    for (name, value) in object(canonical(value, known)?, "")? {
        if value.is_null() {
            continue;
        }
        match name.as_str() {
            "notification_types" => preferences.notification_types = types(value, known)?,
            "quiet_hours" => preferences.quiet_hours = Some(quiet_hours(value)?),
            "frequency_limits" => preferences.frequency_limits = Some(limits(value)?),
            "workflows" => preferences.workflows = switches(value, "workflows", known)?,
            "topics" => preferences.topics = switches(value, "topics", known)?,
            "unsubscribed" => preferences.unsubscribed = unsubscribed(value, known)?,
            "id" | "user" => {}
            _ => return Err(bad(&name, format!("there is no preference `{name}`"))),
        }
    }
    Ok(preferences)
}

/// The same body with each notification type under its own spelling. Of two spellings of one type,
/// the later in text order counts.
pub fn canonical(mut value: Value, known: &Known) -> Parsed<Value> {
    let Some(types) = value.get_mut("notification_types").and_then(Value::as_object_mut) else {
        return Ok(value);
    };
    let mut spelt = Map::new();
    for (name, row) in std::mem::take(types) {
        let category = known.types.iter().find(|one| one.as_str().eq_ignore_ascii_case(&name));
        let category = category.ok_or_else(|| {
            let path = format!("notification_types.{name}");
            bad(&path, format!("`{name}` is no known notification type"))
        })?;
        spelt.insert(category.to_string(), row);
    }
    *types = spelt;
    Ok(value)
}

/// Without what was said of types and channels that are gone: GET does not show it either.
pub fn retain_known(mut preferences: Preferences, known: &Known) -> Preferences {
    preferences.notification_types.retain(|category, _| known.types.contains(category));
    for Row(row) in preferences.notification_types.values_mut() {
        row.retain(|channel, _| channel.is_every() || known.channels.contains(channel));
    }
    preferences.unsubscribed.retain(|category| known.types.contains(category));
    let retain = |switch: &mut Switch| {
        if let Switch::ByChannel(row) = switch {
            row.retain(|channel, _| known.channels.contains(channel));
        }
    };
    preferences.workflows.values_mut().for_each(retain);
    preferences.topics.values_mut().for_each(retain);
    preferences
}

/// A type's row is booleans by channel, `*` for the others; or `false`, which turns all of it off.
/// `true` would not say what becomes of channels that were turned off one by one.
fn types(value: Value, known: &Known) -> Parsed<BTreeMap<Category, Row>> {
    let path = "notification_types";
    let rows = object(value, path)?.into_iter().filter(|(_, row)| !row.is_null());
    let row = |(name, row): (String, Value)| {
        let path = format!("{path}.{name}");
        let mut every = row.as_bool().filter(|on| !on);
        let mut row = if every.is_some() { Map::new() } else { object(row, &path)? };
        if let Some(others) = row.remove(ChannelName::EVERY).filter(|others| !others.is_null()) {
            let path = format!("{path}.{}", ChannelName::EVERY);
            every = Some(others.as_bool().ok_or_else(|| bad(&path, "it is true or false"))?);
        }
        let mut row = by_channel(row.into(), &path, known)?;
        row.extend(every.map(|on| (ChannelName::EVERY.into(), on)));
        Ok((Category::from(name), Row(row)))
    };
    rows.map(row).collect()
}

fn unsubscribed(value: Value, known: &Known) -> Parsed<BTreeSet<Category>> {
    let path = "unsubscribed";
    let Value::Array(names) = value else { return Err(bad(path, "it is a list")) };
    let category = |(place, name): (usize, Value)| {
        let path = format!("{path}.{place}");
        let name = name.as_str().ok_or_else(|| bad(&path, "it is a notification type"))?;
        let category = known.types.iter().find(|one| one.as_str().eq_ignore_ascii_case(name));
        category
            .cloned()
            .ok_or_else(|| bad(&path, format!("`{name}` is no known notification type")))
    };
    names.into_iter().enumerate().map(category).collect()
}

fn by_channel(value: Value, path: &str, known: &Known) -> Parsed<BTreeMap<ChannelName, bool>> {
    let cells = object(value, path)?.into_iter().filter(|(_, cell)| !cell.is_null());
    let cell = |(name, cell): (String, Value)| {
        let path = format!("{path}.{name}");
        let channel = ChannelName::from(name);
        if !known.channels.contains(&channel) {
            return Err(bad(&path, format!("`{channel}` is no installed channel")));
        }
        let on = cell.as_bool().ok_or_else(|| bad(&path, "it is true or false"))?;
        Ok((channel, on))
    };
    cells.map(cell).collect()
}

fn switches<Name: From<String> + Ord>(
    value: Value,
    path: &str,
    known: &Known,
) -> Parsed<BTreeMap<Name, Switch>> {
    let switches = object(value, path)?;
    if switches.len() > MAX_SWITCHES {
        return Err(bad(path, format!("at most {MAX_SWITCHES} are kept")));
    }
    let given = switches.into_iter().filter(|(_, switch)| !switch.is_null());
    let switch = |(name, value): (String, Value)| {
        let path = format!("{path}.{name}");
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(bad(&path, format!("a name has 1 to {MAX_NAME} bytes")));
        }
        let switch = match value {
            Value::Bool(on) => Switch::All(on),
            other => Switch::ByChannel(by_channel(other, &path, known)?),
        };
        Ok((Name::from(name), switch))
    };
    given.map(switch).collect()
}

fn quiet_hours(value: Value) -> Parsed<QuietHours> {
    let mut quiet = default_quiet_hours();
    for (name, value) in object(value, "quiet_hours")? {
        let path = format!("quiet_hours.{name}");
        if value.is_null() {
            continue;
        }
        match name.as_str() {
            "enabled" => {
                quiet.enabled = value.as_bool().ok_or_else(|| bad(&path, "it is true or false"))?;
            }
            "start_time" => quiet.start_time = clock_time(&value, &path)?,
            "end_time" => quiet.end_time = clock_time(&value, &path)?,
            "timezone" => {
                let zone = value.as_str().filter(|zone| is_zone(zone));
                let message = "it is an IANA time zone, such as `Africa/Tunis`";
                quiet.timezone = Some(zone.ok_or_else(|| bad(&path, message))?.into());
            }
            _ => return Err(bad(&path, format!("quiet hours have no `{name}`"))),
        }
    }
    if quiet.start_time == quiet.end_time {
        return Err(bad("quiet_hours.end_time", "quiet hours end at another time than they start"));
    }
    Ok(quiet)
}

/// `HH:MM` or `HH:MM:SS`, and nothing looser.
fn clock_time(value: &Value, path: &str) -> Parsed<Time> {
    let parse = |text: &str| {
        let part = |part: &str| match part.as_bytes() {
            [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => part.parse::<i8>().ok(),
            _ => None,
        };
        let parts: Vec<_> = text.split(':').map(part).collect::<Option<_>>()?;
        match parts.as_slice() {
            [hour, minute] => Time::new(*hour, *minute, 0, 0).ok(),
            [hour, minute, second] => Time::new(*hour, *minute, *second, 0).ok(),
            _ => None,
        }
    };
    let time = value.as_str().and_then(parse);
    time.ok_or_else(|| bad(path, "it is a time of day, HH:MM or HH:MM:SS"))
}

fn limits(value: Value) -> Parsed<Limits> {
    let mut limits = Limits::default();
    for (name, value) in object(value, "frequency_limits")? {
        let path = format!("frequency_limits.{name}");
        let slot = match name.as_str() {
            "max_per_hour" => &mut limits.max_per_hour,
            "max_per_day" => &mut limits.max_per_day,
            _ => return Err(bad(&path, format!("there is no limit `{name}`"))),
        };
        if value.is_null() {
            continue;
        }
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        let message = "it is a whole number from 0, or null for no limit";
        *slot = Some(count.ok_or_else(|| bad(&path, message))?);
    }
    Ok(limits)
}

fn object(value: Value, path: &str) -> Parsed<Map<String, Value>> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(bad(path, "it is an object")),
    }
}

fn bad(path: &str, message: impl Into<String>) -> BadPreference {
    BadPreference { path: path.into(), message: message.into() }
}

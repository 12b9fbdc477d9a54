//! Moments as the recipient reads them: in the recipient's time zone and language.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::Value;

use super::Arguments;
use crate::template::language::Length;

/// `{{date at}}`: `November 21, 2026`. Takes RFC 3339 text or a date alone.
pub(super) fn date(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    match arguments.choice("format", 1).and_then(Value::as_str) {
        Some("time") => {
            let moment = moment(arguments)?;
            return Ok(arguments.language().time(&moment, Length::Medium).into());
        }
        Some("datetime") => {
            let moment = moment(arguments)?;
            return Ok(arguments.language().date_time(&moment, Length::Medium).into());
        }
        _ => {}
    }
    let length = length(arguments)?;
    let text = arguments.text(0, "a moment")?;
    // A birthday has no zone to be moved to.
    let day = match text.parse::<Date>() {
        Ok(day) if text.len() == "2026-11-21".len() => day,
        _ => moment(arguments)?.date(),
    };
    Ok(arguments.language().date(day, length).into())
}

/// `{{time at}}`: `2:30 PM`; `long` adds the zone's abbreviation.
pub(super) fn time(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let length = length(arguments)?;
    Ok(arguments.language().time(&moment(arguments)?, length).into())
}

/// `{{datetime at}}`: `November 21, 2026 at 2:30 PM`.
pub(super) fn date_time(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let length = length(arguments)?;
    Ok(arguments.language().date_time(&moment(arguments)?, length).into())
}

fn moment(arguments: &Arguments<'_, '_>) -> Result<Zoned, String> {
    let text = arguments.text(0, "a moment")?;
    let moment: Timestamp = text
        .parse()
        .map_err(|_| "the moment must be RFC 3339 text (`2026-11-21T13:30:00Z`)".to_owned())?;
    Ok(moment.to_zoned(zone(arguments)?))
}

/// `zone=`, else the recipient's, else the configured one.
fn zone(arguments: &Arguments<'_, '_>) -> Result<TimeZone, String> {
    let (name, whose) = match arguments.option("zone") {
        Some(option) => (option.as_str(), "`zone`"),
        None => (Some(arguments.time_zone()), "the recipient's time zone"),
    };
    let name = name.ok_or_else(|| format!("{whose} must be a text"))?;
    TimeZone::get(name).map_err(|_| format!("{whose} is not an IANA time zone"))
}

fn length(arguments: &Arguments<'_, '_>) -> Result<Length, String> {
    match arguments.choice("format", 1).map(Value::as_str) {
        None | Some(Some("medium")) => Ok(Length::Medium),
        Some(Some("short")) => Ok(Length::Short),
        Some(Some("long")) => Ok(Length::Long),
        Some(_) => Err("`format` is `short`, `medium` or `long`".to_owned()),
    }
}

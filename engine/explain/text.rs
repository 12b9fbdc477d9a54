use std::collections::HashMap;
use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Row, rows};
use crate::model::{UserId, Verdict};
use crate::store::Timeline;

/// How rows are shown.
#[derive(Clone, Copy, Default)]
pub struct Look<'a> {
    /// With ANSI colours.
    pub colour: bool,
    /// The zones of recipients, by IANA names: their rows show local time too.
    pub zones: Option<&'a HashMap<UserId, String>>,
}

/// The time line for people: a heading, and a line a row in aligned columns.
pub fn text(timeline: &Timeline) -> String {
    let event = &timeline.event;
    let mut text = format!("{}  {}  {:.3}\n", event.name, event.id, event.at);
    let rows = rows(timeline);
    if rows.is_empty() {
        text.push_str("  nothing has happened yet\n");
    }
    text.push_str(&table(&rows, Look::default()));
    text
}

/// A line a row in aligned columns.
pub fn table(rows: &[Row], look: Look<'_>) -> String {
    let lines: Vec<_> = rows.iter().map(|row| columns(row, look)).collect();
    let mut widths = [0; 7];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (row, line) in rows.iter().zip(&lines) {
        let mut shown = String::from(" ");
        for (cell, width) in line.iter().zip(widths).filter(|(_, width)| *width > 0) {
            // Writing into text cannot fail.
            let _ = write!(shown, " {cell:width$}");
        }
        let (colour, reset) = if look.colour { (colour(row), "\x1b[0m") } else { ("", "") };
        let _ = writeln!(text, "{colour}{}{reset}", shown.trim_end());
    }
    text
}

/// Time, local time, workflow and step, recipient, channel, decision, and why.
fn columns(row: &Row, look: Look<'_>) -> [String; 7] {
    let place = match (&row.workflow, &row.step) {
        (Some(workflow), Some(step)) => format!("{workflow}#{step}"),
        (Some(workflow), None) => workflow.to_string(),
        _ => "-".into(),
    };
    let zone = zone(row, look);
    [
        format!("{:.3}", row.at),
        zone.as_ref().map_or(String::new(), |zone| local(row.at, zone, true)),
        place,
        row.recipient.as_ref().map_or("-".into(), |user| format!("user {user}")),
        row.channel.as_ref().map_or("-".into(), ToString::to_string),
        row.decision.as_str().into(),
        why(row, zone.as_ref()),
    ]
}

fn zone(row: &Row, look: Look<'_>) -> Option<TimeZone> {
    let name = look.zones?.get(row.recipient.as_ref()?)?;
    TimeZone::get(name).ok()
}

fn why(row: &Row, zone: Option<&TimeZone>) -> String {
    let mut why = match (row.decision, row.until) {
        (Verdict::Send, _) => return row.reason.clone(),
        (verdict, Some(until)) if !row.reason.contains("until") => {
            format!("{} {}: ", past(verdict), shown(until, row.at, zone))
        }
        _ => String::new(),
    };
    why.push_str(&row.reason);
    let _ = write!(why, " [{}", row.code);
    if let Some(rule) = &row.rule {
        let _ = write!(why, ", {rule}");
    }
    why.push(']');
    why
}

fn past(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Hold => "held until",
        Verdict::Retry => "tried again at",
        Verdict::Wait => "waiting until",
        other => other.as_str(),
    }
}

/// An instant as its reader's clock will show it, the day only where it is another one.
fn shown(until: Timestamp, at: Timestamp, zone: Option<&TimeZone>) -> String {
    let Some(zone) = zone else { return format!("{until:.0}") };
    let same_day = until.to_zoned(zone.clone()).date() == at.to_zoned(zone.clone()).date();
    local(until, zone, !same_day)
}

/// `2026-03-02 08:00 Africa/Tunis`.
fn local(at: Timestamp, zone: &TimeZone, with_day: bool) -> String {
    let zoned = at.to_zoned(zone.clone());
    let (date, time) = (zoned.date(), zoned.time());
    let name = zone.iana_name().unwrap_or("UTC");
    let clock = match time.second() {
        0 => format!("{:02}:{:02}", time.hour(), time.minute()),
        second => format!("{:02}:{:02}:{second:02}", time.hour(), time.minute()),
    };
    if with_day { format!("{date} {clock} {name}") } else { format!("{clock} {name}") }
}

fn colour(row: &Row) -> &'static str {
    match row.decision {
        Verdict::Send | Verdict::Deliver => "\x1b[32m",
        Verdict::Hold | Verdict::Wait => "\x1b[33m",
        Verdict::Retry | Verdict::Fail => "\x1b[31m",
        Verdict::Drop | Verdict::Skip | Verdict::Cancel => "\x1b[2m",
    }
}

use std::fmt::Write;

use jiff::Timestamp;

use super::{Row, rows};
use crate::model::Verdict;
use crate::store::Timeline;

/// The time line for people: a heading, and a line a row in aligned columns.
pub fn text(timeline: &Timeline) -> String {
    let event = &timeline.event;
    let mut text = format!("{}  {}  {:.3}\n", event.name, event.id, event.at);
    let lines: Vec<_> = rows(timeline).iter().map(columns).collect();
    if lines.is_empty() {
        text.push_str("  nothing has happened yet\n");
    }
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for line in &lines {
        let mut row = String::from(" ");
        for (cell, width) in line.iter().zip(widths) {
            // Writing into text cannot fail.
            let _ = write!(row, " {cell:width$}");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Time, workflow and step, recipient, channel, decision, and why.
fn columns(row: &Row) -> [String; 6] {
    let place = match (&row.workflow, &row.step) {
        (Some(workflow), Some(step)) => format!("{workflow}#{step}"),
        (Some(workflow), None) => workflow.to_string(),
        _ => "-".into(),
    };
    [
        format!("{:.3}", row.at),
        place,
        row.recipient.as_ref().map_or("-".into(), |user| format!("user {user}")),
        row.channel.as_ref().map_or("-".into(), ToString::to_string),
        row.decision.as_str().into(),
        why(row),
    ]
}

fn why(row: &Row) -> String {
    let mut why = match (row.decision, row.until) {
        (Verdict::Send, _) => return row.reason.clone(),
        (verdict, Some(until)) if !row.reason.contains("until") => {
            format!("{} until {}: ", past(verdict), shown(until))
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
        Verdict::Hold => "held",
        Verdict::Retry => "tried again",
        Verdict::Wait => "waiting",
        other => other.as_str(),
    }
}

fn shown(at: Timestamp) -> String {
    format!("{at:.0}")
}

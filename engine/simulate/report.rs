//! What became of tests, for people and for machines.

use std::fmt::Write;

use serde_json::{Value, json};

use super::case::{Failure, Ran, Why};
use super::compare::{Difference, Unmet};
use crate::explain::{self, Look, Row};

/// The failed ones, each with what was expected, what came nearest, and what happened.
pub fn text(ran: &[Ran], colour: bool) -> String {
    let failed = ran.iter().filter_map(|one| Some((one, one.failure.as_ref()?)));
    failed.map(|(one, failure)| failed_text(one, failure, colour)).collect()
}

/// `{passed, failed, cases: [{name, place, passed, failure?}]}`.
pub fn json(ran: &[Ran]) -> Value {
    let failed = ran.iter().filter(|one| one.failure.is_some()).count();
    let case = |one: &Ran| {
        let mut case = json!({
            "name": one.name, "place": &*one.place, "passed": one.failure.is_none(),
        });
        if let Some(failure) = &one.failure {
            case["failure"] = failed_json(failure);
        }
        case
    };
    let cases: Vec<Value> = ran.iter().map(case).collect();
    json!({ "passed": ran.len() - failed, "failed": failed, "cases": cases })
}

fn failed_text(one: &Ran, failure: &Failure, colour: bool) -> String {
    let (red, green, reset) =
        if colour { ("\x1b[31m", "\x1b[32m", "\x1b[0m") } else { ("", "", "") };
    // Writing to a String cannot fail.
    let mut text = format!("{red}FAILED{reset} {}: {}\n", one.place, one.name);
    match &failure.why {
        Why::Expected(difference) => {
            let Difference { place, expected, nearest, what } = difference;
            let _ = writeln!(text, "  {}, {place}", heading(*what));
            for (field, value) in expected {
                let mark = if nearest.iter().any(|(other, ..)| other == field) { "-" } else { " " };
                let (on, off) = if mark == "-" { (red, reset) } else { ("", "") };
                let _ = writeln!(text, "  {on}{mark} {field}: {value}{off}");
                for (_, _, is) in nearest.iter().filter(|(other, ..)| other == field) {
                    let _ = writeln!(text, "  {green}+ {field}: {is}{reset}");
                }
            }
        }
        Why::Refused(refused) => {
            let (event, code) = (&refused.event, refused.code);
            let _ = writeln!(text, "  event `{event}` was refused [{code}]: {}", refused.message);
        }
        Why::Halted(code, message) => {
            let _ = writeln!(text, "  [{code}] {message}");
        }
    }
    let rows: Vec<Row> = failure.rows.iter().map(|(row, _)| row.clone()).collect();
    let _ = writeln!(text, "  what happened (expected: \u{2713}):");
    let table = explain::table(&rows, Look { colour, zones: None });
    for (line, (_, met)) in table.lines().zip(&failure.rows) {
        let _ = writeln!(text, "  {}{line}", if *met { "\u{2713}" } else { " " });
    }
    if rows.is_empty() {
        text.push_str("    nothing\n");
    }
    text.push('\n');
    text
}

fn heading(what: Unmet) -> &'static str {
    match what {
        Unmet::Missing => "expected, and not there",
        Unmet::Unwanted => "there, and not expected",
        Unmet::Accepted => "expected to be refused",
    }
}

fn failed_json(failure: &Failure) -> Value {
    let rows: Vec<Value> = failure
        .rows
        .iter()
        .map(|(row, met)| {
            let mut row = serde_json::to_value(row).unwrap_or_default();
            row["expected"] = (*met).into();
            row
        })
        .collect();
    let mut told = match &failure.why {
        Why::Expected(Difference { place, expected, nearest, what }) => {
            let expected: Value = expected
                .iter()
                .map(|(field, value)| ((*field).to_owned(), value.clone()))
                .collect();
            let nearest: Vec<Value> = nearest
                .iter()
                .map(|(field, wanted, is)| json!({ "field": field, "expected": wanted, "got": is }))
                .collect();
            let why = heading(*what);
            json!({ "why": why, "place": &**place, "expected": expected, "nearest": nearest })
        }
        Why::Refused(refused) => json!({
            "why": "an event was refused", "event": refused.event, "code": refused.code,
            "message": refused.message,
        }),
        Why::Halted(code, message) => json!({ "why": message, "code": code }),
    };
    told["rows"] = rows.into();
    told
}

//! What was expected beside what happened.

use std::sync::Arc;

use jiff::Timestamp;

use super::Sent;
use super::case::{Failure, Why};
use crate::channel::capture::Captured;
use crate::explain::Row;
use crate::workflow::case::{Expectation, Expected, Pattern, Wanted};

/// An expectation that was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `path:line` of the expectation.
    pub place: Arc<str>,
    /// What it asks for: field and value.
    pub expected: Vec<(&'static str, String)>,
    /// Where it came nearest: field, what was wanted, what was there.
    pub nearest: Vec<(&'static str, String, String)>,
    pub what: Unmet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// No row fits that is not before the last one expected.
    Missing,
    /// A row fits that should not be.
    Unwanted,
    /// No event was refused with that code.
    Accepted,
}

/// An event that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub at: Timestamp,
    pub event: String,
    pub code: &'static str,
    pub message: String,
}

/// Looks for each expectation in turn; `None` where all are met. Rows of one instant may be
/// expected in any order.
pub(super) fn all(
    then: &[Expectation],
    rows: Vec<Row>,
    sent: &Sent,
    refused: Vec<Refused>,
) -> Option<Failure> {
    let mut met = vec![false; rows.len()];
    let mut since = Timestamp::MIN;
    let mut refused = refused.into_iter();
    let mut failed = None;
    for expectation in then {
        let open = |met: &[bool], index: usize, row: &Row| !met[index] && row.at >= since;
        let what = match &expectation.what {
            Expected::Row(pattern) => {
                let found = rows.iter().enumerate().find(|(index, row)| {
                    open(&met, *index, row) && misfits(pattern, row, sent).is_empty()
                });
                if let Some((index, row)) = found {
                    met[index] = true;
                    since = row.at;
                    continue;
                }
                Unmet::Missing
            }
            Expected::None(pattern) => {
                let found = rows.iter().enumerate().find(|(index, row)| {
                    open(&met, *index, row) && misfits(pattern, row, sent).is_empty()
                });
                if found.is_none() {
                    continue;
                }
                Unmet::Unwanted
            }
            Expected::Refused(code) => match refused.next() {
                Some(refused) if refused.code == code => continue,
                _ => Unmet::Accepted,
            },
        };
        let left = rows.iter().enumerate().filter(|(index, row)| open(&met, *index, row));
        let left: Vec<&Row> = left.map(|(_, row)| row).collect();
        failed = Some(Why::Expected(difference(expectation, what, &left, sent)));
        break;
    }
    let why = failed.or_else(|| refused.next().map(Why::Refused))?;
    Some(Failure { why, rows: rows.into_iter().zip(met).collect() })
}

fn difference(expectation: &Expectation, what: Unmet, left: &[&Row], sent: &Sent) -> Difference {
    let place = expectation.place.clone();
    let pairs = |pattern: &Pattern| {
        pattern.0.iter().map(|wanted| (wanted.field, wanted.value.clone())).collect()
    };
    let (expected, nearest) = match &expectation.what {
        Expected::Row(pattern) => {
            let near = |row: &&Row| misfits(pattern, row, sent);
            // What was to be sent is not near to what was dropped.
            let weight = |misfits: &Vec<Misfit>| {
                let other = misfits.iter().any(|(field, ..)| *field == "decision");
                (other, misfits.len())
            };
            let nearest = left.iter().map(near).min_by_key(weight).unwrap_or_default();
            (pairs(pattern), nearest)
        }
        Expected::None(pattern) => (pairs(pattern), Vec::new()),
        Expected::Refused(code) => (vec![("refused", code.clone())], Vec::new()),
    };
    Difference { place, expected, nearest, what }
}

type Misfit = (&'static str, String, String);

/// The fields of a row that are not as they are wanted.
fn misfits(pattern: &Pattern, row: &Row, sent: &Sent) -> Vec<Misfit> {
    let sent = row.message.and_then(|message| sent.get(&(message, row.at)));
    let misfit = |wanted: &Wanted| {
        let is = value(wanted.field, row, sent);
        let fits = match wanted.field {
            "reason_contains" | "body_contains" | "text_contains" => is.contains(&wanted.value),
            "to" => is == wanted.value || recipient(row) == wanted.value,
            _ => is == wanted.value,
        };
        (!fits).then(|| (wanted.field, wanted.value.clone(), is))
    };
    pattern.0.iter().filter_map(misfit).collect()
}

fn recipient(row: &Row) -> String {
    row.recipient.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// A row's field as text; empty where it has none.
fn value(field: &str, row: &Row, sent: Option<&Captured>) -> String {
    fn text(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    match field {
        "decision" => row.decision.as_str().into(),
        "code" => row.code.to_string(),
        "workflow" => text(row.workflow.as_ref()),
        "step" => text(row.step.as_ref()),
        "recipient" => recipient(row),
        "channel" => text(row.channel.as_ref()),
        "at" => format!("{:.3}", row.at),
        "until" => row.until.map(|until| format!("{until:.3}")).unwrap_or_default(),
        "rule" => text(row.rule.as_ref()),
        "reason" | "reason_contains" => row.reason.clone(),
        "provider" => text(row.provider.as_ref()),
        "outcome" => text(row.outcome.map(|outcome| outcome.as_str())),
        "to" => text(sent.map(|sent| &sent.to)),
        "subject" => text(sent.and_then(|sent| sent.subject.as_ref())),
        "title" => text(sent.and_then(|sent| sent.title.as_ref())),
        "body" | "body_contains" => text(sent.map(|sent| &sent.body)),
        // The text part; the body itself where there is no other.
        "text_contains" => text(sent.map(|sent| sent.text.as_ref().unwrap_or(&sent.body))),
        _ => String::new(),
    }
}

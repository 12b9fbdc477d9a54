use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use crate::diagnostic::{Diagnostic, Kind, Node};
use crate::model::{AttemptOutcome, Verdict};
use crate::workflow::reader::Reader;

/// One expectation, with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    pub what: Expected,
    /// `path:line`.
    pub place: Arc<str>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// The next row that fits, after the one that fitted the expectation before.
    Row(Pattern),
    /// No row after that one fits; an empty pattern fits every row.
    None(Pattern),
    /// An event was not accepted, with this code.
    Refused(String),
}

/// What a row has to say. Fields that are not named are not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern(pub Vec<Wanted>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// One of `FIELDS`.
    pub field: &'static str,
    /// Instants as RFC 3339 in UTC with milliseconds; everything else as it is written.
    pub value: String,
    /// In bytes of the file.
    pub span: Range<usize>,
}

/// What a row can be asked for. Those after `outcome` are of what was sent.
const FIELDS: [&str; 19] = [
    "decision",
    "code",
    "workflow",
    "step",
    "recipient",
    "channel",
    "at",
    "until",
    "rule",
    "reason",
    "reason_contains",
    "provider",
    "outcome",
    "to",
    "subject",
    "title",
    "body",
    "body_contains",
    "text_contains",
];

const INSTANTS: [&str; 2] = ["at", "until"];

pub(super) fn read(reader: &Reader<'_>, node: &Node) -> Option<Expectation> {
    let place = reader.source.place(node.span.start);
    let what = match node.get("none") {
        Some(value) => {
            let mut fields = reader.fields(node, "an expectation")?;
            fields.take("none");
            fields.finish();
            match value.to_json() {
                serde_json::Value::Bool(true) => Expected::None(Pattern::default()),
                _ => Expected::None(pattern(reader, value)?),
            }
        }
        None => match node.get("refused") {
            Some(value) => {
                let mut fields = reader.fields(node, "an expectation")?;
                fields.take("refused");
                fields.finish();
                Expected::Refused(reader.text(value, "refused")?)
            }
            None => Expected::Row(pattern(reader, node)?),
        },
    };
    Some(Expectation { what, place })
}

/// `{send: email}`, `{send: {channel: email, …}}`, or `{decision: hold, …}`.
fn pattern(reader: &Reader<'_>, node: &Node) -> Option<Pattern> {
    let Kind::Map(entries) = &node.kind else {
        reader.wrong(node, "then", "a map: `send`, or `decision` and what goes with it");
        return None;
    };
    let mut pattern = Pattern::default();
    let mut wanted = |name: &str, span: Range<usize>, value: &Node| {
        let Some(field) = FIELDS.iter().find(|field| **field == name) else {
            let message = format!("an expectation has no field `{name}`");
            let problem = Diagnostic::error(reader.source, "yaml.unknown_key", span, message);
            let known = FIELDS.iter().copied().chain(["send", "none", "refused"]);
            reader.push(problem.suggest(name, known));
            return;
        };
        if let Some(text) = text(reader, value, field) {
            pattern.0.push(Wanted { field, value: text, span: value.span.clone() });
        }
    };
    let mut all = |entries: &[(Node, Node)]| {
        for (key, value) in entries.iter().filter(|(key, _)| key.as_text() != Some("send")) {
            wanted(key.as_text().unwrap_or_default(), key.span.clone(), value);
        }
    };
    all(entries);
    if let Some(send) = node.get("send") {
        match &send.kind {
            Kind::Map(entries) => all(entries),
            Kind::Scalar(_) => wanted("channel", send.span.clone(), send),
            Kind::List(_) => reader.wrong(send, "send", "a channel, or a map"),
        }
        let value = Verdict::Send.as_str().into();
        pattern.0.push(Wanted { field: "decision", value, span: send.span.clone() });
    }
    Some(pattern)
}

fn text(reader: &Reader<'_>, node: &Node, field: &str) -> Option<String> {
    let verdicts = Verdict::ALL.map(|verdict| (verdict.as_str(), verdict.as_str()));
    let outcomes = AttemptOutcome::ALL.map(|outcome| (outcome.as_str(), outcome.as_str()));
    match field {
        "decision" => reader.word(node, field, &verdicts).map(str::to_owned),
        "outcome" => reader.word(node, field, &outcomes).map(str::to_owned),
        _ if INSTANTS.contains(&field) => {
            super::instant_of(reader, node, field).map(|at: Timestamp| format!("{at:.3}"))
        }
        _ => match node.as_text() {
            Some(text) => Some(text.to_owned()),
            None => {
                reader.wrong(node, field, "text");
                None
            }
        },
    }
}

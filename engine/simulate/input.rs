//! The events and users of a simulation: JSON files, made sure of, with the place of what is wrong.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Document, Source};
use crate::ingest::person::{self, Described};
use crate::ingest::preferences::Known;
use crate::ingest::{FieldError, Incoming};
use crate::model::UserId;

/// Bytes of one event's data, as a node takes it by default.
const MAX_EVENT: usize = 256 << 10;

/// An event of a file, which may yet be refused when it is handed in.
pub(super) struct Handed {
    pub event: Incoming,
    pub place: Place,
}

/// Where a value stands: which bytes hold it, or the list it is in, and a JSON pointer into that.
pub(super) struct Place {
    range: Range<usize>,
    within: String,
}

/// One value of a file, and which bytes it takes.
struct Given {
    value: Value,
    range: Range<usize>,
}

/// Reads an event as POST /v1/events takes it, an array of them, or a line each (NDJSON).
pub(super) fn events(source: &Source, problems: &mut Vec<Diagnostic>) -> Vec<Handed> {
    let mut events = Vec::new();
    let before = problems.len();
    for Given { value, range } in values(source, problems) {
        let (items, is_list) = match value {
            Value::Array(items) => (items, true),
            one => (vec![one], false),
        };
        for (index, item) in items.into_iter().enumerate() {
            let within = if is_list { format!("/{index}") } else { String::new() };
            let place = Place { range: range.clone(), within };
            match Incoming::parse(item, MAX_EVENT) {
                Ok(event) => events.push(Handed { event, place }),
                Err(refusal) => place.told(source, refusal.code, refusal.errors, problems),
            }
        }
    }
    if events.is_empty() && problems.len() == before {
        let message = "the file holds no event";
        problems.push(Diagnostic::error(source, "event.missing", 0..0, message));
    }
    events
}

/// Reads a user as PUT /v1/users takes it, with `preferences`, `devices` and `topics`; or a list.
pub(super) fn people(
    source: &Source,
    known: &Known,
    now: Timestamp,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Described> {
    let mut people: BTreeMap<UserId, Described> = BTreeMap::new();
    for Given { value, range } in values(source, problems) {
        let (items, is_list) = match value {
            Value::Array(items) => (items, true),
            one => (vec![one], false),
        };
        for (index, item) in items.into_iter().enumerate() {
            let within = if is_list { format!("/{index}") } else { String::new() };
            let place = Place { range: range.clone(), within };
            match person::parse(item, known, now) {
                Ok(described) => {
                    let id = described.person.user.id.clone();
                    if people.insert(id.clone(), described).is_some() {
                        let message = format!("user {id} is here twice");
                        let errors = vec![FieldError::new("/id", message)];
                        place.told(source, "user.duplicate", errors, problems);
                    }
                }
                Err(errors) => place.told(source, "user.invalid", errors, problems),
            }
        }
    }
    people.into_values().collect()
}

/// One value, or one a line.
fn values(source: &Source, problems: &mut Vec<Diagnostic>) -> Vec<Given> {
    let text = source.text();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let is_whole = |line: &str| serde_json::from_str::<Value>(line).is_ok();
    let by_line = lines.next().is_some_and(is_whole) && lines.next().is_some();
    if !by_line {
        return read(source, 0..text.len(), problems).into_iter().collect();
    }
    let mut given = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim().is_empty() {
            given.extend(read(source, start..start + line.trim_end().len(), problems));
        }
        start += line.len();
    }
    given
}

fn read(source: &Source, range: Range<usize>, problems: &mut Vec<Diagnostic>) -> Option<Given> {
    let text = &source.text()[range.clone()];
    match serde_json::from_str(text) {
        Ok(value) => Some(Given { value, range }),
        Err(error) => {
            let within = Source::new("", text).offset(error.line(), error.column());
            let at = range.start + within;
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            let message = format!("no JSON: {message}");
            problems.push(Diagnostic::error(source, "json.syntax", at..at, message));
            None
        }
    }
}

impl Place {
    /// Says what is wrong with the value that stands here.
    pub fn told(
        &self,
        source: &Source,
        code: &'static str,
        errors: Vec<FieldError>,
        problems: &mut Vec<Diagnostic>,
    ) {
        // JSON is YAML, and our reader of YAML knows where everything stands.
        let written = Source::new("", &source.text()[self.range.clone()]);
        let document = Document::parse(&written).0;
        for FieldError { pointer, message } in errors {
            let pointer = format!("{}{pointer}", self.within);
            let found = document.as_ref().map(|document| document.root.place_of(&pointer));
            let span = found.unwrap_or_default();
            let span = self.range.start + span.start..self.range.start + span.end;
            problems.push(Diagnostic::error(source, code, span, message));
        }
    }
}

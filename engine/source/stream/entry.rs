use jiff::Timestamp;
use redis::Value;

use crate::source::{Rejection, Told};

/// One entry, as Redis gave it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `1760000000000-0`: milliseconds, then a number.
    pub id: String,
    /// In pairs of name and value.
    pub(super) fields: Vec<Vec<u8>>,
}

impl Entry {
    /// As an event in texts.
    pub fn told(&self) -> Told {
        let mut flaw = None;
        let mut fields = Vec::with_capacity(self.fields.len() / 2);
        for pair in self.fields.chunks_exact(2) {
            match (std::str::from_utf8(&pair[0]), std::str::from_utf8(&pair[1])) {
                (Ok(name), Ok(value)) => fields.push((name.to_owned(), value.to_owned())),
                _ => {
                    let name = String::from_utf8_lossy(&pair[0]);
                    let reason = format!("/{name} the field is no UTF-8");
                    flaw = Some(Rejection::new("event.shape", reason));
                }
            }
        }
        let at = self.id.split('-').next().and_then(|millis| millis.parse().ok());
        let at = at.and_then(|millis| Timestamp::from_millisecond(millis).ok());
        Told { id: self.id.clone(), fields, at: at.unwrap_or(Timestamp::UNIX_EPOCH), flaw }
    }

    pub(super) fn bytes(&self) -> usize {
        self.fields.iter().map(Vec::len).sum()
    }
}

/// What XREADGROUP answers: `[[key, entries]]`, or nothing.
pub(super) fn of_streams(reply: Value) -> (Vec<Entry>, Vec<String>) {
    let streams: Vec<Value> = match reply {
        Value::Array(streams) => streams.into_iter().filter_map(second).collect(),
        Value::Map(streams) => streams.into_iter().map(|(_, entries)| entries).collect(),
        _ => Vec::new(),
    };
    let mut all = (Vec::new(), Vec::new());
    for entries in streams {
        let (entries, gone) = of_list(entries);
        all.0.extend(entries);
        all.1.extend(gone);
    }
    all
}

/// A list of `[id, [name, value, …]]`; the ids of those that were deleted apart.
pub(super) fn of_list(list: Value) -> (Vec<Entry>, Vec<String>) {
    let Value::Array(list) = list else { return Default::default() };
    let (mut entries, mut gone) = (Vec::new(), Vec::new());
    for item in list {
        let Value::Array(item) = item else { continue };
        let mut item = item.into_iter();
        let Some(id) = item.next().and_then(bytes) else { continue };
        let id = String::from_utf8_lossy(&id).into_owned();
        match item.next() {
            Some(Value::Array(fields)) => {
                let fields = fields.into_iter().filter_map(bytes).collect();
                entries.push(Entry { id, fields });
            }
            _ => gone.push(id),
        }
    }
    (entries, gone)
}

pub(super) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

fn second(value: Value) -> Option<Value> {
    match value {
        Value::Array(items) => items.into_iter().nth(1),
        _ => None,
    }
}

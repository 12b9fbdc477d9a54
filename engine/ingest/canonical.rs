use std::io;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Incoming;

/// SHA-256 over `name`, `data`, `actor`, `tenant` and `at` in one spelling: objects in the order
/// of their keys, an id as text, an instant in UTC.
pub(super) fn hash(event: &Incoming) -> [u8; 32] {
    let mut text = Vec::with_capacity(512);
    for part in [
        Some(event.name.as_str()),
        event.actor.as_ref().map(|actor| actor.as_str()),
        Some(event.tenant.as_str()),
        event.at.map(|at| at.to_string()).as_deref(),
    ] {
        // Lengths keep parts apart: no two events run together into one text.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        text.extend_from_slice(&length.to_be_bytes());
        text.extend_from_slice(part.unwrap_or_default().as_bytes());
    }
    write(&event.data, &mut text);
    Sha256::digest(&text).into()
}

/// How many bytes the value takes when written compactly.
pub(super) fn size(value: &Value) -> usize {
    let mut counter = Counter(0);
    // A counter takes everything.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

fn write(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push(b'{');
            for (name, value) in members {
                leaf(name, text);
                write(value, text);
            }
            text.push(b'}');
        }
        Value::Array(items) => {
            text.push(b'[');
            for item in items {
                write(item, text);
                text.push(b',');
            }
            text.push(b']');
        }
        other => leaf(other, text),
    }
}

fn leaf(value: &impl serde::Serialize, text: &mut Vec<u8>) {
    // Memory takes everything, and leaves are plain values.
    let _ = serde_json::to_writer(text, value);
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

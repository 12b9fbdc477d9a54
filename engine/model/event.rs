use jiff::Timestamp;
use serde_json::Value;

use super::{EventId, UserId};

/// Something that happened in a service, as accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: EventId,
    /// Empty for the installation's only tenant.
    pub tenant: String,
    pub name: String,
    /// Who did it; left out of the recipients.
    pub actor: Option<UserId>,
    /// An object.
    pub data: Value,
    /// When it happened; in the future, the event waits until then.
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub idempotency_key: Option<String>,
    /// Events that led to it by `emit`; 0 for a service's own.
    pub depth: u32,
    /// Told instead of the recipients that the workflows name (`emit`'s `to`); empty: theirs.
    pub told: Vec<UserId>,
    /// Some workflow that it concerns says `sensitive`: `data` is on the disk only as ciphertext.
    pub sensitive: bool,
    /// Its place in a trace, as a W3C `traceparent`: of those that are traced alone.
    pub trace: Option<String>,
}

/// How far an event has come. Stored and shown by the same word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Its moment lies in the future, or recipients are still being expanded.
    Waiting,
    /// All its runs exist.
    Planned,
}

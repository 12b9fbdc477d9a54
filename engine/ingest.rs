//! What a service sent, made sure of: events, and the users they are for.
//!
//! Pure: it reads neither the store nor the time. An event that passes here becomes an [`Event`]
//! in `pipeline::accept`, which stores it in the transaction that plans it.
//!
//! [`Event`]: crate::model::Event

mod admit;
mod canonical;
mod shape;
pub mod person;
pub mod preferences;
pub mod user;

use jiff::Timestamp;
use serde_json::Value;

use crate::model::UserId;

pub use admit::{admit, conflict};

/// One event as a service sends it (docs/reference/api.md, POST /v1/events), its
/// shape made sure of.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    pub name: String,
    pub data: Value,
    pub actor: Option<UserId>,
    pub tenant: String,
    pub idempotency_key: Option<String>,
    pub at: Option<Timestamp>,
    /// Of the meaning, not of the spelling: key order and white space do not count. All zeros
    /// without an idempotency key: then nothing is compared.
    pub body_hash: [u8; 32],
}

/// Why an event was not accepted: every reason, not the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event does not fit: {}", .errors.first().map_or("", |first| &first.message))]
pub struct Refusal {
    /// Stable: `event.shape`, `event.unknown`, `event.schema`, `event.too_large`, `event.conflict`.
    pub code: &'static str,
    pub errors: Vec<FieldError>,
}

/// Where (a JSON pointer into the event) and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub pointer: String,
    pub message: String,
}

/// What a service is told of an event that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted(crate::model::EventId),
    /// The key was used before with the same body: the first event's id.
    Duplicate(crate::model::EventId),
}

impl Incoming {
    /// Makes sure of an event's shape; all that is wrong is said at once.
    ///
    /// `max_event` bounds the bytes of `data`, written compactly. Measuring costs a pass over it,
    /// so a caller who knows that the whole body is smaller passes `usize::MAX`.
    pub fn parse(value: Value, max_event: usize) -> Result<Self, Refusal> {
        shape::parse(value, max_event)
    }
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

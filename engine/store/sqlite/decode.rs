//! Rows to nouns and back. A row that cannot be read is an error of that row, never a panic.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::model::{
    Attempt, AttemptOutcome, Decision, Entry, Event, FrameBody, Message, MessageStatus, Priority,
    Run, RunStatus, Verdict,
};
use crate::store::{Result, StoreError};

pub(super) const EVENT: &str = "id, tenant, name, ikey, actor, data, at, received_at, plan_at, cursor, fence, tries, \
     depth, told, trace";
pub(super) const RUN: &str = "id, event, workflow, recipient, version, role, contact, priority, \
     key, status, position, wake_at, state, started_at, fence, tries, topic";
pub(super) const MESSAGE: &str = "id, run, step, item, channel, event, recipient, workflow, \
     category, priority, status, due_at, expires_at, attempt, provider, receipt, code, created_at, \
     forgiven, fence, departed_at, tries, gathers";
pub(super) const ATTEMPT: &str =
    "message, number, provider, started_at, finished_at, outcome, code, detail, receipt";
pub(super) const DECISION: &str = "event, at, workflow, run, message, recipient, step, channel, \
     verdict, code, reason, rule, until";
pub(super) const ENTRY: &str = "id, event, user, seq, category, title, message, priority, \
     metadata, created_at, read_at, sensitive, public_title";

const RUN_STATUSES: [RunStatus; 5] = [
    RunStatus::Waiting,
    RunStatus::Running,
    RunStatus::Finished,
    RunStatus::Cancelled,
    RunStatus::Failed,
];

pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

pub(super) fn run_status(status: RunStatus) -> i64 {
    RUN_STATUSES.iter().position(|each| *each == status).map_or(0, |place| place as i64)
}

/// Columns in [`EVENT`]'s order; sealed data is a text, to be opened by its reader.
pub(super) fn event(row: &SqliteRow) -> Result<Event> {
    let id: Uuid = row.try_get(0)?;
    let noun = Noun { noun: "event", id };
    let told: Option<String> = row.try_get(13)?;
    Ok(Event {
        id: id.into(),
        tenant: row.try_get(1)?,
        name: row.try_get(2)?,
        idempotency_key: row.try_get(3)?,
        depth: noun.number(row.try_get(12)?)?,
        told: told.map(|text| noun.json(&text)).transpose()?.unwrap_or_default(),
        sensitive: false,
        trace: row.try_get(14)?,
        actor: row.try_get::<Option<String>, _>(4)?.map(Into::into),
        data: noun.json(row.try_get(5)?)?,
        at: noun.time(row.try_get(6)?)?,
        received_at: noun.time(row.try_get(7)?)?,
    })
}

/// Columns in [`RUN`]'s order; a sealed state is a text, to be opened by its reader.
pub(super) fn run(row: &SqliteRow) -> Result<Run> {
    let id: Uuid = row.try_get(0)?;
    let noun = Noun { noun: "run", id };
    let contact: Option<String> = row.try_get(6)?;
    Ok(Run {
        id: id.into(),
        event: row.try_get::<Uuid, _>(1)?.into(),
        workflow: row.try_get::<String, _>(2)?.into(),
        recipient: row.try_get::<Option<String>, _>(3)?.map(Into::into),
        version: row.try_get::<String, _>(4)?.into(),
        role: row.try_get(5)?,
        contact: contact.map(|text| noun.json(&text)).transpose()?,
        priority: noun.pick(&Priority::ALL, row.try_get(7)?)?,
        key: row.try_get(8)?,
        status: noun.pick(&RUN_STATUSES, row.try_get(9)?)?,
        position: row.try_get::<Option<String>, _>(10)?.map(Into::into),
        wake_at: noun.maybe_time(row.try_get(11)?)?,
        state: noun.json(row.try_get(12)?)?,
        started_at: noun.time(row.try_get(13)?)?,
        sensitive: false,
        topic: row.try_get::<Option<String>, _>("topic")?.map(Into::into),
    })
}

/// Columns in [`MESSAGE`]'s order.
pub(super) fn message(row: &SqliteRow) -> Result<Message> {
    let id: Uuid = row.try_get(0)?;
    let noun = Noun { noun: "message", id };
    Ok(Message {
        id: id.into(),
        run: row.try_get::<Uuid, _>(1)?.into(),
        step: row.try_get::<&str, _>(2)?.into(),
        item: noun.number(row.try_get(3)?)?,
        channel: row.try_get::<&str, _>(4)?.into(),
        event: row.try_get::<Uuid, _>(5)?.into(),
        recipient: row.try_get::<Option<&str>, _>(6)?.map(Into::into),
        workflow: row.try_get::<&str, _>(7)?.into(),
        category: row.try_get::<&str, _>(8)?.into(),
        priority: noun.pick(&Priority::ALL, row.try_get(9)?)?,
        status: noun.pick(&MessageStatus::ALL, row.try_get(10)?)?,
        due_at: noun.time(row.try_get(11)?)?,
        expires_at: noun.maybe_time(row.try_get(12)?)?,
        attempt: noun.number(row.try_get(13)?)?,
        provider: row.try_get::<Option<&str>, _>(14)?.map(Into::into),
        receipt: row.try_get(15)?,
        code: row.try_get(16)?,
        created_at: noun.time(row.try_get(17)?)?,
        forgiven: noun.number(row.try_get(18)?)?,
    })
}

/// Columns in [`ATTEMPT`]'s order.
pub(super) fn attempt(row: &SqliteRow) -> Result<Attempt> {
    let id: Uuid = row.try_get(0)?;
    let noun = Noun { noun: "attempt", id };
    Ok(Attempt {
        message: id.into(),
        number: noun.number(row.try_get(1)?)?,
        provider: row.try_get::<String, _>(2)?.into(),
        started_at: noun.time(row.try_get(3)?)?,
        finished_at: noun.time(row.try_get(4)?)?,
        outcome: noun.pick(&AttemptOutcome::ALL, row.try_get(5)?)?,
        code: row.try_get(6)?,
        detail: row.try_get(7)?,
        receipt: row.try_get(8)?,
    })
}

/// Columns in [`DECISION`]'s order.
pub(super) fn decision(row: &SqliteRow) -> Result<Decision> {
    let id: Uuid = row.try_get(0)?;
    let noun = Noun { noun: "decision of event", id };
    Ok(Decision {
        event: id.into(),
        at: noun.time(row.try_get(1)?)?,
        workflow: row.try_get::<Option<String>, _>(2)?.map(Into::into),
        run: row.try_get::<Option<Uuid>, _>(3)?.map(Into::into),
        message: row.try_get::<Option<Uuid>, _>(4)?.map(Into::into),
        recipient: row.try_get::<Option<String>, _>(5)?.map(Into::into),
        step: row.try_get::<Option<String>, _>(6)?.map(Into::into),
        channel: row.try_get::<Option<String>, _>(7)?.map(Into::into),
        verdict: noun.pick(&Verdict::ALL, row.try_get(8)?)?,
        code: row.try_get::<String, _>(9)?.into(),
        reason: row.try_get(10)?,
        rule: row.try_get(11)?,
        until: noun.maybe_time(row.try_get(12)?)?,
    })
}

/// Columns in [`ENTRY`]'s order; a sensitive one's `message` is to be opened by its reader.
pub(super) fn entry(row: &SqliteRow) -> Result<Entry> {
    let id: Uuid = row.try_get(0)?;
    let noun = Noun { noun: "inbox entry", id };
    Ok(Entry {
        id: id.into(),
        event: row.try_get::<Uuid, _>(1)?.into(),
        user: row.try_get::<String, _>(2)?.into(),
        seq: row.try_get::<i64, _>(3)?.try_into().unwrap_or_default(),
        category: row.try_get::<String, _>(4)?.into(),
        title: row.try_get(5)?,
        message: row.try_get(6)?,
        priority: noun.pick(&Priority::ALL, row.try_get(7)?)?,
        metadata: noun.json(row.try_get(8)?)?,
        created_at: noun.time(row.try_get(9)?)?,
        read_at: noun.maybe_time(row.try_get(10)?)?,
        sensitive: row.try_get(11)?,
        public_title: row.try_get(12)?,
    })
}

/// A frame as it was stored: what the relay sends.
pub(super) fn frame_body(stream: &str, text: &str) -> Result<FrameBody> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
        noun: "frame of",
        id: stream.to_owned(),
        why: error.to_string(),
    })
}

pub(super) fn all<T>(rows: &[SqliteRow], one: fn(&SqliteRow) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(one).collect()
}

/// Text for a column, shared where the noun shares it.
pub(super) fn shared(text: &Arc<str>) -> Arc<str> {
    text.clone()
}

/// What is being read, for the error.
struct Noun {
    noun: &'static str,
    id: Uuid,
}

impl Noun {
    fn json<T: DeserializeOwned>(&self, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|error| self.unreadable(&error))
    }

    fn time(&self, millis: i64) -> Result<Timestamp> {
        Timestamp::from_millisecond(millis).map_err(|error| self.unreadable(&error))
    }

    fn maybe_time(&self, millis: Option<i64>) -> Result<Option<Timestamp>> {
        millis.map(|millis| self.time(millis)).transpose()
    }

    fn number(&self, number: i64) -> Result<u32> {
        u32::try_from(number).map_err(|error| self.unreadable(&error))
    }

    fn pick<T: Copy>(&self, all: &[T], number: i64) -> Result<T> {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        all.get(place).copied().ok_or_else(|| self.unreadable(&format_args!("no variant {number}")))
    }

    fn unreadable(&self, why: &dyn std::fmt::Display) -> StoreError {
        StoreError::Unreadable { noun: self.noun, id: self.id.to_string(), why: why.to_string() }
    }
}

/// A JSON column's text.
pub(super) fn json(value: &Value) -> String {
    value.to_string()
}

//! Rows to nouns and back, for all stores that keep rows. A row that cannot be read is an error of that row, never a panic.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::columns::Columns;

use super::{Result, StoreError};
use crate::model::{
    Attempt, AttemptOutcome, Decision, Entry, Event, FrameBody, Lane, Message, MessageStatus,
    Priority, Run, RunStatus, Verdict,
};

pub(super) const EVENT: &str = "id, tenant, name, ikey, actor, data, at, received_at, plan_at, cursor, fence, tries, \
     depth, told, trace";
pub(super) const RUN: &str = "id, event, workflow, recipient, version, role, contact, priority, \
     key, status, position, wake_at, state, started_at, fence, tries, topic";
pub(super) const MESSAGE: &str = "id, run, step, item, channel, event, recipient, workflow, \
     category, priority, status, due_at, expires_at, attempt, provider, receipt, code, created_at, \
     forgiven, fence, departed_at, tries, gathers, lane";
pub(super) const ATTEMPT: &str =
    "message, number, provider, started_at, finished_at, outcome, code, detail, receipt";
pub(super) const DECISION: &str = "event, at, workflow, run, message, recipient, step, channel, \
     verdict, code, reason, rule, until";

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
pub(super) fn event(row: &impl Columns) -> Result<Event> {
    let id = row.id(0)?;
    let noun = Noun { noun: "event", id };
    let told = row.maybe_text(13)?;
    Ok(Event {
        id: id.into(),
        tenant: row.text(1)?.into(),
        name: row.text(2)?.into(),
        idempotency_key: row.maybe_text(3)?.map(Into::into),
        depth: noun.number(row.number(12)?)?,
        told: told.map(|text| noun.json(text)).transpose()?.unwrap_or_default(),
        sensitive: false,
        trace: row.maybe_text(14)?.map(Into::into),
        actor: row.maybe_text(4)?.map(Into::into),
        data: noun.json(row.text(5)?)?,
        at: noun.time(row.number(6)?)?,
        received_at: noun.time(row.number(7)?)?,
    })
}

/// Columns in [`RUN`]'s order; a sealed state is a text, to be opened by its reader.
pub(super) fn run(row: &impl Columns) -> Result<Run> {
    let id = row.id(0)?;
    let noun = Noun { noun: "run", id };
    let contact = row.maybe_text(6)?;
    Ok(Run {
        id: id.into(),
        event: row.id(1)?.into(),
        workflow: row.text(2)?.into(),
        recipient: row.maybe_text(3)?.map(Into::into),
        version: row.text(4)?.into(),
        role: row.text(5)?.into(),
        contact: contact.map(|text| noun.json(text)).transpose()?,
        priority: noun.pick(&Priority::ALL, row.number(7)?)?,
        key: row.maybe_text(8)?.map(Into::into),
        status: noun.pick(&RUN_STATUSES, row.number(9)?)?,
        position: row.maybe_text(10)?.map(Into::into),
        wake_at: noun.maybe_time(row.maybe_number(11)?)?,
        state: noun.json(row.text(12)?)?,
        started_at: noun.time(row.number(13)?)?,
        sensitive: false,
        topic: row.maybe_text(16)?.map(Into::into),
    })
}

/// Columns in [`MESSAGE`]'s order.
pub(super) fn message(row: &impl Columns) -> Result<Message> {
    let id = row.id(0)?;
    let noun = Noun { noun: "message", id };
    Ok(Message {
        id: id.into(),
        run: row.id(1)?.into(),
        step: row.text(2)?.into(),
        item: noun.number(row.number(3)?)?,
        channel: row.text(4)?.into(),
        event: row.id(5)?.into(),
        recipient: row.maybe_text(6)?.map(Into::into),
        workflow: row.text(7)?.into(),
        category: row.text(8)?.into(),
        priority: noun.pick(&Priority::ALL, row.number(9)?)?,
        lane: Lane::numbered(noun.number(row.number(23)?)?),
        status: noun.pick(&MessageStatus::ALL, row.number(10)?)?,
        due_at: noun.time(row.number(11)?)?,
        expires_at: noun.maybe_time(row.maybe_number(12)?)?,
        attempt: noun.number(row.number(13)?)?,
        provider: row.maybe_text(14)?.map(Into::into),
        receipt: row.maybe_text(15)?.map(Into::into),
        code: row.maybe_text(16)?.map(Into::into),
        created_at: noun.time(row.number(17)?)?,
        forgiven: noun.number(row.number(18)?)?,
    })
}

/// Columns in [`ATTEMPT`]'s order.
pub(super) fn attempt(row: &impl Columns) -> Result<Attempt> {
    let id = row.id(0)?;
    let noun = Noun { noun: "attempt", id };
    Ok(Attempt {
        message: id.into(),
        number: noun.number(row.number(1)?)?,
        provider: row.text(2)?.into(),
        started_at: noun.time(row.number(3)?)?,
        finished_at: noun.time(row.number(4)?)?,
        outcome: noun.pick(&AttemptOutcome::ALL, row.number(5)?)?,
        code: row.maybe_text(6)?.map(Into::into),
        detail: row.maybe_text(7)?.map(Into::into),
        receipt: row.maybe_text(8)?.map(Into::into),
    })
}

/// Columns in [`DECISION`]'s order.
pub(super) fn decision(row: &impl Columns) -> Result<Decision> {
    let id = row.id(0)?;
    let noun = Noun { noun: "decision of event", id };
    Ok(Decision {
        event: id.into(),
        at: noun.time(row.number(1)?)?,
        workflow: row.maybe_text(2)?.map(Into::into),
        run: row.maybe_id(3)?.map(Into::into),
        message: row.maybe_id(4)?.map(Into::into),
        recipient: row.maybe_text(5)?.map(Into::into),
        step: row.maybe_text(6)?.map(Into::into),
        channel: row.maybe_text(7)?.map(Into::into),
        verdict: noun.pick(&Verdict::ALL, row.number(8)?)?,
        code: row.text(9)?.to_owned().into(),
        reason: row.text(10)?.into(),
        rule: row.maybe_text(11)?.map(Into::into),
        until: noun.maybe_time(row.maybe_number(12)?)?,
    })
}

/// Columns: id, event, user, seq, category, title, message, priority, metadata, created_at,
/// read_at, sensitive, public_title; a sensitive one's `message` is to be opened by its reader.
pub(super) fn entry(row: &impl Columns) -> Result<Entry> {
    let id = row.id(0)?;
    let noun = Noun { noun: "inbox entry", id };
    Ok(Entry {
        id: id.into(),
        event: row.id(1)?.into(),
        user: row.text(2)?.into(),
        seq: row.number(3)?.try_into().unwrap_or_default(),
        category: row.text(4)?.into(),
        title: row.text(5)?.into(),
        message: row.text(6)?.into(),
        priority: noun.pick(&Priority::ALL, row.number(7)?)?,
        metadata: noun.json(row.text(8)?)?,
        created_at: noun.time(row.number(9)?)?,
        read_at: noun.maybe_time(row.maybe_number(10)?)?,
        sensitive: row.truth(11)?,
        public_title: row.maybe_text(12)?.map(Into::into),
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

pub(super) fn all<R, T>(rows: &[R], one: fn(&R) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(one).collect()
}

/// Decoded nouns beside the rows they came from.
pub(super) fn beside<R, T>(rows: &[R], one: fn(&R) -> Result<T>) -> Result<Vec<(T, &R)>> {
    rows.iter().map(|row| Ok((one(row)?, row))).collect()
}

/// A number that counts something.
pub(super) fn count(row: &impl Columns, place: usize) -> Result<u32> {
    Ok(u32::try_from(row.number(place)?).unwrap_or_default())
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

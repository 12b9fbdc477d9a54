//! Writing what a plan adds: runs, messages, deliveries and decisions, of many plans at once.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, Statement, params};
use uuid::Uuid;

use super::decode::{json, millis, run_status};
use super::rows::{Statements, only};
use super::streams::Streams;
use super::{collections, events, frames as published, stops, waits};
use crate::model::{Attempt, Decision, Entry, Frame, FrameBody, Message, Run, RunId, Stream};
use crate::store::{Acceptance, Plan};

const RUN: &str = "INSERT OR IGNORE INTO run (id, event, workflow, recipient, version, role, \
     contact, priority, key, status, position, wake_at, state, started_at, who, topic) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const MESSAGE: &str = "INSERT OR IGNORE INTO message (id, run, step, item, channel, event, \
     recipient, workflow, category, priority, status, due_at, expires_at, attempt, provider, \
     code, created_at, lane) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const ATTEMPT: &str = "INSERT OR IGNORE INTO attempt (message, number, provider, started_at, \
     finished_at, outcome, code, detail, receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const DECISION: &str = "INSERT INTO decision (event, at, workflow, run, message, recipient, step, \
     channel, verdict, code, reason, rule, until) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const ENTRY: &str = "INSERT INTO inbox (id, event, user, seq, category, title, message, priority, \
     metadata, created_at, sensitive, public_title) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Writes `plans` and answers each one's frames. A run or message whose key is taken is left out
/// with all that hangs on it: it was planned before.
pub(super) fn write(
    connection: &Connection,
    streams: &mut Streams,
    plans: &[&Plan],
) -> rusqlite::Result<Vec<Vec<Frame>>> {
    let mut frames = Vec::with_capacity(plans.len());
    // What a plan stops includes what the plans before it began, and nothing of its own.
    for part in plans.chunk_by(|_, next| next.stops.is_empty()) {
        for stop in part.iter().flat_map(|plan| &plan.stops) {
            stops::stop(connection, stop)?;
        }
        frames.append(&mut write_part(connection, streams, part)?);
    }
    Ok(frames)
}

fn write_part(
    connection: &Connection,
    streams: &mut Streams,
    plans: &[&Plan],
) -> rusqlite::Result<Vec<Vec<Frame>>> {
    let all: Vec<&Run> = plans.iter().flat_map(|plan| &plan.runs).collect();
    let old_runs = runs(connection, &all)?;
    let (all, of_old_runs): (Vec<&Message>, Vec<&Message>) = plans
        .iter()
        .flat_map(|plan| &plan.messages)
        .partition(|message| !old_runs.contains(&message.run.0));
    let mut old = messages(connection, &all)?;
    old.extend(of_old_runs.iter().map(|message| message.id.0));

    let mut all_attempts = Vec::new();
    let mut all_entries = Vec::new();
    for (place, plan) in plans.iter().enumerate() {
        for (entry, attempt) in &plan.delivered {
            if !old.contains(&attempt.message.0) {
                all_attempts.push(attempt);
                let new_run = plan.runs.iter().any(|run| run.id == entry.id);
                all_entries.push(Delivered { place, entry, new_run });
            }
        }
    }
    attempts(connection, all_attempts)?;
    let mut frames = vec![Vec::new(); plans.len()];
    for (place, frame) in entries(connection, streams, all_entries)? {
        frames[place].push(frame);
    }

    let kept = |decision: &&Decision| decision.message.is_none_or(|id| !old.contains(&id.0));
    let mut all: Vec<&Decision> =
        plans.iter().flat_map(|plan| &plan.decisions).filter(kept).collect();
    for (place, plan) in plans.iter().enumerate() {
        let is_new = |run: Option<RunId>| run.is_none_or(|run| !old_runs.contains(&run.0));
        let new = plan.publications.iter().filter(|each| is_new(each.decision.run));
        for (frame, decision) in published::publish(connection, streams, new)? {
            frames[place].push(frame);
            all.push(decision);
        }
    }
    decisions(connection, all)?;
    let all: Vec<&Acceptance> = plans.iter().flat_map(|plan| &plan.events).collect();
    events::emitted(connection, &all)?;
    for plan in plans.iter().filter(|plan| !plan.unplanned.is_empty()) {
        stops::note_unplanned(connection, plan)?;
    }
    collections::write(connection, plans, |run| old_runs.contains(run))?;
    waits::write(connection, streams, plans, |run| old_runs.contains(&run.0))?;
    Ok(frames)
}

/// An entry to be written, and the place of the call that it belongs to.
pub(super) struct Delivered<'e> {
    pub place: usize,
    pub entry: &'e Entry,
    /// Its run is being written too, so it can have no entry yet.
    pub new_run: bool,
}

/// Gives the entries their `seq` and writes them; a run that has one already gets no second.
pub(super) fn entries(
    connection: &Connection,
    streams: &mut Streams,
    mut all: Vec<Delivered<'_>>,
) -> rusqlite::Result<Vec<(usize, Frame)>> {
    let mut known = HashSet::with_capacity(all.len());
    for Delivered { entry, .. } in all.iter().filter(|each| !each.new_run) {
        if is_known(connection, "inbox", entry.id.0)? {
            known.insert(entry.id.0);
        }
    }
    all.retain(|each| known.insert(each.entry.id.0));
    streams.load(connection, all.iter().map(|each| &each.entry.user))?;
    let rows: Vec<(u64, Delivered<'_>)> =
        all.into_iter().map(|each| (streams.next(&each.entry.user), each)).collect();
    let mut insert = connection.prepare_cached(ENTRY)?;
    for (seq, Delivered { entry, .. }) in &rows {
        let values = (
            entry.id.0,
            entry.event.0,
            &*entry.user.0,
            i64::try_from(*seq).unwrap_or(i64::MAX),
            &*entry.category.0,
            entry.title.as_str(),
            entry.message.as_str(),
            entry.priority as i64,
            metadata(entry),
            millis(entry.created_at),
            entry.sensitive,
            entry.public_title.as_deref().filter(|_| entry.sensitive),
        );
        insert.execute(values)?;
    }
    let frame = |(seq, Delivered { place, entry, .. })| {
        let stream = Stream::User(Clone::clone(&entry.user));
        (place, Frame { stream, seq, body: Arc::new(FrameBody::from(entry)) })
    };
    Ok(rows.into_iter().map(frame).collect())
}

pub(super) fn attempts<'a>(
    connection: &Connection,
    all: impl IntoIterator<Item = &'a Attempt>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(ATTEMPT)?;
    for attempt in all {
        let values = (
            attempt.message.0,
            attempt.number,
            &*attempt.provider.0,
            millis(attempt.started_at),
            millis(attempt.finished_at),
            attempt.outcome as i64,
            attempt.code.as_deref(),
            attempt.detail.as_deref(),
            attempt.receipt.as_deref(),
        );
        insert.execute(values)?;
    }
    Ok(())
}

pub(super) fn decisions<'a>(
    connection: &Connection,
    all: impl IntoIterator<Item = &'a Decision>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(DECISION)?;
    for decision in all {
        let values = (
            decision.event.0,
            millis(decision.at),
            decision.workflow.as_ref().map(|name| &*name.0),
            decision.run.map(|run| run.0),
            decision.message.map(|message| message.0),
            decision.recipient.as_ref().map(|user| &*user.0),
            decision.step.as_ref().map(|step| &*step.0),
            decision.channel.as_ref().map(|channel| &*channel.0),
            decision.verdict as i64,
            &*decision.code,
            decision.reason.as_str(),
            decision.rule.as_deref(),
            decision.until.map(millis),
        );
        insert.execute(values)?;
    }
    Ok(())
}

/// Writes runs; answers the ids of those whose key was taken.
fn runs(connection: &Connection, all: &[&Run]) -> rusqlite::Result<HashSet<Uuid>> {
    let mut old = HashSet::new();
    let mut insert = connection.prepare_cached(RUN)?;
    for run in all {
        if !write_run(&mut insert, run)? && !is_known(connection, "run", run.id.0)? {
            old.insert(run.id.0);
        }
    }
    Ok(old)
}

/// Writes messages; answers the ids of those whose key was taken.
fn messages(connection: &Connection, all: &[&Message]) -> rusqlite::Result<HashSet<Uuid>> {
    let mut old = HashSet::new();
    let mut insert = connection.prepare_cached(MESSAGE)?;
    for message in all {
        if !write_message(&mut insert, message)? && !is_known(connection, "message", message.id.0)?
        {
            old.insert(message.id.0);
        }
    }
    Ok(old)
}

/// Whether that very row is there, and not another with its key.
fn is_known(connection: &Connection, table: &str, id: Uuid) -> rusqlite::Result<bool> {
    let known = format!("SELECT 1 FROM {table} WHERE id = ?");
    Ok(connection.maybe(&known, (id,), only::<i64>)?.is_some())
}

fn write_run(insert: &mut Statement<'_>, run: &Run) -> rusqlite::Result<bool> {
    let contact = run.contact.as_ref().map(json);
    let who = match (&run.recipient, &contact) {
        (Some(user), _) => user.as_str(),
        (None, Some(_)) if run.sensitive => sealed_who(run),
        (None, Some(contact)) => contact,
        (None, None) => "",
    };
    let values = (
        run.id.0,
        run.event.0,
        &*run.workflow.0,
        run.recipient.as_ref().map(|user| &*user.0),
        &*run.version.0,
        run.role.as_str(),
        &contact,
        run.priority as i64,
        run.key.as_deref(),
        run_status(run.status),
        run.position.as_ref().map(|step| &*step.0),
        run.wake_at.map(millis),
        json(&run.state),
        millis(run.started_at),
        who,
        run.topic.as_ref().map(|topic| &*topic.0),
    );
    Ok(insert.execute(values)? > 0)
}

fn write_message(insert: &mut Statement<'_>, message: &Message) -> rusqlite::Result<bool> {
    let values = params![
        message.id.0,
        message.run.0,
        &*message.step.0,
        message.item,
        &*message.channel.0,
        message.event.0,
        message.recipient.as_ref().map(|user| &*user.0),
        &*message.workflow.0,
        &*message.category.0,
        message.priority as i64,
        message.status as i64,
        millis(message.due_at),
        message.expires_at.map(millis),
        message.attempt,
        message.provider.as_ref().map(|provider| &*provider.0),
        message.code.as_deref(),
        millis(message.created_at),
        message.lane.number(),
    ];
    Ok(insert.execute(values)? > 0)
}

/// What sealing left of a contact beside the ciphertext.
fn sealed_who(run: &Run) -> &str {
    run.contact.as_ref().and_then(|contact| contact["who"].as_str()).unwrap_or_default()
}

fn metadata(entry: &Entry) -> String {
    if entry.metadata.is_empty() {
        return "{}".into();
    }
    serde_json::to_string(&entry.metadata).unwrap_or_else(|_| "{}".into())
}

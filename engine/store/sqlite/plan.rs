//! Writing what a plan adds: runs, messages, deliveries and decisions, of many plans at once.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::decode::{json, millis, run_status, shared};
use super::rows::{Bound, Bulk};
use super::streams::Streams;
use super::{collections, events, frames as published, stops, waits};
use crate::model::{Attempt, Decision, Entry, Frame, FrameBody, Message, Run, RunId, Stream};
use crate::store::{Acceptance, Plan};

const RUNS: Bulk = Bulk {
    head: "INSERT OR IGNORE INTO run (id, event, workflow, recipient, version, role, contact, \
           priority, key, status, position, wake_at, state, started_at, who, topic)",
    columns: 16,
    tail: "",
};
const MESSAGES: Bulk = Bulk {
    head: "INSERT OR IGNORE INTO message (id, run, step, item, channel, event, recipient, \
           workflow, category, priority, status, due_at, expires_at, attempt, provider, code, \
           created_at, lane)",
    columns: 18,
    tail: "",
};
const ATTEMPTS: Bulk = Bulk {
    head: "INSERT OR IGNORE INTO attempt (message, number, provider, started_at, finished_at, \
           outcome, code, detail, receipt)",
    columns: 9,
    tail: "",
};
const DECISIONS: Bulk = Bulk {
    head: "INSERT INTO decision (event, at, workflow, run, message, recipient, step, channel, \
           verdict, code, reason, rule, until)",
    columns: 13,
    tail: "",
};
const ENTRIES: Bulk = Bulk {
    head: "INSERT INTO inbox (id, event, user, seq, category, title, message, priority, metadata, \
           created_at, sensitive, public_title)",
    columns: 12,
    tail: "",
};
const KNOWN_RUNS: Bulk = Bulk { head: "SELECT id FROM run WHERE id IN (", columns: 1, tail: ")" };
const KNOWN_MESSAGES: Bulk =
    Bulk { head: "SELECT id FROM message WHERE id IN (", columns: 1, tail: ")" };
const KNOWN_ENTRIES: Bulk =
    Bulk { head: "SELECT id FROM inbox WHERE id IN (", columns: 1, tail: ")" };

/// Writes `plans` and answers each one's frames. A run or message whose key is taken is left out
/// with all that hangs on it: it was planned before.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    plans: &[&Plan],
) -> sqlx::Result<Vec<Vec<Frame>>> {
    let mut frames = Vec::with_capacity(plans.len());
    // What a plan stops includes what the plans before it began, and nothing of its own.
    for part in plans.chunk_by(|_, next| next.stops.is_empty()) {
        for stop in part.iter().flat_map(|plan| &plan.stops) {
            stops::stop(connection, stop).await?;
        }
        frames.append(&mut write_part(connection, streams, part).await?);
    }
    Ok(frames)
}

async fn write_part(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    plans: &[&Plan],
) -> sqlx::Result<Vec<Vec<Frame>>> {
    let all: Vec<&Run> = plans.iter().flat_map(|plan| &plan.runs).collect();
    let old_runs = runs(connection, &all).await?;
    let (all, of_old_runs): (Vec<&Message>, Vec<&Message>) = plans
        .iter()
        .flat_map(|plan| &plan.messages)
        .partition(|message| !old_runs.contains(&message.run.0));
    let mut old = messages(connection, &all).await?;
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
    attempts(connection, &all_attempts).await?;
    let mut frames = vec![Vec::new(); plans.len()];
    for (place, frame) in entries(connection, streams, all_entries).await? {
        frames[place].push(frame);
    }

    let kept = |decision: &&Decision| decision.message.is_none_or(|id| !old.contains(&id.0));
    let mut all: Vec<&Decision> =
        plans.iter().flat_map(|plan| &plan.decisions).filter(kept).collect();
    for (place, plan) in plans.iter().enumerate() {
        let is_new = |run: Option<RunId>| run.is_none_or(|run| !old_runs.contains(&run.0));
        let new = plan.publications.iter().filter(|each| is_new(each.decision.run));
        for (frame, decision) in published::publish(connection, streams, new).await? {
            frames[place].push(frame);
            all.push(decision);
        }
    }
    decisions(connection, &all).await?;
    let all: Vec<&Acceptance> = plans.iter().flat_map(|plan| &plan.events).collect();
    events::emitted(connection, &all).await?;
    for plan in plans.iter().filter(|plan| !plan.unplanned.is_empty()) {
        stops::note_unplanned(connection, plan).await?;
    }
    collections::write(connection, plans, |run| old_runs.contains(run)).await?;
    waits::write(connection, streams, plans, |run| old_runs.contains(&run.0)).await?;
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
pub(super) async fn entries(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    mut all: Vec<Delivered<'_>>,
) -> sqlx::Result<Vec<(usize, Frame)>> {
    let asked: Vec<Uuid> =
        all.iter().filter(|each| !each.new_run).map(|each| each.entry.id.0).collect();
    let mut known = KNOWN_ENTRIES.ids(connection, &asked).await?;
    all.retain(|each| known.insert(each.entry.id.0));
    streams.load(connection, all.iter().map(|each| &each.entry.user)).await?;
    let rows: Vec<(u64, Delivered<'_>)> =
        all.into_iter().map(|each| (streams.next(&each.entry.user), each)).collect();
    ENTRIES
        .execute(connection, &rows, |query, (seq, Delivered { entry, .. })| {
            query
                .bind(entry.id.0)
                .bind(entry.event.0)
                .bind(shared(&entry.user.0))
                .bind(i64::try_from(*seq).unwrap_or(i64::MAX))
                .bind(shared(&entry.category.0))
                .bind(entry.title.as_str())
                .bind(entry.message.as_str())
                .bind(entry.priority as i64)
                .bind(metadata(entry))
                .bind(millis(entry.created_at))
                .bind(entry.sensitive)
                .bind(entry.public_title.as_deref().filter(|_| entry.sensitive))
        })
        .await?;
    let frame = |(seq, Delivered { place, entry, .. })| {
        let stream = Stream::User(Clone::clone(&entry.user));
        (place, Frame { stream, seq, body: Arc::new(FrameBody::from(entry)) })
    };
    Ok(rows.into_iter().map(frame).collect())
}

pub(super) async fn attempts(
    connection: &mut SqliteConnection,
    all: &[&Attempt],
) -> sqlx::Result<()> {
    ATTEMPTS
        .execute(connection, all, |query, attempt| {
            query
                .bind(attempt.message.0)
                .bind(i64::from(attempt.number))
                .bind(shared(&attempt.provider.0))
                .bind(millis(attempt.started_at))
                .bind(millis(attempt.finished_at))
                .bind(attempt.outcome as i64)
                .bind(attempt.code.as_deref())
                .bind(attempt.detail.as_deref())
                .bind(attempt.receipt.as_deref())
        })
        .await?;
    Ok(())
}

pub(super) async fn decisions(
    connection: &mut SqliteConnection,
    all: &[&Decision],
) -> sqlx::Result<()> {
    DECISIONS
        .execute(connection, all, |query, decision| {
            query
                .bind(decision.event.0)
                .bind(millis(decision.at))
                .bind(decision.workflow.as_ref().map(|name| shared(&name.0)))
                .bind(decision.run.map(|run| run.0))
                .bind(decision.message.map(|message| message.0))
                .bind(decision.recipient.as_ref().map(|user| shared(&user.0)))
                .bind(decision.step.as_ref().map(|step| shared(&step.0)))
                .bind(decision.channel.as_ref().map(|channel| shared(&channel.0)))
                .bind(decision.verdict as i64)
                .bind(&*decision.code)
                .bind(decision.reason.as_str())
                .bind(decision.rule.as_deref())
                .bind(decision.until.map(millis))
        })
        .await?;
    Ok(())
}

/// Writes runs; answers the ids of those whose key was taken.
async fn runs(connection: &mut SqliteConnection, all: &[&Run]) -> sqlx::Result<HashSet<Uuid>> {
    let written = RUNS.execute(connection, all, bind_run).await?;
    let ids = || all.iter().map(|run| run.id.0).collect();
    KNOWN_RUNS.left_out(connection, written, ids()).await
}

/// Writes messages; answers the ids of those whose key was taken.
async fn messages(
    connection: &mut SqliteConnection,
    all: &[&Message],
) -> sqlx::Result<HashSet<Uuid>> {
    let written = MESSAGES.execute(connection, all, bind_message).await?;
    let ids = all.iter().map(|message| message.id.0).collect();
    KNOWN_MESSAGES.left_out(connection, written, ids).await
}

impl Bulk {
    /// Those of `ids` that a bulk insert, which wrote `written` rows, left out.
    async fn left_out(
        self,
        connection: &mut SqliteConnection,
        written: u64,
        ids: Vec<Uuid>,
    ) -> sqlx::Result<HashSet<Uuid>> {
        if written == ids.len() as u64 {
            return Ok(HashSet::new());
        }
        let known = self.ids(connection, &ids).await?;
        Ok(ids.into_iter().filter(|id| !known.contains(id)).collect())
    }

    /// Those of `ids` that the table has.
    pub(super) async fn ids(
        self,
        connection: &mut SqliteConnection,
        ids: &[Uuid],
    ) -> sqlx::Result<HashSet<Uuid>> {
        let rows = self.fetch(connection, ids, |query, id| query.bind(*id)).await?;
        rows.iter().map(|row| sqlx::Row::try_get(row, 0)).collect()
    }
}

fn bind_run<'q>(query: Bound<'q>, run: &&'q Run) -> Bound<'q> {
    let contact = run.contact.as_ref().map(json);
    let who = match (&run.recipient, &contact) {
        (Some(user), _) => shared(&user.0),
        (None, Some(_)) if run.sensitive => sealed_who(run).into(),
        (None, Some(contact)) => contact.as_str().into(),
        (None, None) => "".into(),
    };
    query
        .bind(run.id.0)
        .bind(run.event.0)
        .bind(shared(&run.workflow.0))
        .bind(run.recipient.as_ref().map(|user| shared(&user.0)))
        .bind(shared(&run.version.0))
        .bind(run.role.as_str())
        .bind(contact)
        .bind(run.priority as i64)
        .bind(run.key.as_deref())
        .bind(run_status(run.status))
        .bind(run.position.as_ref().map(|step| shared(&step.0)))
        .bind(run.wake_at.map(millis))
        .bind(json(&run.state))
        .bind(millis(run.started_at))
        .bind(who)
        .bind(run.topic.as_ref().map(|topic| shared(&topic.0)))
}

/// What sealing left of a contact beside the ciphertext.
fn sealed_who(run: &Run) -> &str {
    run.contact.as_ref().and_then(|contact| contact["who"].as_str()).unwrap_or_default()
}

fn bind_message<'q>(query: Bound<'q>, message: &&'q Message) -> Bound<'q> {
    query
        .bind(message.id.0)
        .bind(message.run.0)
        .bind(shared(&message.step.0))
        .bind(i64::from(message.item))
        .bind(shared(&message.channel.0))
        .bind(message.event.0)
        .bind(message.recipient.as_ref().map(|user| shared(&user.0)))
        .bind(shared(&message.workflow.0))
        .bind(shared(&message.category.0))
        .bind(message.priority as i64)
        .bind(message.status as i64)
        .bind(millis(message.due_at))
        .bind(message.expires_at.map(millis))
        .bind(i64::from(message.attempt))
        .bind(message.provider.as_ref().map(|provider| shared(&provider.0)))
        .bind(message.code.as_deref())
        .bind(millis(message.created_at))
        .bind(i64::from(message.lane.number()))
}

fn metadata(entry: &Entry) -> String {
    if entry.metadata.is_empty() {
        return "{}".into();
    }
    serde_json::to_string(&entry.metadata).unwrap_or_else(|_| "{}".into())
}

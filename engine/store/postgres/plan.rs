//! Writing what a plan adds: runs, messages, deliveries and decisions, of many plans at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::decode::{json, millis, run_status};
use super::rows::{each, hex, key, text};
use super::{collections, events, frames as published, stops, streams, waits};
use crate::model::{Attempt, Decision, Entry, Frame, FrameBody, Message, Run, RunId, Stream};
use crate::store::{Acceptance, Plan};

const RUNS: &str = "INSERT INTO run (id, event, workflow, recipient, version, role, contact, \
      priority, key, status, position, wake_at, state, started_at, who, topic)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
      $7::text[], $8::bigint[], $9::text[], $10::bigint[], $11::text[], $12::bigint[],
      $13::text[], $14::bigint[], $15::text[], $16::text[])
    ON CONFLICT DO NOTHING RETURNING id";
const MESSAGES: &str = "INSERT INTO message (id, run, step, item, channel, event, recipient, \
      workflow, category, priority, status, due_at, expires_at, attempt, provider, code, created_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::uuid[],
      $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[],
      $13::bigint[], $14::bigint[], $15::text[], $16::text[], $17::bigint[])
    ON CONFLICT DO NOTHING RETURNING id";
const ATTEMPTS: &str = "INSERT INTO attempt (message, number, provider, started_at, finished_at, \
      outcome, code, detail, receipt)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[],
      $6::bigint[], $7::text[], $8::text[], $9::text[])
    ON CONFLICT DO NOTHING";
const DECISIONS: &str =
    "INSERT INTO decision (event, at, workflow, run, message, recipient, step, \
      channel, verdict, code, reason, rule, until)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[], $5::uuid[], $6::text[],
      $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bigint[])";
const ENTRIES: &str = "INSERT INTO inbox (id, event, user_id, seq, category, title, message, \
      priority, metadata, created_at, sensitive, public_title)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[],
      $7::text[], $8::bigint[], $9::text[], $10::bigint[], $11::boolean[], $12::text[])";

/// Writes `plans` and answers each one's frames. A run or message whose key is taken is left out
/// with all that hangs on it: it was planned before.
pub(super) async fn write(
    connection: &mut PgConnection,
    plans: &[&Plan],
) -> sqlx::Result<Vec<Vec<Frame>>> {
    let mut frames = Vec::with_capacity(plans.len());
    // What a plan stops includes what the plans before it began, and nothing of its own.
    for part in plans.chunk_by(|_, next| next.stops.is_empty()) {
        for stop in part.iter().flat_map(|plan| &plan.stops) {
            stops::stop(connection, stop).await?;
        }
        frames.append(&mut write_part(connection, part).await?);
    }
    Ok(frames)
}

async fn write_part(
    connection: &mut PgConnection,
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
    for (place, frame) in entries(connection, all_entries).await? {
        frames[place].push(frame);
    }

    let kept = |decision: &&Decision| decision.message.is_none_or(|id| !old.contains(&id.0));
    let mut all: Vec<&Decision> =
        plans.iter().flat_map(|plan| &plan.decisions).filter(kept).collect();
    for (place, plan) in plans.iter().enumerate() {
        let is_new = |run: Option<RunId>| run.is_none_or(|run| !old_runs.contains(&run.0));
        let new = plan.publications.iter().filter(|each| is_new(each.decision.run));
        for (frame, decision) in published::publish(connection, new).await? {
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
    waits::write(connection, plans, |run| old_runs.contains(&run.0)).await?;
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
///
/// If another node makes a run's entry between the look and the write, the write fails by the
/// entry's key, and the whole transaction is tried again: then it is found.
pub(super) async fn entries(
    connection: &mut PgConnection,
    mut all: Vec<Delivered<'_>>,
) -> sqlx::Result<Vec<(usize, Frame)>> {
    let asked: Vec<Uuid> =
        all.iter().filter(|each| !each.new_run).map(|each| each.entry.id.0).collect();
    let mut known = known_entries(connection, asked).await?;
    all.retain(|each| known.insert(each.entry.id.0));
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let streams: Vec<Stream> =
        all.iter().map(|each| Stream::User(Clone::clone(&each.entry.user))).collect();
    let mut places: BTreeMap<String, i64> = BTreeMap::new();
    for stream in &streams {
        *places.entry(stream.name()).or_default() += 1;
    }
    let mut heads = streams::take(connection, &places).await?;
    let mut next = |stream: &Stream| {
        let head = heads.entry(stream.name()).or_default();
        *head += 1;
        *head
    };
    let seqs: Vec<i64> = streams.iter().map(&mut next).collect();
    sqlx::query(ENTRIES)
        .bind(each(&all, |each| each.entry.id.0))
        .bind(each(&all, |each| each.entry.event.0))
        .bind(each(&all, |each| each.entry.user.as_str()))
        .bind(&seqs)
        .bind(each(&all, |each| each.entry.category.as_str()))
        .bind(each(&all, |each| text(&each.entry.title)))
        .bind(each(&all, |each| text(&each.entry.message)))
        .bind(each(&all, |each| each.entry.priority as i64))
        .bind(each(&all, |each| metadata(each.entry)))
        .bind(each(&all, |each| millis(each.entry.created_at)))
        .bind(each(&all, |each| each.entry.sensitive))
        .bind(each(&all, |Delivered { entry, .. }| {
            entry.public_title.as_deref().filter(|_| entry.sensitive).map(text)
        }))
        .execute(connection)
        .await?;
    let frame =
        |((Delivered { place, entry, .. }, stream), seq): ((Delivered<'_>, Stream), i64)| {
            (
                place,
                Frame { stream, seq: seq.unsigned_abs(), body: Arc::new(FrameBody::from(entry)) },
            )
        };
    Ok(all.into_iter().zip(streams).zip(seqs).map(frame).collect())
}

async fn known_entries(
    connection: &mut PgConnection,
    asked: Vec<Uuid>,
) -> sqlx::Result<HashSet<Uuid>> {
    if asked.is_empty() {
        return Ok(HashSet::new());
    }
    let known: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM inbox WHERE id = ANY($1)")
        .bind(asked)
        .fetch_all(connection)
        .await?;
    Ok(known.into_iter().collect())
}

pub(super) async fn attempts(connection: &mut PgConnection, all: &[&Attempt]) -> sqlx::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    sqlx::query(ATTEMPTS)
        .bind(each(all, |attempt| attempt.message.0))
        .bind(each(all, |attempt| i64::from(attempt.number)))
        .bind(each(all, |attempt| attempt.provider.as_str()))
        .bind(each(all, |attempt| millis(attempt.started_at)))
        .bind(each(all, |attempt| millis(attempt.finished_at)))
        .bind(each(all, |attempt| attempt.outcome as i64))
        .bind(each(all, |attempt| attempt.code.as_deref().map(text)))
        .bind(each(all, |attempt| attempt.detail.as_deref().map(text)))
        .bind(each(all, |attempt| attempt.receipt.as_deref().map(text)))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn decisions(
    connection: &mut PgConnection,
    all: &[&Decision],
) -> sqlx::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    sqlx::query(DECISIONS)
        .bind(each(all, |decision| decision.event.0))
        .bind(each(all, |decision| millis(decision.at)))
        .bind(each(all, |decision| decision.workflow.as_ref().map(|name| name.as_str())))
        .bind(each(all, |decision| decision.run.map(|run| run.0)))
        .bind(each(all, |decision| decision.message.map(|message| message.0)))
        .bind(each(all, |decision| decision.recipient.as_ref().map(|user| user.as_str())))
        .bind(each(all, |decision| decision.step.as_ref().map(|step| step.as_str())))
        .bind(each(all, |decision| decision.channel.as_ref().map(|channel| channel.as_str())))
        .bind(each(all, |decision| decision.verdict as i64))
        .bind(each(all, |decision| text(&decision.code)))
        .bind(each(all, |decision| text(&decision.reason)))
        .bind(each(all, |decision| decision.rule.as_deref().map(text)))
        .bind(each(all, |decision| decision.until.map(millis)))
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes runs; answers the ids of those whose key was taken.
async fn runs(connection: &mut PgConnection, all: &[&Run]) -> sqlx::Result<HashSet<Uuid>> {
    if all.is_empty() {
        return Ok(HashSet::new());
    }
    let written = sqlx::query_scalar(RUNS)
        .bind(each(all, |run| run.id.0))
        .bind(each(all, |run| run.event.0))
        .bind(each(all, |run| run.workflow.as_str()))
        .bind(each(all, |run| run.recipient.as_ref().map(|user| user.as_str())))
        .bind(each(all, |run| run.version.as_str()))
        .bind(each(all, |run| run.role.as_str()))
        .bind(each(all, |run| run.contact.as_ref().map(json)))
        .bind(each(all, |run| run.priority as i64))
        .bind(each(all, |run| run.key.as_deref().map(key)))
        .bind(each(all, |run| run_status(run.status)))
        .bind(each(all, |run| run.position.as_ref().map(|step| step.as_str())))
        .bind(each(all, |run| run.wake_at.map(millis)))
        .bind(each(all, |run| json(&run.state)))
        .bind(each(all, |run| millis(run.started_at)))
        .bind(each(all, |run| who(run)))
        .bind(each(all, |run| run.topic.as_ref().map(|topic| topic.as_str())))
        .fetch_all(connection)
        .await?;
    Ok(left_out(all.iter().map(|run| run.id.0), written))
}

/// Writes messages; answers the ids of those whose key was taken.
async fn messages(connection: &mut PgConnection, all: &[&Message]) -> sqlx::Result<HashSet<Uuid>> {
    if all.is_empty() {
        return Ok(HashSet::new());
    }
    let written = sqlx::query_scalar(MESSAGES)
        .bind(each(all, |message| message.id.0))
        .bind(each(all, |message| message.run.0))
        .bind(each(all, |message| message.step.as_str()))
        .bind(each(all, |message| i64::from(message.item)))
        .bind(each(all, |message| message.channel.as_str()))
        .bind(each(all, |message| message.event.0))
        .bind(each(all, |message| message.recipient.as_ref().map(|user| user.as_str())))
        .bind(each(all, |message| message.workflow.as_str()))
        .bind(each(all, |message| message.category.as_str()))
        .bind(each(all, |message| message.priority as i64))
        .bind(each(all, |message| message.status as i64))
        .bind(each(all, |message| millis(message.due_at)))
        .bind(each(all, |message| message.expires_at.map(millis)))
        .bind(each(all, |message| i64::from(message.attempt)))
        .bind(each(all, |message| message.provider.as_ref().map(|provider| provider.as_str())))
        .bind(each(all, |message| message.code.as_deref().map(text)))
        .bind(each(all, |message| millis(message.created_at)))
        .fetch_all(connection)
        .await?;
    Ok(left_out(all.iter().map(|message| message.id.0), written))
}

/// Those of `asked` that an insert did not write.
fn left_out(asked: impl Iterator<Item = Uuid>, written: Vec<Uuid>) -> HashSet<Uuid> {
    let written: HashSet<Uuid> = written.into_iter().collect();
    asked.filter(|id| !written.contains(id)).collect()
}

/// Whom the run is for, within its event: a contact by its hash, which every index can hold.
fn who(run: &Run) -> Cow<'_, str> {
    match (&run.recipient, &run.contact) {
        (Some(user), _) => user.as_str().into(),
        // What sealing left of a contact beside the ciphertext.
        (None, Some(contact)) if run.sensitive => {
            contact["who"].as_str().unwrap_or_default().into()
        }
        (None, Some(contact)) => hex(&Sha256::digest(json(contact))).into(),
        (None, None) => "".into(),
    }
}

fn metadata(entry: &Entry) -> String {
    if entry.metadata.is_empty() {
        return "{}".into();
    }
    serde_json::to_string(&entry.metadata).unwrap_or_else(|_| "{}".into())
}

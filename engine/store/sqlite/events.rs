use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Statement};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::decode::{self, json, millis};
use super::rows::Statements;
use super::sealed::Clear;
use super::streams::Streams;
use super::{SqliteStore, plan, stops, waits};
use crate::model::{Event, EventId, EventStatus, Run, Version, WorkflowName};
use crate::store::writer::{Call, Ready};
use crate::store::{
    Acceptance, Accepted, Backlog, EventRecord, Events, Result, SHOWN_RUNS, TOLD_RUNS, Timeline,
};

const EVENT: &str = "INSERT OR IGNORE INTO event (id, tenant, name, ikey, body_hash, actor, data, \
     at, received_at, plan_at, cursor, depth, told, trace) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Counting stops here: a metric need not be exact past it.
const COUNTED: i64 = 100_000;

#[async_trait]
impl Events for SqliteStore {
    async fn accept(&self, mut acceptances: Vec<Acceptance>) -> Result<Vec<Accepted>> {
        let mut clear = Clear::default();
        for Acceptance { event, plan, .. } in &mut acceptances {
            self.vault.seal_event(event)?;
            self.vault.seal_plan(plan, &mut clear)?;
        }
        let ready = acceptances.into_iter().map(Ready::from).collect();
        let mut accepted = self.writer.many(Call::Accept, ready).await?;
        for each in &mut accepted {
            if let Accepted::New { frames, .. } = each {
                clear.restore(frames);
            }
        }
        Ok(accepted)
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRecord>> {
        let Some((event, status)) = self.event_row(id.0).await? else { return Ok(None) };
        let runs = self.runs_of(id.0, None, SHOWN_RUNS).await?;
        let planned: i64 = sqlx::query_scalar("SELECT count(*) FROM run WHERE event = ?")
            .bind(id.0)
            .fetch_one(&self.readers)
            .await?;
        Ok(Some(EventRecord { event, status, planned: planned.unsigned_abs(), runs }))
    }

    async fn timeline(&self, id: Uuid) -> Result<Option<Timeline>> {
        let Some((id, run)) = self.event_of(id).await? else { return Ok(None) };
        let Some((event, status)) = self.event_row(id).await? else { return Ok(None) };
        let runs = self.runs_of(id, run, TOLD_RUNS).await?;
        let ids: Vec<String> = runs.iter().map(|run| run.id.0.simple().to_string()).collect();
        let ids = serde_json::Value::from(ids).to_string();
        let of_runs = async |columns: &str, rest: &str| {
            let told = "SELECT unhex(value) FROM json_each(?1)";
            let select = format!("SELECT {columns} FROM {}", rest.replace("TOLD", told));
            sqlx::query(AssertSqlSafe(select)).bind(ids.as_str()).fetch_all(&self.readers).await
        };
        let messages = of_runs(decode::MESSAGE, "message WHERE run IN (TOLD) ORDER BY id").await?;
        let attempts = "attempt WHERE message IN (SELECT id FROM message WHERE run IN (TOLD)) \
             ORDER BY started_at, number";
        let attempts = of_runs(decode::ATTEMPT, attempts).await?;
        let select = format!(
            "SELECT {} FROM decision WHERE event = ?2 AND (run IS NULL \
               OR run IN (SELECT unhex(value) FROM json_each(?1))) ORDER BY seq",
            decode::DECISION
        );
        let decisions = sqlx::query(AssertSqlSafe(select)).bind(ids.as_str()).bind(id);
        let decisions = decisions.fetch_all(&self.readers).await?;
        Ok(Some(Timeline {
            event,
            status,
            runs,
            messages: decode::all(&messages, decode::message)?,
            attempts: decode::all(&attempts, decode::attempt)?,
            decisions: decode::all(&decisions, decode::decision)?,
        }))
    }

    async fn keep_version(
        &self,
        version: &Version,
        workflow: &WorkflowName,
        source: &str,
    ) -> Result<()> {
        let row = (version.0.clone(), workflow.0.clone(), source.to_owned());
        let insert = "INSERT OR IGNORE INTO version (version, workflow, source) VALUES (?, ?, ?)";
        self.writer.other(move |connection| connection.run(insert, row.clone()).map(drop)).await
    }

    async fn version(&self, version: &Version) -> Result<Option<String>> {
        let select = sqlx::query_scalar("SELECT source FROM version WHERE version = ?");
        Ok(select.bind(version.as_str()).fetch_optional(&self.readers).await?)
    }

    async fn versions_in_use(&self) -> Result<Vec<(WorkflowName, Version, u64)>> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT workflow, version, count(*) FROM run WHERE status IN (0, 1)
             GROUP BY workflow, version ORDER BY workflow, version",
        )
        .fetch_all(&self.readers)
        .await?;
        let row = |(workflow, version, count): (String, String, i64)| {
            (workflow.into(), version.into(), count.unsigned_abs())
        };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        let row = sqlx::query(
            "SELECT
               (SELECT count(*) FROM (SELECT 1 FROM event WHERE plan_at <= ?1 LIMIT ?2)),
               (SELECT count(*) FROM (SELECT 1 FROM run WHERE status = 0 AND priority IN (0, 1, 2, 3) AND wake_at <= ?1 LIMIT ?2)),
               (SELECT count(*) FROM (SELECT 1 FROM message WHERE status = 0 AND priority IN (0, 1, 2, 3) AND lane IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) AND due_at <= ?1 LIMIT ?2)),
               (SELECT min(first) FROM (SELECT (SELECT min(due_at) FROM message WHERE status = 0 AND priority = class.value AND lane = of.value AND due_at <= ?1) AS first FROM json_each('[0,1,2,3]') AS class, json_each('[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]') AS of))",
        )
        .bind(millis(now))
        .bind(COUNTED)
        .fetch_one(&self.readers)
        .await?;
        let count = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
        let oldest: Option<i64> = row.try_get(3)?;
        Ok(Backlog {
            events: count(0)?,
            runs: count(1)?,
            messages: count(2)?,
            oldest: oldest.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        })
    }
}

impl SqliteStore {
    async fn event_row(&self, id: Uuid) -> Result<Option<(Event, EventStatus)>> {
        let select = format!("SELECT {} FROM event WHERE id = ?", decode::EVENT);
        let row = sqlx::query(AssertSqlSafe(select)).bind(id);
        let Some(row) = row.fetch_optional(&self.readers).await? else { return Ok(None) };
        let plan_at: Option<i64> = row.try_get(8)?;
        let status = if plan_at.is_some() { EventStatus::Waiting } else { EventStatus::Planned };
        Ok(Some((self.vault.open_event(decode::event(&row)?)?, status)))
    }

    /// The event's first runs; `only` one of them.
    async fn runs_of(&self, event: Uuid, only: Option<Uuid>, most: usize) -> Result<Vec<Run>> {
        let select = format!(
            "SELECT {} FROM run WHERE event = ?1 AND (?2 IS NULL OR id = ?2) ORDER BY id LIMIT ?3",
            decode::RUN
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = sqlx::query(AssertSqlSafe(select)).bind(event).bind(only).bind(most);
        let runs = decode::all(&rows.fetch_all(&self.readers).await?, decode::run)?;
        runs.into_iter().map(|run| self.vault.open_run(run)).collect()
    }

    /// The event that `id` is, or that the run or message `id` belongs to, with that run.
    async fn event_of(&self, id: Uuid) -> Result<Option<(Uuid, Option<Uuid>)>> {
        let found = sqlx::query_as(
            "SELECT id, NULL FROM event WHERE id = ?1
             UNION ALL SELECT event, id FROM run WHERE id = ?1
             UNION ALL SELECT event, run FROM message WHERE id = ?1 LIMIT 1",
        );
        Ok(found.bind(id).fetch_optional(&self.readers).await?)
    }
}

/// Writes events whose key is free with all that was planned from them.
pub(super) fn accept(
    connection: &Connection,
    streams: &mut Streams,
    all: &[&Ready],
) -> rusqlite::Result<Vec<Accepted>> {
    let mut answers = Vec::with_capacity(all.len());
    let mut insert = connection.prepare_cached(EVENT)?;
    for Ready { acceptance, data } in all {
        let first = match write(&mut insert, acceptance, data)? {
            true => None,
            false => first(connection, acceptance)?,
        };
        answers
            .push(first.unwrap_or(Accepted::New { id: acceptance.event.id, frames: Vec::new() }));
    }
    let new = |(_, answer): &(&&Ready, &Accepted)| matches!(answer, Accepted::New { .. });
    let plans: Vec<_> =
        all.iter().zip(&answers).filter(new).map(|(ready, _)| &ready.acceptance.plan).collect();
    let mut written = plan::write(connection, streams, &plans)?.into_iter();
    for answer in &mut answers {
        if let Accepted::New { frames, .. } = answer {
            *frames = written.next().unwrap_or_default();
        }
    }
    let events: Vec<_> =
        all.iter().zip(&answers).filter(new).map(|(ready, _)| &ready.acceptance.event).collect();
    waits::make_due(connection, streams, &events)?;
    Ok(answers)
}

/// Writes the events that runs emitted; what was emitted before is left as it is.
pub(super) fn emitted(connection: &Connection, all: &[&Acceptance]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(EVENT)?;
    for acceptance in all {
        write(&mut insert, acceptance, &json(&acceptance.event.data))?;
    }
    for acceptance in all {
        stops::note_unplanned(connection, &acceptance.plan)?;
    }
    Ok(())
}

/// Whether it was new.
fn write(
    insert: &mut Statement<'_>,
    acceptance: &Acceptance,
    data: &str,
) -> rusqlite::Result<bool> {
    let Acceptance { event, body_hash, plan, .. } = acceptance;
    let more = plan.more.as_ref();
    let values = (
        event.id.0,
        event.tenant.as_str(),
        event.name.as_str(),
        event.idempotency_key.as_deref(),
        body_hash.as_slice(),
        event.actor.as_ref().map(|user| &*user.0),
        data,
        millis(event.at),
        millis(event.received_at),
        more.map(|(at, _)| millis(*at)),
        more.map(|(_, cursor)| cursor.as_str()),
        event.depth,
        (!event.told.is_empty()).then(|| json(&serde_json::json!(event.told))),
        event.trace.as_deref(),
    );
    Ok(insert.execute(values)? > 0)
}

/// What the key of `acceptance` stands for, unless that is this very event.
fn first(connection: &Connection, acceptance: &Acceptance) -> rusqlite::Result<Option<Accepted>> {
    let Some(key) = &acceptance.event.idempotency_key else { return Ok(None) };
    let known = "SELECT id, body_hash FROM event WHERE tenant = ? AND ikey = ?";
    let (id, body_hash): (Uuid, Vec<u8>) =
        connection
            .one(known, (acceptance.event.tenant.as_str(), key.as_str()), |row| row.try_into())?;
    Ok(if id == acceptance.event.id.0 {
        None
    } else if body_hash == acceptance.body_hash {
        Some(Accepted::Duplicate(id.into()))
    } else {
        Some(Accepted::Conflict(id.into()))
    })
}

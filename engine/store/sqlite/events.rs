use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::decode::{self, json, millis, shared};
use super::rows::Bulk;
use super::streams::Streams;
use super::writer::Call;
use super::{SqliteStore, plan, waits};
use crate::model::{Event, EventId, EventStatus, Run, Version, WorkflowName};
use crate::store::{Acceptance, Accepted, Backlog, EventRecord, Events, Result, Timeline};

const EVENTS: Bulk = Bulk {
    head: "INSERT OR IGNORE INTO event (id, tenant, name, ikey, body_hash, actor, data, at, \
           received_at, plan_at, cursor)",
    columns: 11,
    tail: "",
};

/// Counting stops here: a metric need not be exact past it.
const COUNTED: i64 = 100_000;

#[async_trait]
impl Events for SqliteStore {
    async fn accept(&self, acceptances: Vec<Acceptance>) -> Result<Vec<Accepted>> {
        self.writer.many(Call::Accept, acceptances).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRecord>> {
        let Some((event, status)) = self.event_row(id.0).await? else { return Ok(None) };
        let runs = self.runs_of(id.0).await?;
        Ok(Some(EventRecord { event, status, runs }))
    }

    async fn timeline(&self, id: Uuid) -> Result<Option<Timeline>> {
        let Some(id) = self.event_of(id).await? else { return Ok(None) };
        let Some((event, status)) = self.event_row(id).await? else { return Ok(None) };
        let runs = self.runs_of(id).await?;
        let messages = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {} FROM message WHERE run IN (SELECT id FROM run WHERE event = ?) ORDER BY id",
            decode::MESSAGE
        )));
        let messages = messages.bind(id).fetch_all(&self.readers).await?;
        let attempts = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {} FROM attempt WHERE message IN
               (SELECT id FROM message WHERE run IN (SELECT id FROM run WHERE event = ?))
             ORDER BY started_at, number",
            decode::ATTEMPT
        )));
        let attempts = attempts.bind(id).fetch_all(&self.readers).await?;
        let decisions = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {} FROM decision WHERE event = ? ORDER BY seq",
            decode::DECISION
        )));
        let decisions = decisions.bind(id).fetch_all(&self.readers).await?;
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
        self.writer
            .other(move |connection| {
                let (version, workflow, source) = row.clone();
                Box::pin(async move {
                    let insert = "INSERT OR IGNORE INTO version (version, workflow, source) VALUES (?, ?, ?)";
                    sqlx::query(insert).bind(version).bind(workflow).bind(source).execute(connection).await?;
                    Ok(())
                })
            })
            .await
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
               (SELECT count(*) FROM (SELECT 1 FROM message WHERE status = 0 AND priority IN (0, 1, 2, 3) AND due_at <= ?1 LIMIT ?2)),
               (SELECT min(first) FROM (SELECT (SELECT min(due_at) FROM message WHERE status = 0 AND priority = value AND due_at <= ?1) AS first FROM json_each('[0,1,2,3]')))",
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
        let row = sqlx::query(sqlx::AssertSqlSafe(select)).bind(id);
        let Some(row) = row.fetch_optional(&self.readers).await? else { return Ok(None) };
        let plan_at: Option<i64> = row.try_get(8)?;
        let status = if plan_at.is_some() { EventStatus::Waiting } else { EventStatus::Planned };
        Ok(Some((decode::event(&row)?, status)))
    }

    async fn runs_of(&self, event: Uuid) -> Result<Vec<Run>> {
        let select = format!("SELECT {} FROM run WHERE event = ? ORDER BY id", decode::RUN);
        let rows = sqlx::query(sqlx::AssertSqlSafe(select)).bind(event);
        decode::all(&rows.fetch_all(&self.readers).await?, decode::run)
    }

    /// The event that `id` is, or that the run or message `id` belongs to.
    async fn event_of(&self, id: Uuid) -> Result<Option<Uuid>> {
        let found = sqlx::query_scalar(
            "SELECT id FROM event WHERE id = ?1
             UNION ALL SELECT event FROM run WHERE id = ?1
             UNION ALL SELECT event FROM message WHERE id = ?1 LIMIT 1",
        );
        Ok(found.bind(id).fetch_optional(&self.readers).await?)
    }
}

/// Writes events whose key is free with all that was planned from them.
pub(super) async fn accept(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    all: &[&Acceptance],
) -> sqlx::Result<Vec<Accepted>> {
    let written = EVENTS
        .execute(connection, all, |query, acceptance| {
            let Acceptance { event, body_hash, plan } = acceptance;
            let more = plan.more.as_ref();
            query
                .bind(event.id.0)
                .bind(event.tenant.as_str())
                .bind(event.name.as_str())
                .bind(event.idempotency_key.as_deref())
                .bind(body_hash.as_slice())
                .bind(event.actor.as_ref().map(|user| shared(&user.0)))
                .bind(json(&event.data))
                .bind(millis(event.at))
                .bind(millis(event.received_at))
                .bind(more.map(|(at, _)| millis(*at)))
                .bind(more.map(|(_, cursor)| cursor.as_str()))
        })
        .await?;
    let mut answers = Vec::with_capacity(all.len());
    for acceptance in all {
        let first =
            if written == all.len() as u64 { None } else { first(connection, acceptance).await? };
        answers
            .push(first.unwrap_or(Accepted::New { id: acceptance.event.id, frames: Vec::new() }));
    }
    let new = |(_, answer): &(&&Acceptance, &Accepted)| matches!(answer, Accepted::New { .. });
    let plans: Vec<_> =
        all.iter().zip(&answers).filter(new).map(|(acceptance, _)| &acceptance.plan).collect();
    let mut written = plan::write(connection, streams, &plans).await?.into_iter();
    for answer in &mut answers {
        if let Accepted::New { frames, .. } = answer {
            *frames = written.next().unwrap_or_default();
        }
    }
    let events: Vec<_> =
        all.iter().zip(&answers).filter(new).map(|(acceptance, _)| &acceptance.event).collect();
    waits::make_due(connection, streams, &events).await?;
    Ok(answers)
}

/// What the key of `acceptance` stands for, unless that is this very event.
async fn first(
    connection: &mut SqliteConnection,
    acceptance: &Acceptance,
) -> sqlx::Result<Option<Accepted>> {
    let Some(key) = &acceptance.event.idempotency_key else { return Ok(None) };
    let (id, body_hash): (Uuid, Vec<u8>) =
        sqlx::query_as("SELECT id, body_hash FROM event WHERE tenant = ? AND ikey = ?")
            .bind(acceptance.event.tenant.as_str())
            .bind(key.as_str())
            .fetch_one(connection)
            .await?;
    Ok(if id == acceptance.event.id.0 {
        None
    } else if body_hash == acceptance.body_hash {
        Some(Accepted::Duplicate(id.into()))
    } else {
        Some(Accepted::Conflict(id.into()))
    })
}

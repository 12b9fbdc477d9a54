use std::borrow::Cow;
use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::decode::{self, json, millis};
use super::rows::{each, key};
use super::sealed::Clear;
use super::{PostgresStore, plan, stops, waits};
use crate::model::{Event, EventId, EventStatus, Run, Version, WorkflowName};
use crate::store::writer::{Call, Ready};
use crate::store::{
    Acceptance, Accepted, Backlog, EventRecord, Events, Result, SHOWN_RUNS, TOLD_RUNS, Timeline,
};

/// In the order of their keys, so that two nodes that are told the same wait for each other in
/// one direction only.
const EVENTS: &str = "INSERT INTO event (id, tenant, name, ikey, body_hash, actor, data, at, \
      received_at, plan_at, cursor, depth, told, trace)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[],
      $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[],
      $13::text[], $14::text[])
    ON CONFLICT DO NOTHING";

/// Counting stops here: a metric need not be exact past it.
const COUNTED: i64 = 100_000;

#[async_trait]
impl Events for PostgresStore {
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
        let planned: i64 = sqlx::query_scalar("SELECT count(*) FROM run WHERE event = $1")
            .bind(id.0)
            .fetch_one(&self.readers)
            .await?;
        Ok(Some(EventRecord { event, status, planned: planned.unsigned_abs(), runs }))
    }

    async fn timeline(&self, id: Uuid) -> Result<Option<Timeline>> {
        let Some((id, run)) = self.event_of(id).await? else { return Ok(None) };
        let Some((event, status)) = self.event_row(id).await? else { return Ok(None) };
        let runs = self.runs_of(id, run, TOLD_RUNS).await?;
        let ids: Vec<Uuid> = runs.iter().map(|run| run.id.0).collect();
        let of_runs = async |columns: &str, rest: &str| {
            let select = format!("SELECT {columns} FROM {rest}");
            sqlx::query(AssertSqlSafe(select)).bind(&ids).fetch_all(&self.readers).await
        };
        let messages = of_runs(decode::MESSAGE, "message WHERE run = ANY($1) ORDER BY id").await?;
        let attempts = "attempt WHERE message IN (SELECT id FROM message WHERE run = ANY($1)) \
             ORDER BY started_at, number";
        let attempts = of_runs(decode::ATTEMPT, attempts).await?;
        let select = format!(
            "SELECT {} FROM decision WHERE event = $2 AND (run IS NULL OR run = ANY($1)) \
             ORDER BY seq",
            decode::DECISION
        );
        let decisions = sqlx::query(AssertSqlSafe(select)).bind(&ids).bind(id);
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
        self.writer
            .other(move |connection| {
                let (version, workflow, source) = row.clone();
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO version (version, workflow, source) VALUES ($1, $2, $3)
                         ON CONFLICT DO NOTHING",
                    )
                    .bind(&*version)
                    .bind(&*workflow)
                    .bind(source)
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn version(&self, version: &Version) -> Result<Option<String>> {
        let select = sqlx::query_scalar("SELECT source FROM version WHERE version = $1");
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
               (SELECT count(*) FROM (SELECT 1 FROM event
                 WHERE plan_at <= $1 AND fence IS NULL LIMIT $2) AS due),
               (SELECT count(*) FROM (SELECT 1 FROM run WHERE status = 0
                 AND priority IN (0, 1, 2, 3) AND wake_at <= $1 LIMIT $2) AS due),
               (SELECT count(*) FROM (SELECT 1 FROM message WHERE status = 0
                 AND priority IN (0, 1, 2, 3) AND lane BETWEEN 0 AND 15 AND due_at <= $1
                 LIMIT $2) AS due),
               (SELECT min(due) FROM (VALUES (0), (1), (2), (3)) AS class (priority),
                 generate_series(0, 15) AS of (lane),
                 LATERAL (SELECT due_at AS due FROM message WHERE status = 0
                   AND message.priority = class.priority AND message.lane = of.lane
                   AND due_at <= $1
                   ORDER BY due_at LIMIT 1) AS first)",
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

impl PostgresStore {
    async fn event_row(&self, id: Uuid) -> Result<Option<(Event, EventStatus)>> {
        let select = format!("SELECT {} FROM event WHERE id = $1", decode::EVENT);
        let row = sqlx::query(AssertSqlSafe(select)).bind(id);
        let Some(row) = row.fetch_optional(&self.readers).await? else { return Ok(None) };
        let plan_at: Option<i64> = row.try_get(8)?;
        let status = if plan_at.is_some() { EventStatus::Waiting } else { EventStatus::Planned };
        Ok(Some((self.vault.open_event(decode::event(&row)?)?, status)))
    }

    /// The event's first runs; `only` one of them.
    async fn runs_of(&self, event: Uuid, only: Option<Uuid>, most: usize) -> Result<Vec<Run>> {
        let select = format!(
            "SELECT {} FROM run WHERE event = $1 AND ($2::uuid IS NULL OR id = $2) \
             ORDER BY id LIMIT $3",
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
            "SELECT id, NULL::uuid FROM event WHERE id = $1
             UNION ALL SELECT event, id FROM run WHERE id = $1
             UNION ALL SELECT event, run FROM message WHERE id = $1 LIMIT 1",
        );
        Ok(found.bind(id).fetch_optional(&self.readers).await?)
    }
}

/// Writes events whose key is free with all that was planned from them.
pub(super) async fn accept(
    connection: &mut PgConnection,
    ready: &[&Ready],
) -> sqlx::Result<Vec<Accepted>> {
    if ready.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<&Acceptance> = ready.iter().map(|ready| &ready.acceptance).collect();
    let texts = ready.iter().map(|ready| (&ready.acceptance, ready.data.as_str().into()));
    let written = insert(connection, texts.collect()).await?;
    let firsts =
        if written == all.len() as u64 { HashMap::new() } else { firsts(connection, &all).await? };
    let answers: Vec<Accepted> = all.iter().map(|each| answer(each, &firsts)).collect();
    let new = |(_, answer): &(&&Acceptance, &Accepted)| matches!(answer, Accepted::New { .. });
    let plans: Vec<_> =
        all.iter().zip(&answers).filter(new).map(|(acceptance, _)| &acceptance.plan).collect();
    let written = plan::write(connection, &plans).await?;
    let events: Vec<_> =
        all.iter().zip(&answers).filter(new).map(|(acceptance, _)| &acceptance.event).collect();
    waits::make_due(connection, &events).await?;
    let mut written = written.into_iter();
    Ok(answers
        .into_iter()
        .map(|answer| match answer {
            Accepted::New { id, .. } => {
                Accepted::New { id, frames: written.next().unwrap_or_default() }
            }
            known => known,
        })
        .collect())
}

/// Writes the events that runs emitted; what was emitted before is left as it is.
pub(super) async fn emitted(
    connection: &mut PgConnection,
    all: &[&Acceptance],
) -> sqlx::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let texts = all.iter().map(|each| (*each, json(&each.event.data).into()));
    insert(connection, texts.collect()).await?;
    for acceptance in all {
        stops::note_unplanned(connection, &acceptance.plan).await?;
    }
    Ok(())
}

/// Each with its data as text.
async fn insert(
    connection: &mut PgConnection,
    mut texts: Vec<(&Acceptance, Cow<'_, str>)>,
) -> sqlx::Result<u64> {
    texts.sort_by_cached_key(|(each, _)| {
        (each.event.tenant.clone(), each.event.idempotency_key.clone())
    });
    let all: Vec<&Acceptance> = texts.iter().map(|(each, _)| *each).collect();
    let more = |each: &Acceptance| each.plan.more.clone();
    let told =
        |event: &Event| (!event.told.is_empty()).then(|| json(&serde_json::json!(event.told)));
    let done = sqlx::query(EVENTS)
        .bind(each(&all, |each| each.event.id.0))
        .bind(each(&all, |each| each.event.tenant.as_str()))
        .bind(each(&all, |each| each.event.name.as_str()))
        .bind(each(&all, |each| each.event.idempotency_key.as_deref().map(key)))
        .bind(each(&all, |each| each.body_hash.as_slice()))
        .bind(each(&all, |each| each.event.actor.as_ref().map(|user| user.as_str())))
        .bind(each(&texts, |(_, data)| data.as_ref()))
        .bind(each(&all, |each| millis(each.event.at)))
        .bind(each(&all, |each| millis(each.event.received_at)))
        .bind(each(&all, |each| more(each).map(|(at, _)| millis(at))))
        .bind(each(&all, |each| more(each).map(|(_, cursor)| cursor)))
        .bind(each(&all, |each| i64::from(each.event.depth)))
        .bind(each(&all, |each| told(&each.event)))
        .bind(each(&all, |each| each.event.trace.as_deref()))
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// By tenant and key: the event that has it, and the hash of its body.
type Firsts = HashMap<(String, String), (Uuid, Vec<u8>)>;

/// Who has the keys of `all`.
async fn firsts(connection: &mut PgConnection, all: &[&Acceptance]) -> sqlx::Result<Firsts> {
    let keyed: Vec<(&str, &str)> = all
        .iter()
        .filter_map(|each| {
            Some((each.event.tenant.as_str(), each.event.idempotency_key.as_deref()?))
        })
        .collect();
    let rows: Vec<(String, String, Uuid, Vec<u8>)> = sqlx::query_as(
        "SELECT tenant, ikey, id, body_hash FROM event
           JOIN unnest($1::text[], $2::text[]) AS asked (of_tenant, of_key)
           ON tenant = of_tenant AND ikey = of_key",
    )
    .bind(each(&keyed, |(tenant, _)| *tenant))
    .bind(each(&keyed, |(_, each)| key(each)))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(tenant, key, id, hash)| ((tenant, key), (id, hash))).collect())
}

/// What the key of `acceptance` stands for, or that it is new.
fn answer(acceptance: &Acceptance, firsts: &Firsts) -> Accepted {
    let event = &acceptance.event;
    let first = event
        .idempotency_key
        .as_deref()
        .and_then(|ikey| firsts.get(&(event.tenant.clone(), key(ikey).into_owned())));
    match first {
        Some((id, _)) if *id == event.id.0 => Accepted::New { id: event.id, frames: Vec::new() },
        Some((id, hash)) if *hash == acceptance.body_hash => Accepted::Duplicate((*id).into()),
        Some((id, _)) => Accepted::Conflict((*id).into()),
        None => Accepted::New { id: event.id, frames: Vec::new() },
    }
}

//! Stopping what is planned for a key.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row};
use uuid::Uuid;

use super::rows::{each, key};
use super::{PostgresStore, collections, decode, ledger, plan, waits};
use crate::model::{EventId, MessageStatus, WorkflowName};
use crate::store::{Plan, Result, Stop, Stopped, Stops, StoreError};

/// Those of the key that are meant. `$1` key, `$2` workflow, `$3` except, `$4` before, `$5` tenant.
const MEANT: &str = "SELECT id FROM run WHERE key = $1 \
     AND ($2::text IS NULL OR workflow = $2) AND id IS DISTINCT FROM $3::uuid AND event < $4 \
     AND (SELECT tenant FROM event WHERE id = run.event) = $5";

#[async_trait]
impl Stops for PostgresStore {
    async fn stop(&self, order: Stop) -> Result<Stopped> {
        self.writer
            .other(move |connection| {
                let order = order.clone();
                Box::pin(async move { stop(connection, &order).await })
            })
            .await
    }
}

pub(super) async fn stop(connection: &mut PgConnection, order: &Stop) -> sqlx::Result<Stopped> {
    let mut stopped = Stopped::default();
    let mut decisions = Vec::new();
    // Messages first: which runs they hang on is asked by key, whatever the runs' state.
    let messages = format!(
        "UPDATE message SET stopping = TRUE, status = CASE status WHEN 2 THEN 2 ELSE 7 END, \
           code = CASE status WHEN 2 THEN code ELSE 'cancelled' END, \
           fence = CASE status WHEN 2 THEN fence END, \
           lease_until = CASE status WHEN 2 THEN lease_until END, gathered_by = NULL \
         WHERE run IN ({MEANT}) AND NOT stopping AND (status IN (0, 1, 2) OR status = 6 \
           AND gathered_by IN (SELECT id FROM message WHERE status IN (0, 1))) RETURNING {}",
        decode::MESSAGE
    );
    for row in bound(&messages, order).fetch_all(&mut *connection).await? {
        let message = decode::message(&row).map_err(unreadable)?;
        if message.status == MessageStatus::Sending {
            stopped.leaving.push(message.id);
        } else {
            stopped.messages.push(message.id);
            ledger::never_sent(connection, message.id, order.at).await?;
        }
        decisions.push(order.record_message(&message));
    }
    let runs = format!(
        "UPDATE run SET status = 3, position = NULL, wake_at = NULL, fence = NULL, \
           lease_until = NULL WHERE id IN ({MEANT}) AND status IN (0, 1) RETURNING {}",
        decode::RUN
    );
    for row in bound(&runs, order).fetch_all(&mut *connection).await? {
        let run = decode::run(&row).map_err(unreadable)?;
        stopped.runs.push(run.id);
        decisions.push(order.record_run(&run));
    }
    let ids: Vec<Uuid> = stopped.runs.iter().map(|run| run.0).collect();
    stopped.batches = collections::leave(connection, &ids, order.at).await?;
    waits::forget(connection, ids.iter().copied()).await?;
    let unplanned = "UPDATE unplanned SET stopped = TRUE WHERE key = $1 AND NOT stopped \
         AND ($2::text IS NULL OR workflow = $2) AND ($3::uuid IS NULL OR TRUE) AND event < $4 \
         AND (SELECT tenant FROM event WHERE id = unplanned.event) = $5 RETURNING event, workflow";
    for row in bound(unplanned, order).fetch_all(&mut *connection).await? {
        let event = EventId(row.try_get(0)?);
        let workflow: WorkflowName = row.try_get::<String, _>(1)?.into();
        decisions.push(order.record_unplanned(event, &workflow));
        stopped.unplanned.push((event, workflow));
    }
    plan::decisions(connection, &decisions.iter().collect::<Vec<_>>()).await?;
    Ok(stopped)
}

/// Notes which workflows have recipients of an event still to tell.
pub(super) async fn note_unplanned(connection: &mut PgConnection, plan: &Plan) -> sqlx::Result<()> {
    let all = &plan.unplanned;
    if all.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO unplanned (event, workflow, key)
         SELECT v.event, v.workflow, v.key
           FROM unnest($1::uuid[], $2::text[], $3::text[]) AS v (event, workflow, key)
           WHERE EXISTS (SELECT 1 FROM event WHERE id = v.event)
         ON CONFLICT DO NOTHING",
    )
    .bind(each(all, |unplanned| unplanned.event.0))
    .bind(each(all, |unplanned| unplanned.workflow.as_str()))
    .bind(each(all, |unplanned| key(&unplanned.key)))
    .execute(connection)
    .await?;
    Ok(())
}

/// Of `events`: the workflows that were stopped before they had told everybody.
pub(super) async fn stopped_of(
    connection: impl sqlx::PgExecutor<'_>,
    events: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Vec<WorkflowName>>> {
    let mut stopped: HashMap<Uuid, Vec<WorkflowName>> = HashMap::new();
    if events.is_empty() {
        return Ok(stopped);
    }
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT event, workflow FROM unplanned WHERE event = ANY($1) AND stopped")
            .bind(events)
            .fetch_all(connection)
            .await?;
    for (event, workflow) in rows {
        stopped.entry(event).or_default().push(workflow.into());
    }
    Ok(stopped)
}

/// All of `events` is planned.
pub(super) async fn forget_unplanned(
    connection: &mut PgConnection,
    events: &[Uuid],
) -> sqlx::Result<()> {
    if !events.is_empty() {
        let forget = sqlx::query("DELETE FROM unplanned WHERE event = ANY($1)");
        forget.bind(events).execute(connection).await?;
    }
    Ok(())
}

fn bound<'q>(sql: &str, order: &'q Stop) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(sql.to_owned()))
        .bind(key(&order.key))
        .bind(order.workflow.as_ref().map(|name| name.as_str()))
        .bind(order.except.map(|run| run.0))
        .bind(order.before.0)
        .bind(order.tenant.as_str())
}

fn unreadable(error: StoreError) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

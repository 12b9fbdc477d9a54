//! Stopping what is planned for a key.

use async_trait::async_trait;
use rusqlite::Connection;
use uuid::Uuid;

use super::decode;
use super::rows::{Row, Statements, only, unfit};
use super::{SqliteStore, collections, ledger, plan, waits};
use crate::model::{EventId, MessageStatus, WorkflowName};
use crate::store::{Plan, Result, Stop, Stopped, Stops, Unplanned};

/// Those of the key that are meant. `?1` key, `?2` workflow, `?3` except, `?4` before, `?5` tenant.
const MEANT: &str = "SELECT id FROM run WHERE key = ?1 AND (?2 IS NULL OR workflow = ?2) \
     AND id IS NOT ?3 AND event < ?4 AND (SELECT tenant FROM event WHERE id = run.event) = ?5";
/// What [`stopped_of`] asks: those who read ask it too.
pub(super) const STOPPED_OF: &str =
    "SELECT workflow FROM unplanned WHERE event = ? AND stopped = 1";

#[async_trait]
impl Stops for SqliteStore {
    async fn stop(&self, order: Stop) -> Result<Stopped> {
        self.writer.other(move |connection| stop(connection, &order)).await
    }
}

pub(super) fn stop(connection: &Connection, order: &Stop) -> rusqlite::Result<Stopped> {
    let mut stopped = Stopped::default();
    let mut decisions = Vec::new();
    // Messages first: which runs they hang on is asked by key, whatever the runs' state.
    let messages = format!(
        "UPDATE message SET stopping = 1, status = CASE status WHEN 2 THEN 2 ELSE 7 END, \
           code = CASE status WHEN 2 THEN code ELSE 'cancelled' END, \
           fence = CASE status WHEN 2 THEN fence END, \
           lease_until = CASE status WHEN 2 THEN lease_until END, gathered_by = NULL \
         WHERE run IN ({MEANT}) AND stopping = 0 AND (status IN (0, 1, 2) OR status = 6 \
           AND gathered_by IN (SELECT id FROM message WHERE status IN (0, 1))) RETURNING {}",
        decode::MESSAGE
    );
    for row in connection.all(&messages, bound(order), Row::read)? {
        let message = decode::message(&row).map_err(unfit)?;
        if message.status == MessageStatus::Sending {
            stopped.leaving.push(message.id);
        } else {
            stopped.messages.push(message.id);
            ledger::never_sent(connection, message.id, order.at)?;
        }
        decisions.push(order.record_message(&message));
    }
    let runs = format!(
        "UPDATE run SET status = 3, position = NULL, wake_at = NULL, fence = NULL, \
           lease_until = NULL WHERE id IN ({MEANT}) AND status IN (0, 1) RETURNING {}",
        decode::RUN
    );
    for row in connection.all(&runs, bound(order), Row::read)? {
        let run = decode::run(&row).map_err(unfit)?;
        stopped.runs.push(run.id);
        decisions.push(order.record_run(&run));
    }
    let ids: Vec<Uuid> = stopped.runs.iter().map(|run| run.0).collect();
    stopped.batches = collections::leave(connection, &ids, order.at)?;
    waits::forget(connection, ids.iter().copied())?;
    let unplanned = "UPDATE unplanned SET stopped = 1 WHERE key = ?1 AND stopped = 0 \
         AND (?2 IS NULL OR workflow = ?2) AND event < ?4 \
         AND (SELECT tenant FROM event WHERE id = unplanned.event) = ?5 RETURNING event, workflow";
    stopped.unplanned = connection.all(unplanned, bound(order), |row| {
        Ok((EventId(row.get(0)?), WorkflowName::from(row.get::<_, String>(1)?)))
    })?;
    for (event, workflow) in &stopped.unplanned {
        decisions.push(order.record_unplanned(*event, workflow));
    }
    plan::decisions(connection, &decisions)?;
    Ok(stopped)
}

/// Notes which workflows have recipients of an event still to tell.
pub(super) fn note_unplanned(connection: &Connection, plan: &Plan) -> rusqlite::Result<()> {
    for Unplanned { event, workflow, key } in &plan.unplanned {
        connection.run(
            "INSERT OR IGNORE INTO unplanned (event, workflow, key)
             SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM event WHERE id = ?1)",
            (event.0, workflow.as_str(), key.as_str()),
        )?;
    }
    Ok(())
}

/// The workflows of `event` that were stopped before they had told everybody.
pub(super) fn stopped_of(
    connection: &Connection,
    event: Uuid,
) -> rusqlite::Result<Vec<WorkflowName>> {
    let names: Vec<String> = connection.all(STOPPED_OF, [event], only)?;
    Ok(names.into_iter().map(Into::into).collect())
}

/// All of `event` is planned.
pub(super) fn forget_unplanned(connection: &Connection, event: EventId) -> rusqlite::Result<()> {
    connection.run("DELETE FROM unplanned WHERE event = ?", [event.0])?;
    Ok(())
}

/// The values of [`MEANT`].
fn bound(order: &Stop) -> (&str, Option<&str>, Option<Uuid>, Uuid, &str) {
    let workflow = order.workflow.as_ref().map(WorkflowName::as_str);
    let except = order.except.map(|run| run.0);
    (order.key.as_str(), workflow, except, order.before.0, order.tenant.as_str())
}

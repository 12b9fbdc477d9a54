//! Claims, departures and results: set statements, each fenced.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::decode::{self, json, millis, run_status};
use super::plan::{self, Delivered};
use super::rows::Statements;
use super::sealed::{Vault, unless_locked};
use super::streams::Streams;
use super::{SqliteStore, claims, ledger, recover, stops, waits};
use crate::model::{EventId, Fence, Frame, RunId, WorkflowName};
use crate::store::columns::Columns;
use crate::store::joined::Joined;
use crate::store::settled::Settled;
use crate::store::writer::{Call, ClaimCall};
use crate::store::{
    Claim, Departed, Departure, DueEvent, DueMessage, DueRun, Plan, Progress, Queue, QueueName,
    Recovered, Result, RetryUnknown, Settlement, Unsent,
};

const SETTLE: &str = "UPDATE message SET
   status = CASE WHEN stopping AND ?3 = 0 THEN 7 ELSE ?3 END,
   due_at = coalesce(?4, due_at),
   code = CASE WHEN stopping AND ?3 = 0 THEN 'cancelled' ELSE ?5 END,
   receipt = coalesce(?6, receipt), provider = coalesce(?7, provider),
   attempt = coalesce(?8, attempt), held = CASE WHEN ?3 = 0 THEN ?9 ELSE held END,
   reports = coalesce(?10, reports), sent_to = coalesce(?11, sent_to),
   fence = NULL, lease_until = NULL, tries = 0
 WHERE id = ?1 AND fence = ?2
   AND (status = 1 OR status = 2 AND (?8 IS NOT NULL OR ?3 IN (3, 4)))
 RETURNING departed_at IS NOT NULL, gathers IS NOT NULL, held IS NOT NULL, status";
const PLANNED: &str = "UPDATE event SET plan_at = ?3, cursor = ?4, fence = NULL, \
     lease_until = NULL, tries = 0 WHERE id = ?1 AND fence = ?2";
const ADVANCED: &str = "UPDATE run SET status = ?3, position = ?4, wake_at = ?5, state = ?6, \
     fence = NULL, lease_until = NULL, tries = 0 WHERE id = ?1 AND fence = ?2 AND status = 1";

#[async_trait]
impl Queue for SqliteStore {
    async fn claim_events(&self, claim: Claim) -> Result<Vec<DueEvent>> {
        let rows = self.writer.claim(self.call(QueueName::Events, claim)).await?.rows;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(event) = unless_locked(self.vault.open_event(decode::event(row)?))? else {
                continue;
            };
            due.push(DueEvent {
                stopped: self.stopped_of(event.id).await?,
                event,
                cursor: row.maybe_text(9)?.map(Into::into),
                fence: Fence(row.number(10)?),
                attempt: decode::count(row, 11)?,
            });
        }
        Ok(due)
    }

    async fn claim_runs(&self, claim: Claim) -> Result<Vec<DueRun>> {
        let claimed = self.writer.claim(self.call(QueueName::Runs, claim)).await?;
        let runs = decode::beside(&claimed.rows, decode::run)?;
        self.due_runs(runs, &self.events(&claimed.events)?)
    }

    async fn claim_messages(&self, claim: Claim) -> Result<Vec<DueMessage>> {
        let claimed = self.writer.claim(self.call(QueueName::Messages, claim)).await?;
        let messages = decode::beside(&claimed.rows, decode::message)?;
        let (runs, events) = (self.runs(&claimed.runs)?, self.events(&claimed.events)?);
        self.due_messages(messages, (&runs, &events))
    }

    async fn depart(&self, departures: Vec<Departure>) -> Result<Vec<Departed>> {
        self.writer.many(Call::Depart, departures).await
    }

    async fn settle(&self, mut settlements: Vec<Settlement>) -> Result<Vec<Option<Vec<Frame>>>> {
        let clear = self.vault.seal_settlements(&mut settlements)?;
        let mut settled = self.writer.many(Call::Settle, settlements).await?;
        clear.restore_all(&mut settled);
        Ok(settled)
    }

    async fn planned(
        &self,
        mut progress: Vec<Progress<EventId>>,
    ) -> Result<Vec<Option<Vec<Frame>>>> {
        let clear = self.vault.seal_progress(&mut progress)?;
        let mut planned = self.writer.many(Call::Planned, progress).await?;
        clear.restore_all(&mut planned);
        Ok(planned)
    }

    async fn advanced(
        &self,
        mut progress: Vec<Progress<RunId>>,
    ) -> Result<Vec<Option<Vec<Frame>>>> {
        let clear = self.vault.seal_progress(&mut progress)?;
        let mut advanced = self.writer.many(Call::Advanced, progress).await?;
        clear.restore_all(&mut advanced);
        Ok(advanced)
    }

    async fn unsent(&self, unsent: Vec<Unsent>) -> Result<()> {
        self.writer.other(move |connection| recover::unsent(connection, &unsent)).await
    }

    async fn renew(&self, queue: QueueName, fences: &[Fence], until: Timestamp) -> Result<()> {
        let sql = match queue {
            QueueName::Events => {
                "UPDATE event SET lease_until = ?1 WHERE fence IS NOT NULL AND fence IN (SELECT value FROM json_each(?2))"
            }
            QueueName::Runs => {
                "UPDATE run SET lease_until = ?1 WHERE status = 1 AND fence IN (SELECT value FROM json_each(?2))"
            }
            QueueName::Messages => {
                "UPDATE message SET lease_until = ?1 WHERE status IN (1, 2) AND fence IN (SELECT value FROM json_each(?2))"
            }
        };
        let fences = serde_json::Value::from_iter(fences.iter().map(|fence| fence.0)).to_string();
        self.writer
            .other(move |connection| connection.run(sql, (millis(until), &fences)).map(drop))
            .await
    }

    async fn next_due(&self, queue: QueueName) -> Result<Option<Timestamp>> {
        let sql: Arc<str> = match queue {
            QueueName::Events => {
                "SELECT min(plan_at) FROM event WHERE plan_at IS NOT NULL AND fence IS NULL".into()
            }
            QueueName::Runs => {
                "SELECT min(first) FROM (SELECT (SELECT min(wake_at) FROM run WHERE status = 0 AND priority = value) AS first FROM json_each('[0,1,2,3]'))".into()
            }
            QueueName::Messages => claims::NEXT_MESSAGE.clone(),
        };
        let due: Option<i64> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.readers).await?;
        Ok(due.and_then(|millis| Timestamp::from_millisecond(millis).ok()))
    }

    async fn recover(
        &self,
        now: Timestamp,
        everything: bool,
        retry_unknown: &RetryUnknown<'_>,
    ) -> Result<Recovered> {
        let sending: Vec<(String, Option<String>)> =
            sqlx::query_as("SELECT DISTINCT channel, provider FROM message WHERE status = 2")
                .fetch_all(&self.readers)
                .await?;
        // What departs from now on is not among them: it is left for the next time.
        let known: Vec<(String, String, bool)> = sending
            .into_iter()
            .filter_map(|(channel, provider)| Some((channel, provider?)))
            .map(|(channel, provider)| {
                let again = retry_unknown(&channel.as_str().into(), &provider.as_str().into());
                (channel, provider, again)
            })
            .collect();
        self.writer
            .other(move |connection| recover::expired(connection, now, everything, &known))
            .await
    }
}

impl SqliteStore {
    fn call(&self, queue: QueueName, claim: Claim) -> ClaimCall {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        ClaimCall { queue, claim, turn, fence: Fence(self.clock.random_between(1, i64::MAX)) }
    }

    /// The workflows of `event` that were stopped before they had told everybody.
    async fn stopped_of(&self, event: EventId) -> Result<Vec<WorkflowName>> {
        let names = sqlx::query_scalar(stops::STOPPED_OF).bind(event.0);
        let names: Vec<String> = names.fetch_all(&self.readers).await?;
        Ok(names.into_iter().map(Into::into).collect())
    }
}

impl Joined for SqliteStore {
    type Row = SqliteRow;

    fn vault(&self) -> &Vault {
        &self.vault
    }

    async fn by_id(
        &self,
        columns: &str,
        table: &str,
        ids: HashSet<Uuid>,
    ) -> Result<Vec<SqliteRow>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
        let select = format!(
            "SELECT {columns} FROM {table} WHERE id IN (SELECT unhex(value) FROM json_each(?))"
        );
        let ids = serde_json::Value::from(ids).to_string();
        Ok(sqlx::query(AssertSqlSafe(select)).bind(ids).fetch_all(&self.readers).await?)
    }
}

pub(super) fn settle(
    connection: &Connection,
    streams: &mut Streams,
    all: &[&Settlement],
) -> rusqlite::Result<Vec<Option<Vec<Frame>>>> {
    let mut answers = vec![None; all.len()];
    let mut settled = Vec::with_capacity(all.len());
    for (place, settlement) in all.iter().enumerate() {
        if let Some(row) = settle_one(connection, settlement)? {
            answers[place] = Some(Vec::new());
            settled.push((place, *settlement, row));
        }
    }
    for consequence in settled.iter().filter_map(|(_, each, row)| row.leads_to(each)) {
        ledger::follow(connection, consequence)?;
    }
    plan::attempts(connection, settled.iter().filter_map(|(_, each, _)| each.attempt.as_ref()))?;
    plan::decisions(connection, settled.iter().flat_map(|(_, each, _)| &each.decisions))?;
    let entries = settled
        .iter()
        .filter_map(|(place, each, _)| Some((*place, each.entry.as_ref()?)))
        .map(|(place, entry)| Delivered { place, entry, new_run: false })
        .collect();
    for (place, frame) in plan::entries(connection, streams, entries)? {
        answers[place].get_or_insert_default().push(frame);
    }
    if waits::exist(connection, streams)? {
        let ended = settled.iter().filter(|(_, each, _)| each.status.is_final());
        waits::wake_by_messages(connection, ended.map(|(_, each, _)| each.message.0))?;
    }
    Ok(answers)
}

fn settle_one(connection: &Connection, each: &Settlement) -> rusqlite::Result<Option<Settled>> {
    let attempt = each.attempt.as_ref();
    let values = (
        each.message.0,
        each.fence.0,
        each.status as i64,
        each.due_at.map(millis),
        each.code.as_deref(),
        attempt.and_then(|attempt| attempt.receipt.as_deref()),
        attempt.map(|attempt| &*attempt.provider.0),
        attempt.map(|attempt| attempt.number),
        each.held.as_ref().map(|_| 1),
        each.expected.as_ref().map(|expected| expected.delivery),
        each.expected.as_ref().map(|expected| expected.sent_to.address.as_slice()),
    );
    connection.maybe(SETTLE, values, |row| {
        Ok(Settled::new(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })
}

pub(super) fn planned(
    connection: &Connection,
    streams: &mut Streams,
    all: &[&Progress<EventId>],
) -> rusqlite::Result<Vec<Option<Vec<Frame>>>> {
    let mut answers = vec![None; all.len()];
    let mut plans = Vec::with_capacity(all.len());
    for (place, progress) in all.iter().enumerate() {
        let more = progress.plan.more.as_ref();
        let values = (
            progress.id.0,
            progress.fence.0,
            more.map(|(at, _)| millis(*at)),
            more.map(|(_, cursor)| cursor.as_str()),
        );
        if connection.run(PLANNED, values)? == 0 {
            continue;
        }
        let mut plan = Cow::Borrowed(&progress.plan);
        let stopped = stops::stopped_of(connection, progress.id.0)?;
        if !stopped.is_empty() {
            plan.to_mut().leave_out(&stopped);
        }
        if plan.more.is_none() {
            stops::forget_unplanned(connection, progress.id)?;
        }
        plans.push((place, plan));
    }
    let all: Vec<&Plan> = plans.iter().map(|(_, plan)| plan.as_ref()).collect();
    let written = plan::write(connection, streams, &all)?;
    for ((place, _), frames) in plans.iter().zip(written) {
        answers[*place] = Some(frames);
    }
    Ok(answers)
}

pub(super) fn advanced(
    connection: &Connection,
    streams: &mut Streams,
    all: &[&Progress<RunId>],
) -> rusqlite::Result<Vec<Option<Vec<Frame>>>> {
    let mut answers = vec![None; all.len()];
    let mut kept = Vec::with_capacity(all.len());
    for (place, progress) in all.iter().enumerate() {
        let Some(run) = &progress.run else { continue };
        let values = (
            progress.id.0,
            progress.fence.0,
            run_status(run.status),
            run.position.as_ref().map(|step| &*step.0),
            run.wake_at.map(millis),
            json(&run.state),
        );
        if connection.run(ADVANCED, values)? > 0 {
            kept.push((place, *progress));
        }
    }
    if waits::exist(connection, streams)? {
        waits::forget(connection, kept.iter().map(|(_, progress)| progress.id.0))?;
    }
    let plans: Vec<_> = kept.iter().map(|(_, progress)| &progress.plan).collect();
    let written = plan::write(connection, streams, &plans)?;
    for ((place, _), frames) in kept.into_iter().zip(written) {
        answers[place] = Some(frames);
    }
    Ok(answers)
}

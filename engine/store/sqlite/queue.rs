//! Claims, departures and results: set statements, each fenced.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use uuid::Uuid;

use super::decode::{self, json, millis, run_status, shared};
use super::plan::{self, Delivered};
use super::rows::{Bound, Bulk};
use super::sealed::{Vault, unless_locked};
use super::streams::Streams;
use super::{SqliteStore, claims, ledger, recover, stops, waits};
use crate::model::{EventId, Fence, Frame, Run, RunId};
use crate::store::joined::Joined;
use crate::store::rounds::rounds;
use crate::store::writer::{Call, ClaimCall};
use crate::store::{
    Claim, Departed, Departure, DueEvent, DueMessage, DueRun, Plan, Progress, Queue, QueueName,
    Recovered, Result, RetryUnknown, Settlement, Unsent,
};

const SETTLE: Bulk = Bulk {
    head: "UPDATE message SET \
             status = CASE WHEN stopping AND v.column3 = 0 THEN 7 ELSE v.column3 END, \
             due_at = coalesce(v.column4, due_at), \
             code = CASE WHEN stopping AND v.column3 = 0 THEN 'cancelled' ELSE v.column5 END, receipt = coalesce(v.column6, receipt), \
             provider = coalesce(v.column7, provider), attempt = coalesce(v.column8, attempt), \
             held = CASE WHEN v.column3 = 0 THEN v.column9 ELSE held END, \
             reports = coalesce(v.column10, reports), sent_to = coalesce(v.column11, sent_to), \
             fence = NULL, lease_until = NULL, tries = 0 FROM (",
    columns: 11,
    tail: ") AS v WHERE message.id = v.column1 AND fence = v.column2 AND (status = 1 \
             OR status = 2 AND (v.column8 IS NOT NULL OR v.column3 IN (3, 4))) \
           RETURNING message.id, message.departed_at IS NOT NULL, \
             message.gathers IS NOT NULL, message.held IS NOT NULL, message.status",
};
const PLANNED: Bulk = Bulk {
    head: "UPDATE event SET plan_at = v.column3, cursor = v.column4, fence = NULL, \
             lease_until = NULL, tries = 0 FROM (",
    columns: 4,
    tail: ") AS v WHERE event.id = v.column1 AND fence = v.column2 RETURNING event.id",
};
/// The plus keeps SQLite from walking the index of all that is leased, where it has the ids.
const ADVANCED: Bulk = Bulk {
    head: "UPDATE run SET status = v.column3, position = v.column4, wake_at = v.column5, \
             state = v.column6, fence = NULL, lease_until = NULL, tries = 0 FROM (",
    columns: 6,
    tail: ") AS v WHERE run.id = v.column1 AND fence = v.column2 AND +status = 1 RETURNING run.id",
};

#[async_trait]
impl Queue for SqliteStore {
    async fn claim_events(&self, claim: Claim) -> Result<Vec<DueEvent>> {
        let rows = self.writer.claim(self.call(QueueName::Events, claim)).await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(event) = unless_locked(self.vault.open_event(decode::event(row)?))? else {
                continue;
            };
            due.push(DueEvent {
                stopped: stops::stopped_of(&self.readers, event.id.0).await?,
                event,
                cursor: row.try_get(9)?,
                fence: Fence(row.try_get(10)?),
                attempt: row.try_get(11)?,
            });
        }
        Ok(due)
    }

    async fn claim_runs(&self, claim: Claim) -> Result<Vec<DueRun>> {
        let rows = self.writer.claim(self.call(QueueName::Runs, claim)).await?;
        self.due_runs(rows).await
    }

    async fn claim_messages(&self, claim: Claim) -> Result<Vec<DueMessage>> {
        let rows = self.writer.claim(self.call(QueueName::Messages, claim)).await?;
        self.due_messages(rows).await
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
        self.writer
            .other(move |connection| {
                let unsent = unsent.clone();
                Box::pin(async move { recover::unsent(connection, &unsent).await })
            })
            .await
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
            .other(move |connection| {
                let fences = fences.clone();
                Box::pin(async move {
                    sqlx::query(sql).bind(millis(until)).bind(fences).execute(connection).await?;
                    Ok(())
                })
            })
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
            .other(move |connection| {
                let known = known.clone();
                Box::pin(async move { recover::expired(connection, now, everything, &known).await })
            })
            .await
    }
}

impl SqliteStore {
    fn call(&self, queue: QueueName, claim: Claim) -> ClaimCall {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        ClaimCall { queue, claim, turn, fence: Fence(self.clock.random_between(1, i64::MAX)) }
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

pub(super) async fn settle(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    all: &[&Settlement],
) -> sqlx::Result<Vec<Option<Vec<Frame>>>> {
    let mut answers = vec![None; all.len()];
    for mut round in rounds(all, |settlement| settlement.message.0) {
        let rows = SETTLE.fetch(connection, &round, bind_settlement).await?;
        let settled = ids(&rows)?;
        round.retain(|(_, each)| settled.contains(&each.message.0));
        ledger::settled(connection, &rows, &round).await?;
        let attempts: Vec<_> = round.iter().filter_map(|(_, each)| each.attempt.as_ref()).collect();
        plan::attempts(connection, &attempts).await?;
        let decisions: Vec<_> = round.iter().flat_map(|(_, each)| &each.decisions).collect();
        plan::decisions(connection, &decisions).await?;
        let entries = round
            .iter()
            .filter_map(|(place, each)| Some((*place, each.entry.as_ref()?)))
            .map(|(place, entry)| Delivered { place, entry, new_run: false })
            .collect();
        for (place, _) in &round {
            answers[*place] = Some(Vec::new());
        }
        for (place, frame) in plan::entries(connection, streams, entries).await? {
            answers[place].get_or_insert_default().push(frame);
        }
        if waits::exist(connection, streams).await? {
            let ended = round.iter().filter(|(_, each)| each.status.is_final());
            waits::wake_by_messages(connection, ended.map(|(_, each)| each.message.0)).await?;
        }
    }
    Ok(answers)
}

fn bind_settlement<'q>(query: Bound<'q>, (_, each): &(usize, &'q Settlement)) -> Bound<'q> {
    let attempt = each.attempt.as_ref();
    query
        .bind(each.message.0)
        .bind(each.fence.0)
        .bind(each.status as i64)
        .bind(each.due_at.map(millis))
        .bind(each.code.as_deref())
        .bind(attempt.and_then(|attempt| attempt.receipt.as_deref()))
        .bind(attempt.map(|attempt| shared(&attempt.provider.0)))
        .bind(attempt.map(|attempt| i64::from(attempt.number)))
        .bind(each.held.as_ref().map(|_| 1_i64))
        .bind(each.expected.as_ref().map(|expected| expected.delivery))
        .bind(each.expected.as_ref().map(|expected| expected.sent_to.address.as_slice()))
}

pub(super) async fn planned(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    all: &[&Progress<EventId>],
) -> sqlx::Result<Vec<Option<Vec<Frame>>>> {
    let mut answers = vec![None; all.len()];
    for round in rounds(all, |progress| progress.id.0) {
        let rows = PLANNED
            .fetch(connection, &round, |query, (_, progress)| {
                let more = progress.plan.more.as_ref();
                query
                    .bind(progress.id.0)
                    .bind(progress.fence.0)
                    .bind(more.map(|(at, _)| millis(*at)))
                    .bind(more.map(|(_, cursor)| cursor.as_str()))
            })
            .await?;
        let kept = ids(&rows)?;
        let mut plans = Vec::with_capacity(round.len());
        for (place, progress) in round {
            if !kept.contains(&progress.id.0) {
                continue;
            }
            let mut plan = Cow::Borrowed(&progress.plan);
            let stopped = stops::stopped_of(&mut *connection, progress.id.0).await?;
            if !stopped.is_empty() {
                plan.to_mut().leave_out(&stopped);
            }
            if plan.more.is_none() {
                stops::forget_unplanned(connection, progress.id).await?;
            }
            plans.push((place, plan));
        }
        let all: Vec<&Plan> = plans.iter().map(|(_, plan)| plan.as_ref()).collect();
        let written = plan::write(connection, streams, &all).await?;
        for ((place, _), frames) in plans.iter().zip(written) {
            answers[*place] = Some(frames);
        }
    }
    Ok(answers)
}

pub(super) async fn advanced(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    all: &[&Progress<RunId>],
) -> sqlx::Result<Vec<Option<Vec<Frame>>>> {
    let mut answers = vec![None; all.len()];
    for round in rounds(all, |progress| progress.id.0) {
        let moved: Vec<(&Progress<RunId>, &Run)> =
            round.iter().filter_map(|(_, each)| Some((*each, each.run.as_ref()?))).collect();
        let rows = ADVANCED
            .fetch(connection, &moved, |query, (progress, run)| {
                query
                    .bind(progress.id.0)
                    .bind(progress.fence.0)
                    .bind(run_status(run.status))
                    .bind(run.position.as_ref().map(|step| shared(&step.0)))
                    .bind(run.wake_at.map(millis))
                    .bind(json(&run.state))
            })
            .await?;
        let kept = ids(&rows)?;
        if waits::exist(connection, streams).await? {
            waits::forget(connection, kept.iter().copied()).await?;
        }
        let mut round = round;
        round.retain(|(_, progress)| kept.contains(&progress.id.0));
        let plans: Vec<_> = round.iter().map(|(_, progress)| &progress.plan).collect();
        let written = plan::write(connection, streams, &plans).await?;
        for ((place, _), frames) in round.into_iter().zip(written) {
            answers[place] = Some(frames);
        }
    }
    Ok(answers)
}

pub(super) fn ids(rows: &[SqliteRow]) -> sqlx::Result<HashSet<Uuid>> {
    rows.iter().map(|row| row.try_get(0)).collect()
}

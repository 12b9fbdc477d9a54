//! Claims, departures and results: set statements, each fenced.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::decode::{self, json, millis, run_status};
use super::plan::{self, Delivered};
use super::rows::{each, text};
use super::sealed::{Vault, unless_locked};
use super::{PostgresStore, claims, ledger, recover, stops, waits};
use crate::model::{EventId, Fence, Frame, Run, RunId};
use crate::store::joined::Joined;
use crate::store::rounds::rounds;
use crate::store::writer::{Call, ClaimCall};
use crate::store::{
    Claim, Departed, Departure, DueEvent, DueMessage, DueRun, Plan, Progress, Queue, QueueName,
    Recovered, Result, RetryUnknown, Settlement, Unsent,
};

const SETTLE: &str = "UPDATE message SET
      status = CASE WHEN stopping AND v.status = 0 THEN 7 ELSE v.status END,
      due_at = coalesce(v.due_at, message.due_at),
      code = CASE WHEN stopping AND v.status = 0 THEN 'cancelled' ELSE v.code END,
      receipt = coalesce(v.receipt, message.receipt),
      provider = coalesce(v.provider, message.provider),
      attempt = coalesce(v.attempt, message.attempt),
      held = CASE WHEN v.status = 0 THEN v.held ELSE message.held END,
      reports = coalesce(v.reports, message.reports),
      sent_to = coalesce(v.sent_to, message.sent_to),
      fence = NULL, lease_until = NULL, tries = 0
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
      $7::text[], $8::bigint[], $9::boolean[], $10::boolean[], $11::bytea[])
      AS v (id, fence, status, due_at, code, receipt, provider, attempt, held, reports, sent_to)
    WHERE message.id = v.id AND message.fence = v.fence AND (message.status = 1
      OR message.status = 2 AND (v.attempt IS NOT NULL OR v.status IN (3, 4)))
    RETURNING message.id, message.departed_at IS NOT NULL, message.gathers IS NOT NULL,
      message.held IS NOT NULL, message.status";
const PLANNED: &str = "UPDATE event SET plan_at = v.plan_at, cursor = v.cursor, fence = NULL, \
      lease_until = NULL, tries = 0
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[]) AS v (id, fence, plan_at, cursor)
    WHERE event.id = v.id AND event.fence = v.fence RETURNING event.id";
const ADVANCED: &str = "UPDATE run SET status = v.status, position = v.position, \
      wake_at = v.wake_at, state = v.state, fence = NULL, lease_until = NULL, tries = 0
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[])
      AS v (id, fence, status, position, wake_at, state)
    WHERE run.id = v.id AND run.fence = v.fence AND run.status = 1 RETURNING run.id";

#[async_trait]
impl Queue for PostgresStore {
    async fn claim_events(&self, claim: Claim) -> Result<Vec<DueEvent>> {
        let rows = self.writer.claim(self.call(QueueName::Events, claim)).await?;
        let events: Vec<Uuid> = ids(&rows)?.into_iter().collect();
        let mut stopped = stops::stopped_of(&self.readers, &events).await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(event) = unless_locked(self.vault.open_event(decode::event(row)?))? else {
                continue;
            };
            due.push(DueEvent {
                stopped: stopped.remove(&event.id.0).unwrap_or_default(),
                event,
                cursor: row.try_get(9)?,
                fence: Fence(row.try_get(10)?),
                attempt: decode::count(row, 11)?,
            });
        }
        Ok(due)
    }

    async fn claim_runs(&self, claim: Claim) -> Result<Vec<DueRun>> {
        let rows = self.writer.claim(self.call(QueueName::Runs, claim)).await?;
        let runs = decode::beside(&rows, decode::run)?;
        let events = self.events_by_id(runs.iter().map(|(run, _)| run.event)).await?;
        self.due_runs(runs, &events)
    }

    async fn claim_messages(&self, claim: Claim) -> Result<Vec<DueMessage>> {
        let rows = self.writer.claim(self.call(QueueName::Messages, claim)).await?;
        let messages = decode::beside(&rows, decode::message)?;
        let (runs, events) = self.of(messages.iter().map(|(message, _)| message)).await?;
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
        self.writer
            .other(move |connection| {
                let unsent = unsent.clone();
                Box::pin(async move { recover::unsent(connection, &unsent).await })
            })
            .await
    }

    async fn renew(&self, queue: QueueName, fences: &[Fence], until: Timestamp) -> Result<()> {
        // The rows by their index of leases, in one order for all who lock them.
        let (table, leased) = match queue {
            QueueName::Events => ("event", "fence IS NOT NULL"),
            QueueName::Runs => ("run", "status = 1"),
            QueueName::Messages => ("message", "status IN (1, 2)"),
        };
        let fences: Vec<i64> = fences.iter().map(|fence| fence.0).collect();
        self.writer
            .other(move |connection| {
                let fences = fences.clone();
                let sql = format!(
                    "UPDATE {table} SET lease_until = $1 WHERE {leased} AND fence = ANY($2)"
                );
                Box::pin(async move {
                    let renew = sqlx::query(AssertSqlSafe(sql)).bind(millis(until)).bind(fences);
                    renew.execute(connection).await?;
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
                "SELECT min(due) FROM (VALUES (0), (1), (2), (3)) AS class (priority),
                   LATERAL (SELECT wake_at AS due FROM run WHERE status = 0
                     AND run.priority = class.priority ORDER BY wake_at LIMIT 1) AS first"
                    .into()
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

impl PostgresStore {
    fn call(&self, queue: QueueName, claim: Claim) -> ClaimCall {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        ClaimCall { queue, claim, turn, fence: Fence(self.clock.random_between(1, i64::MAX)) }
    }
}

impl Joined for PostgresStore {
    type Row = PgRow;

    fn vault(&self) -> &Vault {
        &self.vault
    }

    async fn by_id(&self, columns: &str, table: &str, ids: HashSet<Uuid>) -> Result<Vec<PgRow>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let select = format!("SELECT {columns} FROM {table} WHERE id = ANY($1)");
        Ok(sqlx::query(AssertSqlSafe(select)).bind(ids).fetch_all(&self.readers).await?)
    }
}

pub(super) async fn settle(
    connection: &mut PgConnection,
    all: &[&Settlement],
) -> sqlx::Result<Vec<Option<Vec<Frame>>>> {
    let mut answers = vec![None; all.len()];
    for mut round in rounds(all, |settlement| settlement.message.0) {
        let rows = settle_rows(connection, &round).await?;
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
        for (place, frame) in plan::entries(connection, entries).await? {
            answers[place].get_or_insert_default().push(frame);
        }
        let ended = round.iter().filter(|(_, each)| each.status.is_final());
        waits::wake_by_messages(connection, ended.map(|(_, each)| each.message.0)).await?;
    }
    Ok(answers)
}

async fn settle_rows(
    connection: &mut PgConnection,
    round: &[(usize, &Settlement)],
) -> sqlx::Result<Vec<PgRow>> {
    sqlx::query(SETTLE)
        .bind(each(round, |(_, each)| each.message.0))
        .bind(each(round, |(_, each)| each.fence.0))
        .bind(each(round, |(_, each)| each.status as i64))
        .bind(each(round, |(_, each)| each.due_at.map(millis)))
        .bind(each(round, |(_, each)| each.code.as_deref().map(text)))
        .bind(each(round, |(_, each)| each.attempt.as_ref()?.receipt.as_deref().map(text)))
        .bind(each(round, |(_, each)| Some(each.attempt.as_ref()?.provider.as_str())))
        .bind(each(round, |(_, each)| Some(i64::from(each.attempt.as_ref()?.number))))
        .bind(each(round, |(_, each)| each.held.as_ref().map(|_| true)))
        .bind(each(round, |(_, each)| Some(each.expected.as_ref()?.delivery)))
        .bind(each(round, |(_, each)| Some(each.expected.as_ref()?.sent_to.address.to_vec())))
        .fetch_all(connection)
        .await
}

pub(super) async fn planned(
    connection: &mut PgConnection,
    all: &[&Progress<EventId>],
) -> sqlx::Result<Vec<Option<Vec<Frame>>>> {
    let mut answers = vec![None; all.len()];
    for mut round in rounds(all, |progress| progress.id.0) {
        let more = |progress: &'_ Progress<EventId>| progress.plan.more.clone();
        let rows = sqlx::query(PLANNED)
            .bind(each(&round, |(_, progress)| progress.id.0))
            .bind(each(&round, |(_, progress)| progress.fence.0))
            .bind(each(&round, |(_, progress)| more(progress).map(|(at, _)| millis(at))))
            .bind(each(&round, |(_, progress)| more(progress).map(|(_, cursor)| cursor)))
            .fetch_all(&mut *connection)
            .await?;
        let kept = ids(&rows)?;
        round.retain(|(_, progress)| kept.contains(&progress.id.0));
        let all: Vec<Uuid> = each(&round, |(_, progress)| progress.id.0);
        let stopped = stops::stopped_of(&mut *connection, &all).await?;
        let done = round.iter().filter(|(_, progress)| progress.plan.more.is_none());
        let done: Vec<Uuid> = done.map(|(_, progress)| progress.id.0).collect();
        stops::forget_unplanned(connection, &done).await?;
        let mut plans = Vec::with_capacity(round.len());
        for (place, progress) in round {
            let mut plan = Cow::Borrowed(&progress.plan);
            if let Some(stopped) = stopped.get(&progress.id.0) {
                plan.to_mut().leave_out(stopped);
            }
            plans.push((place, plan));
        }
        let all: Vec<&Plan> = plans.iter().map(|(_, plan)| plan.as_ref()).collect();
        let written = plan::write(connection, &all).await?;
        for ((place, _), frames) in plans.iter().zip(written) {
            answers[*place] = Some(frames);
        }
    }
    Ok(answers)
}

pub(super) async fn advanced(
    connection: &mut PgConnection,
    all: &[&Progress<RunId>],
) -> sqlx::Result<Vec<Option<Vec<Frame>>>> {
    let mut answers = vec![None; all.len()];
    for mut round in rounds(all, |progress| progress.id.0) {
        let moved: Vec<(&Progress<RunId>, &Run)> =
            round.iter().filter_map(|(_, each)| Some((*each, each.run.as_ref()?))).collect();
        let rows = sqlx::query(ADVANCED)
            .bind(each(&moved, |(progress, _)| progress.id.0))
            .bind(each(&moved, |(progress, _)| progress.fence.0))
            .bind(each(&moved, |(_, run)| run_status(run.status)))
            .bind(each(&moved, |(_, run)| run.position.as_ref().map(|step| step.as_str())))
            .bind(each(&moved, |(_, run)| run.wake_at.map(millis)))
            .bind(each(&moved, |(_, run)| json(&run.state)))
            .fetch_all(&mut *connection)
            .await?;
        let kept = ids(&rows)?;
        waits::forget(connection, kept.iter().copied()).await?;
        round.retain(|(_, progress)| kept.contains(&progress.id.0));
        let plans: Vec<_> = round.iter().map(|(_, progress)| &progress.plan).collect();
        let written = plan::write(connection, &plans).await?;
        for ((place, _), frames) in round.into_iter().zip(written) {
            answers[place] = Some(frames);
        }
    }
    Ok(answers)
}

fn ids(rows: &[PgRow]) -> sqlx::Result<HashSet<Uuid>> {
    rows.iter().map(|row| row.try_get(0)).collect()
}

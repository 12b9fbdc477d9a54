//! Budgets, dedupe keys, and what was put off: all that a message has to know of others.
//!
//! Nothing here runs for a message without limit, dedupe key or hold.

mod leave;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::decode::{self, millis};
use super::locks::{Kind, Locks};
use super::rows::{each, key};
use crate::model::{Message, MessageId, MessageStatus, UserId};
use crate::store::joined::Joined;
use crate::store::rounds::Round;
use crate::store::settled::{Consequence, consequences};
use crate::store::{
    Asking, Departure, Gathered, Ledger, Once, Result, Settlement, Spending, Users,
};

pub(super) use leave::let_leave;

/// What counts for the longer of the two limits.
const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// How long before it left a message that still counts may have been made.
const MADE_BEFORE: SignedDuration = SignedDuration::from_hours(48);
/// Dedupe keys past their window that one departure clears away.
const CLEARED: i64 = 64;

#[async_trait]
impl Ledger for PostgresStore {
    async fn sent_like(&self, once: &Once) -> Result<Option<(MessageId, Timestamp)>> {
        let row: Option<(Uuid, i64)> =
            sqlx::query_as("SELECT message, at FROM sent WHERE key = $1 AND at > $2")
                .bind(once.key.as_slice())
                .bind(millis(once.since))
                .fetch_optional(&self.readers)
                .await?;
        Ok(row.map(|(message, at)| (message.into(), moment(at))))
    }

    async fn spending(&self, asking: &Asking) -> Result<Spending> {
        // One statement, so that what leaves in the meantime is counted on one side or the other,
        // and not on both.
        let rows: Vec<(Option<i64>, i64)> = sqlx::query_as(
            "SELECT at, 0::bigint FROM spending WHERE user_id = $1 AND at > $5
             UNION ALL
             SELECT NULL::bigint, count(*) FROM message WHERE recipient = $1 AND held IS NOT NULL
               AND status IN (0, 1) AND due_at <= $2 AND (priority, id) < ($3, $4)",
        )
        .bind(asking.user.as_str())
        .bind(millis(asking.now))
        .bind(asking.priority as i64)
        .bind(asking.message.0)
        .bind(millis(before(asking.now, DAY)))
        .fetch_all(&self.readers)
        .await?;
        let ahead: i64 = rows.iter().map(|(_, ahead)| ahead).sum();
        let mut at: Vec<i64> = rows.iter().filter_map(|(at, _)| *at).collect();
        at.sort_unstable();
        let ahead = usize::try_from(ahead).unwrap_or_default();
        Ok(Spending { at: at.into_iter().map(moment).collect(), ahead })
    }

    async fn gathered(&self, leader: MessageId) -> Result<Vec<Gathered>> {
        let select =
            format!("SELECT {} FROM message WHERE gathered_by = $1 ORDER BY id", decode::MESSAGE);
        let rows = sqlx::query(AssertSqlSafe(select)).bind(leader.0).fetch_all(&self.readers);
        let messages: Vec<Message> = decode::all(&rows.await?, decode::message)?;
        self.gathered_of(messages).await
    }
}

impl PostgresStore {
    /// What left for a user whom no limit was in force for, as far as it counts for one now.
    pub(super) async fn spent_before(&self, user: &UserId) -> Result<Vec<(Uuid, i64)>> {
        let said = self.preferences(user).await?;
        if said.frequency_limits.is_some_and(|limits| limits.bind()) {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        // Ids grow with time: a bound on them keeps this from reading the whole table.
        let first = uuid::Builder::from_unix_timestamp_millis(
            millis(before(now, MADE_BEFORE)).unsigned_abs(),
            &[0; 10],
        );
        let spent = sqlx::query_as(
            "SELECT id, spent_at FROM message WHERE id >= $1 AND recipient = $2 AND spent_at > $3
               AND status NOT IN (5, 6, 7, 8)",
        );
        let spent = spent.bind(first.into_uuid()).bind(user.as_str());
        Ok(spent.bind(millis(before(now, DAY))).fetch_all(&self.readers).await?)
    }
}

/// What is counted or looked up before it is written: budgets, dedupe keys, and who leads. Among
/// nodes, one at a time.
pub(super) fn locks(locks: &mut Locks, departures: &[&Departure], settlements: &[&Settlement]) {
    for departure in departures {
        if let Some(spend) = departure.spend.as_ref().filter(|spend| spend.limits.bind()) {
            locks.alone(Kind::Spending, &[spend.user.as_str().as_bytes()]);
        }
        if let Some(once) = &departure.once {
            locks.alone(Kind::Sent, &[&once.key]);
        }
    }
    for held in settlements.iter().filter_map(|each| each.held.as_ref()) {
        if let Some(common) = &held.gathers {
            locks.alone(Kind::Gather, &[common.as_bytes()]);
        }
    }
}

/// Counts what left before the limit that is now in force.
pub(super) async fn count_too(
    connection: &mut PgConnection,
    user: &UserId,
    spent: &[(Uuid, i64)],
) -> sqlx::Result<()> {
    if spent.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO spending (user_id, message, at)
         SELECT $1, message, at FROM unnest($2::uuid[], $3::bigint[]) AS spent (message, at)
         ON CONFLICT DO NOTHING",
    )
    .bind(user.as_str())
    .bind(each(spent, |(message, _)| *message))
    .bind(each(spent, |(_, at)| *at))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn settled(
    connection: &mut PgConnection,
    rows: &[PgRow],
    round: &Round<'_, Settlement>,
) -> sqlx::Result<()> {
    for consequence in consequences(rows, round)? {
        match consequence {
            Consequence::NeverSent(settlement) => {
                never_sent(connection, settlement.message, settlement.ended_at()).await?;
            }
            Consequence::Gathers(id, key) => gather(connection, id, key).await?,
            Consequence::LetGo(id) => {
                sqlx::query("UPDATE message SET held = NULL WHERE id = $1")
                    .bind(id.0)
                    .execute(&mut *connection)
                    .await?;
            }
        }
    }
    Ok(())
}

/// Joins the one that waits for others of `common`, or waits for them itself.
///
/// The leader's row is locked: a claim passes it over until this one has joined, and one that was
/// claimed a moment ago leads nobody more. Of two that find no leader, the lock of `common` makes
/// the second find the first.
async fn gather(connection: &mut PgConnection, id: MessageId, common: &str) -> sqlx::Result<()> {
    let key = key(common);
    let leader: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM message WHERE gathers = $1 AND id <> $2 AND status = 0 AND attempt = 0
           ORDER BY id LIMIT 1 FOR UPDATE",
    )
    .bind(&key)
    .bind(id.0)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(leader) = leader else {
        sqlx::query("UPDATE message SET gathers = $1 WHERE id = $2")
            .bind(&key)
            .bind(id.0)
            .execute(connection)
            .await?;
        return Ok(());
    };
    sqlx::query("UPDATE message SET gathered_by = $1 WHERE gathered_by = $2")
        .bind(leader)
        .bind(id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE message SET status = 6, gathered_by = $1, gathers = NULL, held = NULL WHERE id = $2",
    )
    .bind(leader)
    .bind(id.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// The message ended at `at` and was not sent: gives back what it took, and sets free what it led.
pub(super) async fn never_sent(
    connection: &mut PgConnection,
    id: MessageId,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM sent WHERE message = $1").bind(id.0).execute(&mut *connection).await?;
    let row: Option<(Option<String>, i64, bool, bool, bool)> = sqlx::query_as(
        "SELECT recipient, status, spent_at IS NOT NULL, gathers IS NOT NULL, held IS NOT NULL
           FROM message WHERE id = $1",
    )
    .bind(id.0)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((recipient, status, spent, leads, held)) = row else { return Ok(()) };
    if leads && status != MessageStatus::Failed as i64 {
        for sql in [
            "UPDATE message SET status = 0, due_at = $2, code = NULL, gathered_by = NULL
               WHERE gathered_by = $1",
            "UPDATE message SET gathers = NULL WHERE id = $1 AND $2::bigint IS NOT NULL",
        ] {
            sqlx::query(sql).bind(id.0).bind(millis(at)).execute(&mut *connection).await?;
        }
    }
    if !(spent || held) {
        return Ok(());
    }
    sqlx::query("UPDATE message SET held = NULL, spent_at = NULL WHERE id = $1")
        .bind(id.0)
        .execute(&mut *connection)
        .await?;
    let Some(user) = recipient else { return Ok(()) };
    sqlx::query("DELETE FROM spending WHERE user_id = $1 AND message = $2")
        .bind(user.as_str())
        .bind(id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE message SET due_at = $2 WHERE recipient = $1 AND held IS NOT NULL AND status = 0
           AND due_at > $2 AND code LIKE 'budget.%'",
    )
    .bind(user)
    .bind(millis(at))
    .execute(connection)
    .await?;
    Ok(())
}

/// What gates put off for `users` is due at `now`.
pub(super) async fn ask_again(
    connection: &mut PgConnection,
    users: &[&str],
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE message SET due_at = $2 WHERE recipient = ANY($1) AND held IS NOT NULL AND status = 0
           AND due_at > $2",
    )
    .bind(users)
    .bind(millis(now))
    .execute(connection)
    .await?;
    Ok(())
}

fn before(now: Timestamp, window: SignedDuration) -> Timestamp {
    now.saturating_sub(window).unwrap_or(Timestamp::MIN)
}

fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

//! Ending leases: after a crash, past their time, and at a graceful stop.

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::decode::millis;
use super::{plan, waits};
use crate::model::{Attempt, AttemptOutcome, MessageStatus};
use crate::store::{Recovered, Unsent};

/// With what `setback` says, in its words: the hexadecimal digit at the end of the id.
const MESSAGES: &str = "UPDATE message SET status = 0, fence = NULL, lease_until = NULL, \
     due_at = CASE WHEN tries > 3 THEN max(due_at, ?2 + min(tries * tries * 100, 10000) \
       + instr('123456789ABCDEF', substr(hex(id), -1)) * 60) ELSE due_at END
    WHERE status = 1 AND lease_until <= ?1";

/// Frees what is leased past its time, or everything. What was being sent by a (channel, provider)
/// of `known` is journalled as `unknown`, and due again where that says so.
pub(super) async fn expired(
    connection: &mut SqliteConnection,
    now: Timestamp,
    everything: bool,
    known: &[(String, String, bool)],
) -> sqlx::Result<Recovered> {
    let before = if everything { i64::MAX } else { millis(now) };
    let mut released = 0;
    for sql in [
        "UPDATE event SET fence = NULL, lease_until = NULL WHERE fence IS NOT NULL AND lease_until <= ?",
        "UPDATE run SET status = 0, fence = NULL, lease_until = NULL WHERE status = 1 AND lease_until <= ?",
    ] {
        released += sqlx::query(sql).bind(before).execute(&mut *connection).await?.rows_affected();
    }
    let released_messages = sqlx::query(MESSAGES).bind(before).bind(millis(now));
    released += released_messages.execute(&mut *connection).await?.rows_affected();
    for sql in [
        "DELETE FROM collection WHERE leader IS NULL AND closes_at <= ?",
        "DELETE FROM throttled WHERE until <= ?",
    ] {
        sqlx::query(sql).bind(millis(now)).execute(&mut *connection).await?;
    }
    let mut attempts = Vec::new();
    for (channel, provider, again) in known {
        interrupted(connection, now, before, (channel, provider, *again), &mut attempts).await?;
    }
    plan::attempts(connection, &attempts.iter().collect::<Vec<_>>()).await?;
    waits::wake_by_messages(connection, attempts.iter().map(|attempt| attempt.message.0)).await?;
    Ok(Recovered { released, unknown: attempts.len() as u64 })
}

/// Ends the leases of what was being sent by one provider; adds the attempts that nobody will tell
/// of.
async fn interrupted(
    connection: &mut SqliteConnection,
    now: Timestamp,
    before: i64,
    (channel, provider, again): (&str, &str, bool),
    attempts: &mut Vec<Attempt>,
) -> sqlx::Result<()> {
    let sending = sqlx::query(
        "UPDATE message SET fence = NULL, lease_until = NULL
          WHERE status = 2 AND lease_until <= ? AND channel = ? AND provider = ?
         RETURNING id, attempt, departed_at, stopping",
    );
    let rows = sending.bind(before).bind(channel).bind(provider).fetch_all(&mut *connection);
    for row in rows.await? {
        // Cancelled while it was leaving: whether it left is not known, and it is not tried again.
        let retry = again && !row.try_get::<bool, _>(3)?;
        let status = if retry { MessageStatus::Pending } else { MessageStatus::Unknown };
        let id: Uuid = row.try_get(0)?;
        sqlx::query("UPDATE message SET status = ?, due_at = ?, code = ? WHERE id = ?")
            .bind(status as i64)
            .bind(millis(now))
            .bind((!retry).then_some("unknown"))
            .bind(id)
            .execute(&mut *connection)
            .await?;
        let departed: Option<i64> = row.try_get(2)?;
        attempts.push(Attempt {
            message: id.into(),
            number: row.try_get(1)?,
            provider: provider.into(),
            started_at: departed.and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(now),
            finished_at: now,
            outcome: AttemptOutcome::Unknown,
            code: Some("crash".into()),
            detail: Some("the process ended before the answer was stored".into()),
            receipt: None,
        });
    }
    Ok(())
}

/// Gives claims back that nobody has begun.
pub(super) async fn unsent(connection: &mut SqliteConnection, all: &[Unsent]) -> sqlx::Result<()> {
    for unsent in all {
        let (sql, id, fence) = match unsent {
            Unsent::Event(id, fence) => (
                "UPDATE event SET fence = NULL, lease_until = NULL, tries = tries - 1 WHERE id = ? AND fence = ?",
                id.0,
                fence,
            ),
            Unsent::Run(id, fence) => (
                "UPDATE run SET status = 0, fence = NULL, lease_until = NULL, tries = tries - 1 WHERE id = ? AND fence = ? AND status = 1",
                id.0,
                fence,
            ),
            Unsent::Message(id, fence) => (
                "UPDATE message SET status = 0, fence = NULL, lease_until = NULL, tries = tries - 1 WHERE id = ? AND fence = ? AND status = 1",
                id.0,
                fence,
            ),
        };
        sqlx::query(sql).bind(id).bind(fence.0).execute(&mut *connection).await?;
    }
    Ok(())
}

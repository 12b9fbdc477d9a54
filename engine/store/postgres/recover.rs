//! Ending leases: after a crash, past their time, and at a graceful stop.

use jiff::Timestamp;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::decode::millis;
use super::rows::each;
use super::{plan, waits};
use crate::model::{Attempt, AttemptOutcome, MessageStatus};
use crate::store::{Recovered, Unsent};

/// With what `setback` says, in its words: the hexadecimal digit at the end of the id.
const MESSAGES: &str = "UPDATE message SET status = 0, fence = NULL, lease_until = NULL, \
      due_at = CASE WHEN tries > 3 THEN greatest(due_at, $2 + least(tries * tries * 100, 10000)
        + position(right(id::text, 1) IN '123456789abcdef') * 60) ELSE due_at END
    WHERE id = ANY(ARRAY(
      SELECT id FROM message WHERE status = 1 AND lease_until <= $1 FOR UPDATE SKIP LOCKED))";

/// Frees what is leased past its time, or everything. What was being sent by a (channel, provider)
/// of `known` is journalled as `unknown`, and due again where that says so. Rows that another node is
/// freeing, or whose owner is just writing, are passed over: they are looked at next time.
pub(super) async fn expired(
    connection: &mut PgConnection,
    now: Timestamp,
    everything: bool,
    known: &[(String, String, bool)],
) -> sqlx::Result<Recovered> {
    let before = if everything { i64::MAX } else { millis(now) };
    let mut released = 0;
    for sql in [
        "UPDATE event SET fence = NULL, lease_until = NULL WHERE id = ANY(ARRAY(
           SELECT id FROM event WHERE fence IS NOT NULL AND lease_until <= $1
           FOR UPDATE SKIP LOCKED))",
        "UPDATE run SET status = 0, fence = NULL, lease_until = NULL WHERE id = ANY(ARRAY(
           SELECT id FROM run WHERE status = 1 AND lease_until <= $1 FOR UPDATE SKIP LOCKED))",
    ] {
        released += sqlx::query(sql).bind(before).execute(&mut *connection).await?.rows_affected();
    }
    let released_messages = sqlx::query(MESSAGES).bind(before).bind(millis(now));
    released += released_messages.execute(&mut *connection).await?.rows_affected();
    for sql in [
        "DELETE FROM collection WHERE leader IS NULL AND closes_at <= $1",
        "DELETE FROM throttled WHERE until <= $1",
    ] {
        sqlx::query(sql).bind(millis(now)).execute(&mut *connection).await?;
    }
    let attempts = interrupted(connection, now, before, known).await?;
    plan::attempts(connection, &attempts.iter().collect::<Vec<_>>()).await?;
    waits::wake_by_messages(connection, attempts.iter().map(|attempt| attempt.message.0)).await?;
    Ok(Recovered { released, unknown: attempts.len() as u64 })
}

/// Ends the leases of what was being sent; answers the attempts that nobody will tell of.
async fn interrupted(
    connection: &mut PgConnection,
    now: Timestamp,
    before: i64,
    known: &[(String, String, bool)],
) -> sqlx::Result<Vec<Attempt>> {
    // Cancelled while it was leaving: whether it left is not known, and it is not tried again.
    let rows = sqlx::query(
        "WITH ended AS (
           SELECT id, NOT stopping AND known.again AS retry
             FROM message JOIN unnest($3::text[], $4::text[], $7::boolean[])
               AS known (channel, provider, again) USING (channel, provider)
            WHERE status = 2 AND lease_until <= $1
             FOR UPDATE OF message SKIP LOCKED)
         UPDATE message SET fence = NULL, lease_until = NULL, due_at = $2,
           status = CASE WHEN retry THEN $5 ELSE $6 END,
           code = CASE WHEN retry THEN NULL ELSE 'unknown' END
         FROM ended WHERE message.id = ended.id
         RETURNING message.id, message.attempt, message.provider, message.departed_at",
    )
    .bind(before)
    .bind(millis(now))
    .bind(each(known, |(channel, ..)| channel.as_str()))
    .bind(each(known, |(_, provider, _)| provider.as_str()))
    .bind(MessageStatus::Pending as i64)
    .bind(MessageStatus::Unknown as i64)
    .bind(each(known, |(_, _, again)| *again))
    .fetch_all(connection)
    .await?;
    let mut attempts = Vec::with_capacity(rows.len());
    for row in &rows {
        let departed: Option<i64> = row.try_get(3)?;
        attempts.push(Attempt {
            message: row.try_get::<Uuid, _>(0)?.into(),
            number: u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default(),
            provider: row.try_get::<Option<String>, _>(2)?.unwrap_or_default().into(),
            started_at: departed.and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(now),
            finished_at: now,
            outcome: AttemptOutcome::Unknown,
            code: Some("crash".into()),
            detail: Some("the process ended before the answer was stored".into()),
            receipt: None,
        });
    }
    Ok(attempts)
}

/// Gives claims back that nobody has begun.
pub(super) async fn unsent(connection: &mut PgConnection, all: &[Unsent]) -> sqlx::Result<()> {
    let (mut events, mut runs, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    for unsent in all {
        match unsent {
            Unsent::Event(id, fence) => events.push((id.0, fence.0)),
            Unsent::Run(id, fence) => runs.push((id.0, fence.0)),
            Unsent::Message(id, fence) => messages.push((id.0, fence.0)),
        }
    }
    for (claims, sql) in [
        (
            events,
            "UPDATE event SET fence = NULL, lease_until = NULL, tries = tries - 1
             FROM unnest($1::uuid[], $2::bigint[]) AS v (id, fence)
             WHERE event.id = v.id AND event.fence = v.fence",
        ),
        (
            runs,
            "UPDATE run SET status = 0, fence = NULL, lease_until = NULL, tries = tries - 1
             FROM unnest($1::uuid[], $2::bigint[]) AS v (id, fence)
             WHERE run.id = v.id AND run.fence = v.fence AND status = 1",
        ),
        (
            messages,
            "UPDATE message SET status = 0, fence = NULL, lease_until = NULL, tries = tries - 1
             FROM unnest($1::uuid[], $2::bigint[]) AS v (id, fence)
             WHERE message.id = v.id AND message.fence = v.fence AND status = 1",
        ),
    ] {
        if claims.is_empty() {
            continue;
        }
        let (ids, fences): (Vec<Uuid>, Vec<i64>) = claims.into_iter().unzip();
        sqlx::query(sql).bind(ids).bind(fences).execute(&mut *connection).await?;
    }
    Ok(())
}

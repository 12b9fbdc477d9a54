//! Ending leases: after a crash, past their time, and at a graceful stop.

use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::decode::millis;
use super::rows::Statements;
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
pub(super) fn expired(
    connection: &Connection,
    now: Timestamp,
    everything: bool,
    known: &[(String, String, bool)],
) -> rusqlite::Result<Recovered> {
    let before = if everything { i64::MAX } else { millis(now) };
    let mut released = 0;
    for sql in [
        "UPDATE event SET fence = NULL, lease_until = NULL WHERE fence IS NOT NULL AND lease_until <= ?",
        "UPDATE run SET status = 0, fence = NULL, lease_until = NULL WHERE status = 1 AND lease_until <= ?",
    ] {
        released += connection.run(sql, [before])?;
    }
    released += connection.run(MESSAGES, (before, millis(now)))?;
    for sql in [
        "DELETE FROM collection WHERE leader IS NULL AND closes_at <= ?",
        "DELETE FROM throttled WHERE until <= ?",
    ] {
        connection.run(sql, [millis(now)])?;
    }
    let mut attempts = Vec::new();
    for (channel, provider, again) in known {
        interrupted(connection, now, before, (channel, provider, *again), &mut attempts)?;
    }
    plan::attempts(connection, &attempts)?;
    waits::wake_by_messages(connection, attempts.iter().map(|attempt| attempt.message.0))?;
    Ok(Recovered { released: released as u64, unknown: attempts.len() as u64 })
}

/// Ends the leases of what was being sent by one provider; adds the attempts that nobody will tell
/// of.
fn interrupted(
    connection: &Connection,
    now: Timestamp,
    before: i64,
    (channel, provider, again): (&str, &str, bool),
    attempts: &mut Vec<Attempt>,
) -> rusqlite::Result<()> {
    let sending: Vec<(Uuid, u32, Option<i64>, bool)> = connection.all(
        "UPDATE message SET fence = NULL, lease_until = NULL
          WHERE status = 2 AND lease_until <= ? AND channel = ? AND provider = ?
         RETURNING id, attempt, departed_at, stopping",
        (before, channel, provider),
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    for (id, number, departed, stopping) in sending {
        // Cancelled while it was leaving: whether it left is not known, and it is not tried again.
        let retry = again && !stopping;
        let status = if retry { MessageStatus::Pending } else { MessageStatus::Unknown };
        connection.run(
            "UPDATE message SET status = ?, due_at = ?, code = ? WHERE id = ?",
            (status as i64, millis(now), (!retry).then_some("unknown"), id),
        )?;
        attempts.push(Attempt {
            message: id.into(),
            number,
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
pub(super) fn unsent(connection: &Connection, all: &[Unsent]) -> rusqlite::Result<()> {
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
        connection.run(sql, (id, fence.0))?;
    }
    Ok(())
}

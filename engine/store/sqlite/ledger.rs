//! Budgets, dedupe keys, and what was put off: all that a message has to know of others.
//!
//! Nothing here runs for a message without limit, dedupe key or hold.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::SqliteStore;
use super::decode::{self, millis};
use super::rows::{Statements, only};
use crate::model::{Message, MessageId, MessageStatus, UserId};
use crate::store::joined::Joined;
use crate::store::settled::Consequence;
use crate::store::{Asking, Departed, Departure, Gathered, Ledger, Once, Result, Spending, Users};

/// What counts for the longer of the two limits.
const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// How long before it left a message that still counts may have been made.
const MADE_BEFORE: SignedDuration = SignedDuration::from_hours(48);
/// Dedupe keys past their window that one departure clears away.
const CLEARED: i64 = 64;

#[async_trait]
impl Ledger for SqliteStore {
    async fn sent_like(&self, once: &Once) -> Result<Option<(MessageId, Timestamp)>> {
        let row: Option<(Uuid, i64)> =
            sqlx::query_as("SELECT message, at FROM sent WHERE key = ? AND at > ?")
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
            "SELECT at, 0 FROM spending WHERE user = ?1 AND at > ?5
             UNION ALL
             SELECT NULL, count(*) FROM message INDEXED BY message_held
             WHERE recipient = ?1 AND held IS NOT NULL
               AND status IN (0, 1) AND due_at <= ?2 AND (priority, id) < (?3, ?4)",
        )
        .bind(asking.user.0.clone())
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
            format!("SELECT {} FROM message WHERE gathered_by = ? ORDER BY id", decode::MESSAGE);
        let rows = sqlx::query(AssertSqlSafe(select)).bind(leader.0).fetch_all(&self.readers);
        let messages: Vec<Message> = decode::all(&rows.await?, decode::message)?;
        self.gathered_of(messages).await
    }
}

impl SqliteStore {
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
            "SELECT id, spent_at FROM message WHERE id >= ? AND recipient = ? AND spent_at > ?
               AND status NOT IN (5, 6, 7, 8)",
        );
        let spent = spent.bind(first.into_uuid()).bind(user.0.clone());
        Ok(spent.bind(millis(before(now, DAY))).fetch_all(&self.readers).await?)
    }
}

/// Whether it may leave, and if so, keeps what it spends.
pub(super) fn let_leave(
    connection: &Connection,
    departure: &Departure,
) -> rusqlite::Result<Departed> {
    let limited = departure.spend.as_ref().is_some_and(|spend| spend.limits.bind());
    if !limited && departure.once.is_none() {
        return Ok(Departed::Left);
    }
    let answer = ask(connection, departure)?;
    if answer == Departed::Left {
        keep(connection, departure)?;
    }
    Ok(answer)
}

fn ask(connection: &Connection, departure: &Departure) -> rusqlite::Result<Departed> {
    let leased = "SELECT attempt FROM message WHERE id = ? AND fence = ? AND status = 1";
    let leased = connection.maybe(leased, (departure.message.0, departure.fence.0), only::<i64>)?;
    let Some(attempts) = leased else { return Ok(Departed::Withdrawn) };
    if let Some(once) = departure.once.filter(|_| attempts == 0) {
        let like = "SELECT at FROM sent WHERE key = ? AND at > ? AND message <> ?";
        let values = (once.key.as_slice(), millis(once.since), departure.message.0);
        if connection.maybe(like, values, only::<i64>)?.is_some() {
            return Ok(Departed::Duplicate);
        }
    }
    let Some(spend) = departure.spend.as_ref().filter(|spend| spend.binding) else {
        return Ok(Departed::Left);
    };
    for (most, window) in [(spend.limits.max_per_hour, HOUR), (spend.limits.max_per_day, DAY)] {
        let Some(most) = most else { continue };
        let count = "SELECT count(*) FROM spending WHERE user = ? AND at > ?";
        let values = (spend.user.as_str(), millis(before(departure.at, window)));
        if connection.one(count, values, only::<i64>)? >= i64::from(most) {
            return Ok(Departed::OverBudget);
        }
    }
    Ok(Departed::Left)
}

fn keep(connection: &Connection, departure: &Departure) -> rusqlite::Result<()> {
    let (message, at) = (departure.message.0, millis(departure.at));
    if let Some(once) = departure.once {
        connection.run(
            "DELETE FROM sent WHERE key IN (SELECT key FROM sent WHERE until <= ? LIMIT ?)",
            (at, CLEARED),
        )?;
        connection.run(
            "INSERT OR REPLACE INTO sent (key, at, until, message) VALUES (?, ?, ?, ?)",
            (once.key.as_slice(), at, millis(once.until), message),
        )?;
    }
    let Some(spend) = departure.spend.as_ref().filter(|spend| spend.limits.bind()) else {
        return Ok(());
    };
    connection.run(
        "DELETE FROM spending WHERE user = ? AND at <= ?",
        (spend.user.as_str(), millis(before(departure.at, DAY))),
    )?;
    connection.run(
        "INSERT INTO spending (user, at, message) SELECT ?1, ?2, ?3
           WHERE NOT EXISTS (SELECT 1 FROM spending WHERE user = ?1 AND message = ?3)",
        (spend.user.as_str(), at, message),
    )?;
    Ok(())
}

/// Counts what left before the limit that is now in force.
pub(super) fn count_too(
    connection: &Connection,
    user: &UserId,
    spent: &[(Uuid, i64)],
) -> rusqlite::Result<()> {
    for (message, at) in spent {
        connection.run(
            "INSERT OR IGNORE INTO spending (user, at, message) VALUES (?, ?, ?)",
            (user.as_str(), at, message),
        )?;
    }
    Ok(())
}

/// Writes what follows from a settlement for other rows.
pub(super) fn follow(
    connection: &Connection,
    consequence: Consequence<'_>,
) -> rusqlite::Result<()> {
    match consequence {
        Consequence::NeverSent(settlement) => {
            never_sent(connection, settlement.message, settlement.ended_at())
        }
        Consequence::Gathers(id, key) => gather(connection, id, key),
        Consequence::LetGo(id) => {
            connection.run("UPDATE message SET held = NULL WHERE id = ?", (id.0,)).map(drop)
        }
    }
}

/// Joins the one that waits for others of `key`, or waits for them itself.
fn gather(connection: &Connection, id: MessageId, key: &str) -> rusqlite::Result<()> {
    let leader = "SELECT id FROM message WHERE gathers = ? AND id <> ? AND status = 0 \
                    AND attempt = 0 ORDER BY id LIMIT 1";
    let Some(leader) = connection.maybe(leader, (key, id.0), only::<Uuid>)? else {
        connection.run("UPDATE message SET gathers = ? WHERE id = ?", (key, id.0))?;
        return Ok(());
    };
    for sql in [
        "UPDATE message SET gathered_by = ?1 WHERE gathered_by = ?2",
        "UPDATE message SET status = 6, gathered_by = ?1, gathers = NULL, held = NULL \
           WHERE id = ?2",
    ] {
        connection.run(sql, (leader, id.0))?;
    }
    Ok(())
}

/// The message ended at `at` and was not sent: gives back what it took, and sets free what it led.
pub(super) fn never_sent(
    connection: &Connection,
    id: MessageId,
    at: Timestamp,
) -> rusqlite::Result<()> {
    connection.run("DELETE FROM sent WHERE message = ?", (id.0,))?;
    let row: Option<(Option<String>, i64, bool, bool, bool)> = connection.maybe(
        "SELECT recipient, status, spent_at IS NOT NULL, gathers IS NOT NULL, held IS NOT NULL
           FROM message WHERE id = ?",
        (id.0,),
        |row| row.try_into(),
    )?;
    let Some((recipient, status, spent, leads, held)) = row else { return Ok(()) };
    if leads && status != MessageStatus::Failed as i64 {
        for sql in [
            "UPDATE message SET status = 0, due_at = ?2, code = NULL, gathered_by = NULL
               WHERE gathered_by = ?1",
            "UPDATE message SET gathers = NULL WHERE id = ?1 AND ?2 IS NOT NULL",
        ] {
            connection.run(sql, (id.0, millis(at)))?;
        }
    }
    if !(spent || held) {
        return Ok(());
    }
    connection.run("UPDATE message SET held = NULL, spent_at = NULL WHERE id = ?", (id.0,))?;
    let Some(user) = recipient else { return Ok(()) };
    connection.run("DELETE FROM spending WHERE user = ? AND message = ?", (&user, id.0))?;
    connection.run(
        "UPDATE message INDEXED BY message_held SET due_at = ?2
         WHERE recipient = ?1 AND held IS NOT NULL AND status = 0
           AND due_at > ?2 AND code LIKE 'budget.%'",
        (user, millis(at)),
    )?;
    Ok(())
}

/// What gates put off for `user` is due at `now`.
pub(super) fn ask_again(
    connection: &Connection,
    user: &UserId,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection.run(
        "UPDATE message INDEXED BY message_held SET due_at = ?2
         WHERE recipient = ?1 AND held IS NOT NULL AND status = 0
           AND due_at > ?2",
        (user.as_str(), millis(now)),
    )?;
    Ok(())
}

fn before(now: Timestamp, window: SignedDuration) -> Timestamp {
    now.saturating_sub(window).unwrap_or(Timestamp::MIN)
}

fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use sqlx::SqlitePool;
use uuid::{Builder, Uuid};

use super::decode::millis;
use super::rows::{Statements, only};
use super::{collections, waits};
use crate::model::UserId;
use crate::store::Erased;

/// From a run's id to its commit, with much to spare.
const PLANNING: SignedDuration = SignedDuration::from_mins(10);

/// Whatever is theirs alone.
const THEIRS: [&str; 6] = [
    "DELETE FROM preference WHERE user = ?1",
    "DELETE FROM device WHERE user = ?1",
    "DELETE FROM bounce WHERE user = ?1",
    "DELETE FROM spending WHERE user = ?1",
    "DELETE FROM frame WHERE user = ?1",
    "DELETE FROM stream WHERE name = 'user:' || ?1",
];
/// What was said in rooms, by whatever frame it can still be read.
const SAID: [&str; 3] = [
    "DELETE FROM member WHERE user = ?1",
    "DELETE FROM saying WHERE user = ?1",
    "DELETE FROM stream_frame WHERE stream LIKE 'room:%'
       AND json_extract(body, '$.type') = 'chat_message'
       AND CAST(json_extract(body, '$.data.user_id') AS TEXT) = ?1",
];
/// Those that were begun since they were looked for.
const NEW_RUNS: &str = "SELECT id FROM run WHERE id >= ?2 AND recipient = ?1";
/// What says that they did something, and was told of them.
const TOLD: [&str; 3] = [
    "UPDATE event SET actor = NULL WHERE actor = ?1",
    "UPDATE attempt SET detail = NULL, receipt = NULL
     WHERE message IN (SELECT id FROM message WHERE recipient = ?1)",
    "UPDATE decision SET recipient = NULL, rule = NULL, reason = 'the recipient was erased'
     WHERE recipient = ?1",
];
const MESSAGES: &str = "UPDATE message SET recipient = NULL, receipt = NULL, reports = NULL,
       sent_to = NULL, held = NULL,
       code = CASE WHEN status IN (0, 1) THEN 'cancelled' ELSE code END,
       fence = CASE WHEN status IN (0, 1) THEN NULL ELSE fence END,
       status = CASE WHEN status IN (0, 1) THEN 7 ELSE status END
     WHERE recipient = ?1";
/// What their runs, `?2`, were begun by and waited for, where it concerned nobody else: others still
/// need theirs. Last the runs. The key (event, workflow, who) stays unique: the run's own id stands
/// for the person.
const RUNS: [&str; 5] = [
    "UPDATE event SET data = '{}', actor = NULL
     WHERE id IN (SELECT event FROM run WHERE id IN (SELECT unhex(value) FROM json_each(?2)))
       AND NOT EXISTS (SELECT 1 FROM run WHERE run.event = event.id AND recipient IS NOT ?1)",
    "UPDATE once SET result = 'null'
     WHERE event IN (SELECT event FROM run WHERE id IN (SELECT unhex(value) FROM json_each(?2)))
       AND NOT EXISTS (SELECT 1 FROM run WHERE run.event = once.event AND recipient IS NOT ?1)",
    "DELETE FROM wait WHERE run IN (SELECT unhex(value) FROM json_each(?2)) AND ?1 IS NOT NULL",
    "DELETE FROM awaited WHERE run IN (SELECT unhex(value) FROM json_each(?2)) AND ?1 IS NOT NULL",
    "UPDATE run SET recipient = NULL, who = hex(id), contact = NULL, state = '{}',
       fence = CASE WHEN status IN (0, 1) THEN NULL ELSE fence END,
       status = CASE WHEN status IN (0, 1) THEN 3 ELSE status END
     WHERE id IN (SELECT unhex(value) FROM json_each(?2)) AND recipient = ?1",
];

/// A user's runs, looked for before the erasure: nothing is written while it runs, and there may be
/// millions of runs to be read.
pub(super) struct Begun {
    ids: Vec<Uuid>,
    /// Those with higher ids are to be looked for again.
    until: Uuid,
}

impl Begun {
    pub async fn find(readers: &SqlitePool, user: &UserId, now: Timestamp) -> sqlx::Result<Self> {
        let ids = sqlx::query_scalar("SELECT id FROM run WHERE recipient = ?").bind(user.as_str());
        let ids = ids.fetch_all(readers).await?;
        // Ids grow with time.
        let until = now.saturating_sub(PLANNING).unwrap_or(Timestamp::MIN);
        let until = Builder::from_unix_timestamp_millis(millis(until).unsigned_abs(), &[0; 10]);
        Ok(Self { ids, until: until.into_uuid() })
    }
}

/// Removes what says who somebody is, and keeps rows that are only counted: runs, messages and
/// attempts stay, without the person. What had not left yet is cancelled.
pub(super) fn everywhere(
    connection: &Connection,
    user: &UserId,
    runs: &Begun,
    now: Timestamp,
) -> rusqlite::Result<Option<Erased>> {
    let change = |sql: &str| connection.run(sql, [user.as_str()]).map(|rows| rows as u64);
    if change("DELETE FROM user WHERE id = ?1")? == 0 {
        return Ok(None);
    }
    let subscriptions = change("DELETE FROM subscription WHERE user = ?1")?;
    let entries = change("DELETE FROM inbox WHERE user = ?1")?;
    let new: Vec<Uuid> = connection.all(NEW_RUNS, (user.as_str(), runs.until), only)?;
    let runs: Vec<Uuid> = runs.ids.iter().copied().chain(new).collect();
    collections::leave(connection, &runs, now)?;
    THEIRS.into_iter().chain(SAID).chain(TOLD).try_for_each(|sql| change(sql).map(drop))?;
    let messages = change(MESSAGES)?;
    let runs = waits::hex(runs.into_iter());
    for sql in RUNS {
        connection.run(sql, (user.as_str(), &runs))?;
    }
    tracing::info!(at = %now, entries, messages, subscriptions, "a user was erased");
    Ok(Some(Erased { entries, messages, subscriptions }))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{MESSAGES, NEW_RUNS, RUNS, SAID, THEIRS, TOLD};

    /// Nobody else can write meanwhile: an erasure reads what is theirs, however much there is. What
    /// rooms said is kept for an hour only, and lists of ids are its own.
    #[test]
    fn whoever_is_erased_is_found_by_an_index() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in super::super::MIGRATIONS.iter() {
            connection.execute_batch(migration.sql.as_str()).unwrap();
        }
        let [said @ .., _frames] = SAID;
        let once = [NEW_RUNS, MESSAGES].into_iter();
        for sql in THEIRS.into_iter().chain(said).chain(TOLD).chain(RUNS).chain(once) {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut steps = plan.raw_query();
            while let Some(step) = steps.next().unwrap() {
                let step: String = step.get(3).unwrap();
                let reads_all = step.starts_with("SCAN") && !step.contains("json_each");
                assert!(!reads_all, "{step} in {sql}");
            }
        }
    }
}

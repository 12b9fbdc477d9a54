use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::collections;
use super::rows::{Statements, only};
use crate::model::UserId;
use crate::store::Erased;

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
const RUNS: &str = "SELECT id FROM run WHERE recipient = ?1";
/// What concerned nobody else, and what says that they did something.
const TOLD: [&str; 4] = [
    // Others still need theirs.
    "UPDATE event SET data = '{}', actor = NULL
     WHERE id IN (SELECT event FROM run WHERE recipient = ?1) AND NOT EXISTS
       (SELECT 1 FROM run WHERE run.event = event.id AND recipient IS NOT ?1)",
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
/// What their runs waited for, and what was kept for events that concerned nobody else; last the
/// runs. The key (event, workflow, who) stays unique: the run's own id stands for the person.
const WAITED: [&str; 4] = [
    "DELETE FROM wait WHERE run IN (SELECT id FROM run WHERE recipient = ?1)",
    "DELETE FROM awaited WHERE run IN (SELECT id FROM run WHERE recipient = ?1)",
    "UPDATE once SET result = 'null'
     WHERE event IN (SELECT event FROM run WHERE recipient = ?1) AND NOT EXISTS
       (SELECT 1 FROM run WHERE run.event = once.event AND recipient IS NOT ?1)",
    "UPDATE run SET recipient = NULL, who = hex(id), contact = NULL, state = '{}',
       fence = CASE WHEN status IN (0, 1) THEN NULL ELSE fence END,
       status = CASE WHEN status IN (0, 1) THEN 3 ELSE status END
     WHERE recipient = ?1",
];

/// Removes what says who somebody is, and keeps rows that are only counted: runs, messages and
/// attempts stay, without the person. What had not left yet is cancelled.
pub(super) fn everywhere(
    connection: &Connection,
    user: &UserId,
    now: Timestamp,
) -> rusqlite::Result<Option<Erased>> {
    let change = |sql: &str| connection.run(sql, [user.as_str()]).map(|rows| rows as u64);
    if change("DELETE FROM user WHERE id = ?1")? == 0 {
        return Ok(None);
    }
    let subscriptions = change("DELETE FROM subscription WHERE user = ?1")?;
    let entries = change("DELETE FROM inbox WHERE user = ?1")?;
    let theirs: Vec<Uuid> = connection.all(RUNS, [user.as_str()], only)?;
    collections::leave(connection, &theirs, now)?;
    THEIRS.into_iter().chain(SAID).chain(TOLD).try_for_each(|sql| change(sql).map(drop))?;
    let messages = change(MESSAGES)?;
    WAITED.into_iter().try_for_each(|sql| change(sql).map(drop))?;
    tracing::info!(at = %now, entries, messages, subscriptions, "a user was erased");
    Ok(Some(Erased { entries, messages, subscriptions }))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{MESSAGES, RUNS, SAID, THEIRS, TOLD, WAITED};

    /// Nobody else can write meanwhile: an erasure reads what is theirs, however much there is. What
    /// rooms said is kept for an hour only.
    #[test]
    fn whoever_is_erased_is_found_by_an_index() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in super::super::MIGRATIONS.iter() {
            connection.execute_batch(migration.sql.as_str()).unwrap();
        }
        let [said @ .., _frames] = SAID;
        let once = [RUNS, MESSAGES].into_iter();
        for sql in THEIRS.into_iter().chain(said).chain(TOLD).chain(WAITED).chain(once) {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan.query_map(["42"], |row| row.get::<_, String>(3)).unwrap();
            for step in steps {
                let step = step.unwrap();
                assert!(!step.starts_with("SCAN"), "{step} in {sql}");
            }
        }
    }
}

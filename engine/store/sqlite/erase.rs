use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::collections;
use super::rows::{Statements, only};
use crate::model::UserId;
use crate::store::Erased;

/// Removes what says who somebody is, and keeps rows that are only counted: runs, messages and
/// attempts stay, without the person. What had not left yet is cancelled.
pub(super) fn everywhere(
    connection: &Connection,
    user: &UserId,
    now: Timestamp,
) -> rusqlite::Result<Option<Erased>> {
    if change(connection, "DELETE FROM user WHERE id = ?1", user)? == 0 {
        return Ok(None);
    }
    change(connection, "DELETE FROM preference WHERE user = ?1", user)?;
    change(connection, "DELETE FROM device WHERE user = ?1", user)?;
    change(connection, "DELETE FROM bounce WHERE user = ?1", user)?;
    change(connection, "DELETE FROM spending WHERE user = ?1", user)?;
    let subscriptions = change(connection, "DELETE FROM subscription WHERE user = ?1", user)?;
    let entries = change(connection, "DELETE FROM inbox WHERE user = ?1", user)?;
    change(connection, "DELETE FROM frame WHERE user = ?1", user)?;
    change(connection, "DELETE FROM stream WHERE name = 'user:' || ?1", user)?;
    let theirs: Vec<Uuid> =
        connection.all("SELECT id FROM run WHERE recipient = ?", [user.as_str()], only)?;
    collections::leave(connection, &theirs, now)?;
    rooms(connection, user)?;
    // The data of events that concerned nobody else; others still need theirs.
    change(
        connection,
        "UPDATE event SET data = '{}', actor = NULL WHERE id IN (SELECT event FROM run WHERE recipient = ?1)
         AND NOT EXISTS (SELECT 1 FROM run WHERE run.event = event.id AND recipient IS NOT ?1)",
        user,
    )?;
    change(connection, "UPDATE event SET actor = NULL WHERE actor = ?1", user)?;
    change(
        connection,
        "UPDATE attempt SET detail = NULL, receipt = NULL WHERE message IN (SELECT id FROM message WHERE recipient = ?1)",
        user,
    )?;
    change(
        connection,
        "UPDATE decision SET recipient = NULL, rule = NULL, reason = 'the recipient was erased' WHERE recipient = ?1",
        user,
    )?;
    let messages = change(
        connection,
        "UPDATE message SET recipient = NULL, receipt = NULL, reports = NULL, sent_to = NULL, held = NULL,
           code = CASE WHEN status IN (0, 1) THEN 'cancelled' ELSE code END,
           fence = CASE WHEN status IN (0, 1) THEN NULL ELSE fence END,
           status = CASE WHEN status IN (0, 1) THEN 7 ELSE status END
         WHERE recipient = ?1",
        user,
    )?;
    waits(connection, user)?;
    // The key (event, workflow, who) stays unique: the run's own id stands for the person.
    change(
        connection,
        "UPDATE run SET recipient = NULL, who = hex(id), contact = NULL, state = '{}',
           fence = CASE WHEN status IN (0, 1) THEN NULL ELSE fence END,
           status = CASE WHEN status IN (0, 1) THEN 3 ELSE status END
         WHERE recipient = ?1",
        user,
    )?;
    tracing::info!(at = %now, entries, messages, subscriptions, "a user was erased");
    Ok(Some(Erased { entries, messages, subscriptions }))
}

/// What was said in rooms, by whatever frame it can still be read.
fn rooms(connection: &Connection, user: &UserId) -> rusqlite::Result<()> {
    change(connection, "DELETE FROM member WHERE user = ?1", user)?;
    change(connection, "DELETE FROM saying WHERE user = ?1", user)?;
    change(
        connection,
        "DELETE FROM stream_frame WHERE stream LIKE 'room:%' AND json_extract(body, '$.type') = 'chat_message'
         AND CAST(json_extract(body, '$.data.user_id') AS TEXT) = ?1",
        user,
    )?;
    Ok(())
}

/// What their runs waited for, and what was kept for events that concerned nobody else.
fn waits(connection: &Connection, user: &UserId) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM wait WHERE run IN (SELECT id FROM run WHERE recipient = ?1)",
        "DELETE FROM awaited WHERE run IN (SELECT id FROM run WHERE recipient = ?1)",
        "UPDATE once SET result = 'null' WHERE event IN (SELECT event FROM run WHERE recipient = ?1)
         AND NOT EXISTS (SELECT 1 FROM run WHERE run.event = once.event AND recipient IS NOT ?1)",
    ] {
        change(connection, sql, user)?;
    }
    Ok(())
}

fn change(connection: &Connection, sql: &'static str, user: &UserId) -> rusqlite::Result<u64> {
    Ok(connection.run(sql, [user.as_str()])? as u64)
}

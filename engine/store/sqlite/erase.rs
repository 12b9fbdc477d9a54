use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::collections;
use crate::model::UserId;
use crate::store::Erased;

/// Removes what says who somebody is, and keeps rows that are only counted: runs, messages and
/// attempts stay, without the person. What had not left yet is cancelled.
pub(super) async fn everywhere(
    connection: &mut SqliteConnection,
    user: &UserId,
    now: Timestamp,
) -> sqlx::Result<Option<Erased>> {
    if change(connection, "DELETE FROM user WHERE id = ?1", user).await? == 0 {
        return Ok(None);
    }
    change(connection, "DELETE FROM preference WHERE user = ?1", user).await?;
    change(connection, "DELETE FROM device WHERE user = ?1", user).await?;
    change(connection, "DELETE FROM bounce WHERE user = ?1", user).await?;
    change(connection, "DELETE FROM spending WHERE user = ?1", user).await?;
    let subscriptions =
        change(connection, "DELETE FROM subscription WHERE user = ?1", user).await?;
    let entries = change(connection, "DELETE FROM inbox WHERE user = ?1", user).await?;
    change(connection, "DELETE FROM frame WHERE user = ?1", user).await?;
    let theirs = sqlx::query_scalar("SELECT id FROM run WHERE recipient = ?");
    let theirs = theirs.bind(user.0.clone()).fetch_all(&mut *connection).await?;
    collections::leave(connection, &theirs, now).await?;
    rooms(connection, user).await?;
    // The data of events that concerned nobody else; others still need theirs.
    change(
        connection,
        "UPDATE event SET data = '{}', actor = NULL WHERE id IN (SELECT event FROM run WHERE recipient = ?1)
         AND NOT EXISTS (SELECT 1 FROM run WHERE run.event = event.id AND recipient IS NOT ?1)",
        user,
    )
    .await?;
    change(connection, "UPDATE event SET actor = NULL WHERE actor = ?1", user).await?;
    change(
        connection,
        "UPDATE attempt SET detail = NULL, receipt = NULL WHERE message IN (SELECT id FROM message WHERE recipient = ?1)",
        user,
    )
    .await?;
    change(
        connection,
        "UPDATE decision SET recipient = NULL, rule = NULL, reason = 'the recipient was erased' WHERE recipient = ?1",
        user,
    )
    .await?;
    let messages = change(
        connection,
        "UPDATE message SET recipient = NULL, receipt = NULL, reports = NULL, sent_to = NULL, held = NULL,
           code = CASE WHEN status IN (0, 1) THEN 'cancelled' ELSE code END,
           fence = CASE WHEN status IN (0, 1) THEN NULL ELSE fence END,
           status = CASE WHEN status IN (0, 1) THEN 7 ELSE status END
         WHERE recipient = ?1",
        user,
    )
    .await?;
    waits(connection, user).await?;
    // The key (event, workflow, who) stays unique: the run's own id stands for the person.
    change(
        connection,
        "UPDATE run SET recipient = NULL, who = hex(id), contact = NULL, state = '{}',
           fence = CASE WHEN status IN (0, 1) THEN NULL ELSE fence END,
           status = CASE WHEN status IN (0, 1) THEN 3 ELSE status END
         WHERE recipient = ?1",
        user,
    )
    .await?;
    tracing::info!(at = %now, entries, messages, subscriptions, "a user was erased");
    Ok(Some(Erased { entries, messages, subscriptions }))
}

/// What was said in rooms, by whatever frame it can still be read.
async fn rooms(connection: &mut SqliteConnection, user: &UserId) -> sqlx::Result<()> {
    change(connection, "DELETE FROM member WHERE user = ?1", user).await?;
    change(connection, "DELETE FROM saying WHERE user = ?1", user).await?;
    change(
        connection,
        "DELETE FROM stream_frame WHERE stream LIKE 'room:%' AND json_extract(body, '$.type') = 'chat_message'
         AND CAST(json_extract(body, '$.data.user_id') AS TEXT) = ?1",
        user,
    )
    .await?;
    Ok(())
}

/// What their runs waited for, and what was kept for events that concerned nobody else.
async fn waits(connection: &mut SqliteConnection, user: &UserId) -> sqlx::Result<()> {
    for sql in [
        "DELETE FROM wait WHERE run IN (SELECT id FROM run WHERE recipient = ?1)",
        "DELETE FROM awaited WHERE run IN (SELECT id FROM run WHERE recipient = ?1)",
        "UPDATE once SET result = 'null' WHERE event IN (SELECT event FROM run WHERE recipient = ?1)
         AND NOT EXISTS (SELECT 1 FROM run WHERE run.event = once.event AND recipient IS NOT ?1)",
    ] {
        change(connection, sql, user).await?;
    }
    Ok(())
}

async fn change(
    connection: &mut SqliteConnection,
    sql: &'static str,
    user: &UserId,
) -> sqlx::Result<u64> {
    Ok(sqlx::query(sql).bind(user.0.clone()).execute(connection).await?.rows_affected())
}

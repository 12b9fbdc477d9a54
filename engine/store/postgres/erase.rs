use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{collections, streams};
use crate::model::{Stream, UserId};
use crate::store::Erased;

/// Whatever is theirs alone.
const THEIRS: [&str; 6] = [
    "DELETE FROM preference WHERE user_id = $1",
    "DELETE FROM device WHERE user_id = $1",
    "DELETE FROM bounce WHERE user_id = $1",
    "DELETE FROM spending WHERE user_id = $1",
    "DELETE FROM frame WHERE user_id = $1",
    "DELETE FROM stream WHERE name = 'user:' || $1",
];
/// What was said in rooms, by whatever frame it can still be read.
const SAID: [&str; 3] = [
    "DELETE FROM member WHERE user_id = $1",
    "DELETE FROM saying WHERE user_id = $1",
    "DELETE FROM stream_frame WHERE author = $1",
];
/// What concerned nobody else, and what says that they did something.
const TOLD: [&str; 4] = [
    // Others still need theirs.
    "UPDATE event SET data = '{}', actor = NULL
     WHERE id IN (SELECT event FROM run WHERE recipient = $1) AND NOT EXISTS
       (SELECT FROM run WHERE run.event = event.id AND recipient IS DISTINCT FROM $1)",
    "UPDATE event SET actor = NULL WHERE actor = $1",
    "UPDATE attempt SET detail = NULL, receipt = NULL
     WHERE message IN (SELECT id FROM message WHERE recipient = $1)",
    "UPDATE decision SET recipient = NULL, rule = NULL, reason = 'the recipient was erased'
     WHERE recipient = $1",
];
/// What their runs waited for, and what was kept for events that concerned nobody else; last the
/// runs. The key (event, workflow, who) stays unique: the run's own id stands for the person.
const RUNS: [&str; 4] = [
    "DELETE FROM wait WHERE run IN (SELECT id FROM run WHERE recipient = $1)",
    "DELETE FROM awaited WHERE run IN (SELECT id FROM run WHERE recipient = $1)",
    "UPDATE once SET result = 'null'
     WHERE event IN (SELECT event FROM run WHERE recipient = $1) AND NOT EXISTS
       (SELECT FROM run WHERE run.event = once.event AND recipient IS DISTINCT FROM $1)",
    "UPDATE run SET recipient = NULL, who = id::text, contact = NULL, state = '{}',
       fence = CASE WHEN status IN (0, 1) THEN NULL ELSE fence END,
       status = CASE WHEN status IN (0, 1) THEN 3 ELSE status END
     WHERE recipient = $1",
];

/// Removes what says who somebody is, and keeps rows that are only counted: runs, messages and
/// attempts stay, without the person. What had not left yet is cancelled.
pub(super) async fn everywhere(
    connection: &mut PgConnection,
    user: &UserId,
    now: Timestamp,
) -> sqlx::Result<Option<Erased>> {
    // What other nodes are delivering to them is waited for, and what they are about to is stopped:
    // so nothing comes after it was looked for here.
    let stream = Stream::User(user.clone()).name();
    streams::lock(connection, vec![stream]).await?;
    if change(connection, "DELETE FROM users WHERE id = $1", user).await? == 0 {
        change(connection, "DELETE FROM stream WHERE name = 'user:' || $1 AND head = 0", user)
            .await?;
        return Ok(None);
    }
    change(connection, "SELECT FROM message WHERE recipient = $1 ORDER BY id FOR UPDATE", user)
        .await?;
    let theirs: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM run WHERE recipient = $1 ORDER BY id FOR UPDATE")
            .bind(user.as_str())
            .fetch_all(&mut *connection)
            .await?;
    let subscriptions =
        change(connection, "DELETE FROM subscription WHERE user_id = $1", user).await?;
    let entries = change(connection, "DELETE FROM inbox WHERE user_id = $1", user).await?;
    collections::leave(connection, &theirs, now).await?;
    for sql in THEIRS.into_iter().chain(SAID).chain(TOLD) {
        change(connection, sql, user).await?;
    }
    let messages = change(
        connection,
        "UPDATE message SET recipient = NULL, receipt = NULL, reports = NULL, sent_to = NULL, held = NULL,
           code = CASE WHEN status IN (0, 1) THEN 'cancelled' ELSE code END,
           fence = CASE WHEN status IN (0, 1) THEN NULL ELSE fence END,
           status = CASE WHEN status IN (0, 1) THEN 7 ELSE status END
         WHERE recipient = $1",
        user,
    )
    .await?;
    for sql in RUNS {
        change(connection, sql, user).await?;
    }
    tracing::info!(at = %now, entries, messages, subscriptions, "a user was erased");
    Ok(Some(Erased { entries, messages, subscriptions }))
}

async fn change(
    connection: &mut PgConnection,
    sql: &'static str,
    user: &UserId,
) -> sqlx::Result<u64> {
    Ok(sqlx::query(sql).bind(user.as_str()).execute(connection).await?.rows_affected())
}

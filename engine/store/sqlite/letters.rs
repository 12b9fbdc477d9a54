//! Dead letters on their way again: found by a reader, written a page at a time.

use async_trait::async_trait;
use rusqlite::Connection;
use uuid::Uuid;

use super::decode::millis;
use super::messages::select;
use super::rows::{Statements, only};
use super::{SqliteStore, waits};
use crate::model::{MessageId, Verdict};
use crate::store::{Letters, MessageQuery, Redrive, Result};

#[async_trait]
impl Letters for SqliteStore {
    async fn letters(&self, query: &MessageQuery) -> Result<Vec<MessageId>> {
        let mut sql = select("id", query);
        if let Some(after) = query.after {
            sql.push(" AND id > ").push_bind(after.0);
        }
        sql.push(" ORDER BY id LIMIT ");
        sql.push_bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
        let ids: Vec<Uuid> = sql.build_query_scalar().fetch_all(&self.readers).await?;
        Ok(ids.into_iter().map(Into::into).collect())
    }

    async fn redrive(&self, ids: Vec<MessageId>, redrive: &Redrive) -> Result<u64> {
        if ids.is_empty() {
            return Ok(0);
        }
        let (ids, redrive) = (waits::hex(ids.into_iter().map(|id| id.0)), redrive.clone());
        self.writer.other(move |connection| begin_again(connection, &ids, &redrive)).await
    }
}

fn begin_again(connection: &Connection, ids: &str, redrive: &Redrive) -> rusqlite::Result<u64> {
    let at = millis(redrive.at);
    connection.run(
        "INSERT INTO decision (event, at, workflow, run, message, recipient, step, channel,
           verdict, code, reason)
         SELECT event, ?2, workflow, run, id, recipient, step, channel, ?3, 'redriven', ?4
         FROM message WHERE id IN (SELECT unhex(value) FROM json_each(?1))
           AND status IN (3, 5, 8) ORDER BY id",
        (ids, at, Verdict::Retry as i64, &redrive.reason),
    )?;
    let begun: Vec<Uuid> = connection.all(
        "UPDATE message SET status = 0, due_at = ?2, code = NULL, held = NULL, stopping = 0,
           forgiven = attempt, expires_at = CASE WHEN expires_at > ?2 THEN expires_at END
         WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND status IN (3, 5, 8)
         RETURNING id",
        (ids, at),
        only,
    )?;
    waits::wake_by_messages(connection, begun.iter().copied())?;
    Ok(begun.len() as u64)
}

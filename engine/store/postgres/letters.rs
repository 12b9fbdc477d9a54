//! Dead letters on their way again: found by a reader, written a page at a time.

use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

use super::decode::millis;
use super::messages::select;
use super::{PostgresStore, waits};
use crate::model::{MessageId, Verdict};
use crate::store::{Letters, MessageQuery, Redrive, Result};

#[async_trait]
impl Letters for PostgresStore {
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
        let ids: Vec<Uuid> = ids.into_iter().map(|id| id.0).collect();
        let redrive = redrive.clone();
        self.writer
            .other(move |connection| {
                let (ids, redrive) = (ids.clone(), redrive.clone());
                Box::pin(async move { begin_again(connection, ids, &redrive).await })
            })
            .await
    }
}

async fn begin_again(
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
    redrive: &Redrive,
) -> sqlx::Result<u64> {
    let at = millis(redrive.at);
    // In one order for all who take several, and nobody else's until the end.
    let begun: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM message WHERE id = ANY($1) AND status IN (3, 5, 8) ORDER BY id FOR UPDATE",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    if begun.is_empty() {
        return Ok(0);
    }
    sqlx::query(
        "INSERT INTO decision (event, at, workflow, run, message, recipient, step, channel,
           verdict, code, reason)
         SELECT event, $2, workflow, run, id, recipient, step, channel, $3, 'redriven', $4
         FROM message WHERE id = ANY($1) ORDER BY id",
    )
    .bind(&begun)
    .bind(at)
    .bind(Verdict::Retry as i64)
    .bind(redrive.reason.as_str())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE message SET status = 0, due_at = $2, code = NULL, held = NULL, stopping = false,
           forgiven = attempt, expires_at = CASE WHEN expires_at > $2 THEN expires_at END
         WHERE id = ANY($1)",
    )
    .bind(&begun)
    .bind(at)
    .execute(&mut *connection)
    .await?;
    waits::wake_by_messages(connection, begun.iter().copied()).await?;
    Ok(begun.len() as u64)
}

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::decode::{self, millis};
use super::rows::{Statements, only};
use super::{SqliteStore, ledger, plan, waits};
use crate::model::{Attempt, Decision, Message, MessageId, MessageStatus, Verdict};
use crate::store::{MessageQuery, MessageRecord, Messages, Result};

#[async_trait]
impl Messages for SqliteStore {
    async fn messages(&self, query: &MessageQuery) -> Result<Vec<MessageRecord>> {
        let mut sql = select(decode::MESSAGE, query);
        if let Some(after) = query.after {
            sql.push(" AND id < ").push_bind(after.0);
        }
        sql.push(" ORDER BY id DESC LIMIT ");
        sql.push_bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
        let rows = sql.build().fetch_all(&self.readers).await?;
        self.with_attempts(decode::all(&rows, decode::message)?).await
    }

    async fn count_messages(&self, query: &MessageQuery) -> Result<u64> {
        let mut sql = select("count(*)", query);
        let count: i64 = sql.build_query_scalar().fetch_one(&self.readers).await?;
        Ok(count.unsigned_abs())
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageRecord>> {
        let Some(message) = self.message_row(id).await? else { return Ok(None) };
        Ok(self.with_attempts(vec![message]).await?.pop())
    }

    async fn retry(&self, id: MessageId, now: Timestamp) -> Result<Option<MessageStatus>> {
        let from = &[MessageStatus::Failed, MessageStatus::Unknown, MessageStatus::Expired];
        let sql = "UPDATE message SET status = 0, due_at = ?2, code = NULL, held = NULL, \
                     forgiven = attempt, stopping = 0, \
                     expires_at = CASE WHEN expires_at > ?2 THEN expires_at END \
                   WHERE id = ?1 AND status IN (3, 5, 8)";
        self.by_hand(id, now, sql, from, (Verdict::Retry, "retried", "asked for by hand")).await
    }

    async fn cancel(&self, id: MessageId, now: Timestamp) -> Result<Option<MessageStatus>> {
        let from = &[MessageStatus::Pending, MessageStatus::Leased];
        let sql = "UPDATE message SET status = 7, code = 'cancelled', fence = NULL, \
                     lease_until = NULL WHERE id = ?1 AND status IN (0, 1) AND ?2 IS NOT NULL";
        self.by_hand(id, now, sql, from, (Verdict::Cancel, "cancelled", "asked for by hand")).await
    }
}

type Record = (Verdict, &'static str, &'static str);

impl SqliteStore {
    pub(super) async fn message_row(&self, id: MessageId) -> Result<Option<Message>> {
        let select = format!("SELECT {} FROM message WHERE id = ?", decode::MESSAGE);
        let row = sqlx::query(AssertSqlSafe(select)).bind(id.0).fetch_optional(&self.readers);
        row.await?.as_ref().map(decode::message).transpose()
    }

    /// A change that a person asked for, with its record. Answers the status before.
    async fn by_hand(
        &self,
        id: MessageId,
        now: Timestamp,
        sql: &'static str,
        from: &'static [MessageStatus],
        (verdict, code, reason): Record,
    ) -> Result<Option<MessageStatus>> {
        let Some(MessageRecord { message, .. }) = self.message(id).await? else { return Ok(None) };
        let decision = Decision {
            at: now,
            event: message.event,
            workflow: Some(message.workflow),
            run: Some(message.run),
            message: Some(id),
            recipient: message.recipient,
            step: Some(message.step),
            channel: Some(message.channel),
            verdict,
            code: code.into(),
            reason: reason.into(),
            rule: None,
            until: None,
        };
        let before: i64 = self
            .writer
            .other(move |connection| {
                let before: i64 =
                    connection.one("SELECT status FROM message WHERE id = ?", [id.0], only)?;
                if from.iter().any(|status| *status as i64 == before) {
                    connection.run(sql, (id.0, millis(now)))?;
                    plan::decisions(connection, [&decision])?;
                    if verdict == Verdict::Cancel {
                        ledger::never_sent(connection, id, now)?;
                    }
                    waits::wake_by_messages(connection, [id.0].into_iter())?;
                }
                Ok(before)
            })
            .await?;
        let place = usize::try_from(before).unwrap_or_default();
        Ok(MessageStatus::ALL.get(place).copied())
    }

    pub(super) async fn with_attempts(&self, messages: Vec<Message>) -> Result<Vec<MessageRecord>> {
        let ids: Vec<String> =
            messages.iter().map(|message| message.id.0.simple().to_string()).collect();
        let select = format!(
            "SELECT {} FROM attempt WHERE message IN (SELECT unhex(value) FROM json_each(?))
             ORDER BY message, number",
            decode::ATTEMPT
        );
        let rows =
            sqlx::query(AssertSqlSafe(select)).bind(serde_json::Value::from(ids).to_string());
        let mut attempts: HashMap<MessageId, Vec<Attempt>> = HashMap::new();
        for row in rows.fetch_all(&self.readers).await? {
            let message: Uuid = row.try_get(0)?;
            attempts.entry(message.into()).or_default().push(decode::attempt(&row)?);
        }
        let record = |message: Message| MessageRecord {
            attempts: attempts.remove(&message.id).unwrap_or_default(),
            message,
        };
        Ok(messages.into_iter().map(record).collect())
    }
}

pub(super) fn select(what: &str, query: &MessageQuery) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(format!("SELECT {what} FROM message WHERE 1"));
    // Written out, as the indices of these say it.
    if query.dead {
        sql.push(" AND status IN (3, 5)");
    }
    match query.status {
        Some(MessageStatus::Expired) => _ = sql.push(" AND status = 8"),
        Some(status @ (MessageStatus::Failed | MessageStatus::Unknown)) => {
            sql.push(" AND status IN (3, 5) AND status = ").push_bind(status as i64);
        }
        Some(status) => _ = sql.push(" AND status = ").push_bind(status as i64),
        None => {}
    }
    if let Some(channel) = &query.channel {
        sql.push(" AND channel = ").push_bind(channel.0.clone());
    }
    if let Some(user) = &query.user {
        sql.push(" AND recipient = ").push_bind(user.0.clone());
    }
    if let Some(workflow) = &query.workflow {
        sql.push(" AND workflow = ").push_bind(workflow.0.clone());
    }
    if let Some(provider) = &query.provider {
        sql.push(" AND provider = ").push_bind(provider.0.clone());
    }
    if let Some(code) = &query.code {
        sql.push(" AND code = ").push_bind(code.clone());
    }
    if let Some(until) = query.until {
        sql.push(" AND created_at < ").push_bind(millis(until));
    }
    if let Some(at) = query.in_time_at {
        sql.push(" AND (expires_at IS NULL OR expires_at > ").push_bind(millis(at)).push(")");
    }
    if let Some(since) = query.since {
        sql.push(" AND created_at >= ").push_bind(millis(since));
    }
    sql
}

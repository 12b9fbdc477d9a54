use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder, Row};
use uuid::Uuid;

use super::decode::{self, millis};
use super::rows::each;
use super::{PostgresStore, ledger, plan, waits};
use crate::model::{Attempt, Decision, Message, MessageId, MessageStatus, Verdict};
use crate::store::{MessageQuery, MessageRecord, Messages, Result};

#[async_trait]
impl Messages for PostgresStore {
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
        let sql = "UPDATE message SET status = 0, due_at = $2, code = NULL, held = NULL, \
                     forgiven = attempt, stopping = false, \
                     expires_at = CASE WHEN expires_at > $2 THEN expires_at END \
                   WHERE id = $1 AND status IN (3, 5, 8)";
        self.by_hand(id, now, sql, from, (Verdict::Retry, "retried", "asked for by hand")).await
    }

    async fn cancel(&self, id: MessageId, now: Timestamp) -> Result<Option<MessageStatus>> {
        let from = &[MessageStatus::Pending, MessageStatus::Leased];
        let sql = "UPDATE message SET status = 7, code = 'cancelled', fence = NULL, \
                     lease_until = NULL WHERE id = $1 AND status IN (0, 1)";
        self.by_hand(id, now, sql, from, (Verdict::Cancel, "cancelled", "asked for by hand")).await
    }
}

type Record = (Verdict, &'static str, &'static str);

impl PostgresStore {
    pub(super) async fn message_row(&self, id: MessageId) -> Result<Option<Message>> {
        let select = format!("SELECT {} FROM message WHERE id = $1", decode::MESSAGE);
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
        let before = self
            .writer
            .other(move |connection| {
                let decision = decision.clone();
                Box::pin(async move {
                    let before = status(connection, id).await?;
                    if from.iter().any(|status| *status as i64 == before) {
                        let change = sqlx::query(sql).bind(id.0).bind(millis(now));
                        change.execute(&mut *connection).await?;
                        plan::decisions(connection, &[&decision]).await?;
                        if verdict == Verdict::Cancel {
                            ledger::never_sent(connection, id, now).await?;
                        }
                        waits::wake_by_messages(connection, [id.0].into_iter()).await?;
                    }
                    Ok(before)
                })
            })
            .await?;
        let place = usize::try_from(before).unwrap_or_default();
        Ok(MessageStatus::ALL.get(place).copied())
    }

    pub(super) async fn with_attempts(&self, messages: Vec<Message>) -> Result<Vec<MessageRecord>> {
        let select = format!(
            "SELECT {} FROM attempt WHERE message = ANY($1) ORDER BY message, number",
            decode::ATTEMPT
        );
        let rows = sqlx::query(AssertSqlSafe(select)).bind(each(&messages, |each| each.id.0));
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

/// Nobody else changes it until the transaction's end.
async fn status(connection: &mut PgConnection, id: MessageId) -> sqlx::Result<i64> {
    let status = sqlx::query_scalar("SELECT status FROM message WHERE id = $1 FOR UPDATE");
    status.bind(id.0).fetch_one(connection).await
}

pub(super) fn select(what: &str, query: &MessageQuery) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(format!("SELECT {what} FROM message WHERE true"));
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
        sql.push(" AND channel = ").push_bind(channel.to_string());
    }
    if let Some(user) = &query.user {
        sql.push(" AND recipient = ").push_bind(user.to_string());
    }
    if let Some(workflow) = &query.workflow {
        sql.push(" AND workflow = ").push_bind(workflow.to_string());
    }
    if let Some(provider) = &query.provider {
        sql.push(" AND provider = ").push_bind(provider.to_string());
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

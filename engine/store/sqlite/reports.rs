use async_trait::async_trait;
use rusqlite::Connection;
use sqlx::{AssertSqlSafe, Row};

use super::decode;
use super::rows::Statements;
use super::{SqliteStore, plan, waits};
use crate::model::{Bounce, Decision, Message, ProviderName, Report};
use crate::store::{Reported, Reports, Result, StoreError};

#[async_trait]
impl Reports for SqliteStore {
    async fn reported(&self, provider: &ProviderName, receipt: &str) -> Result<Option<Reported>> {
        let sql = format!(
            "SELECT {}, sent_to FROM message
             WHERE receipt = ? AND provider = ? AND reports IS NOT NULL ORDER BY id DESC LIMIT 1",
            decode::MESSAGE
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(receipt).bind(provider.as_str());
        let Some(row) = row.fetch_optional(&self.readers).await? else { return Ok(None) };
        let message = decode::message(&row)?;
        let address: Vec<u8> = row.try_get("sent_to")?;
        let address = address.try_into().map_err(|_| StoreError::Unreadable {
            noun: "message",
            id: message.id.to_string(),
            why: "`sent_to` is not 32 bytes long".into(),
        })?;
        let sent_to = Bounce { channel: message.channel.clone(), address };
        Ok(Some(Reported { message, sent_to }))
    }

    async fn report(&self, report: &Report) -> Result<bool> {
        let found = self.reported(&report.provider, &report.receipt).await?;
        let Some(Reported { message, .. }) = found else { return Ok(false) };
        let (fate, reason) = (report.fate, report.reason.as_str());
        let decision =
            Decision::of_message(&message, report.at, fate.verdict(), fate.code(), reason);
        let report = report.clone();
        self.writer.other(move |connection| moved(connection, &message, &report, &decision)).await
    }
}

/// Forward alone: what another report, or the same one again, brought about stays.
fn moved(
    connection: &Connection,
    message: &Message,
    report: &Report,
    decision: &Decision,
) -> rusqlite::Result<bool> {
    let from = crate::model::MessageStatus::ALL;
    let from = from.into_iter().filter(|status| report.fate.moves(*status));
    let from = serde_json::Value::from_iter(from.map(|status| status as i64)).to_string();
    let fate = report.fate;
    let done = connection.run(
        "UPDATE message SET status = ?2, code = ?3
         WHERE id = ?1 AND receipt = ?4 AND status IN (SELECT value FROM json_each(?5))",
        (message.id.0, fate.status() as i64, fate.message_code(), &report.receipt, from),
    )?;
    if done == 0 {
        return Ok(false);
    }
    plan::decisions(connection, [decision])?;
    waits::wake_by_messages(connection, [message.id.0].into_iter())?;
    Ok(true)
}

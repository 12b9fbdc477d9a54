use async_trait::async_trait;
use jiff::Timestamp;

use super::SqliteStore;
use super::decode::millis;
use super::rows::Statements;
use crate::store::key::read;
use crate::store::{ApiKey, Keys, Result};

#[async_trait]
impl Keys for SqliteStore {
    async fn put_key(&self, key: &ApiKey) -> Result<bool> {
        let key = key.clone();
        self.writer
            .other(move |connection| {
                let done = connection.run(
                    "INSERT OR IGNORE INTO api_key (name, hash, scopes, created_at) VALUES (?, ?, ?, ?)",
                    (&key.name, key.hash.as_slice(), key.scopes.join(" "), millis(key.created_at)),
                )?;
                Ok(done > 0)
            })
            .await
    }

    async fn keys(&self) -> Result<Vec<ApiKey>> {
        let rows = sqlx::query(
            "SELECT name, hash, scopes, created_at, revoked_at FROM api_key ORDER BY created_at, name",
        );
        rows.fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    async fn revoke_key(&self, name: &str, now: Timestamp) -> Result<bool> {
        let name = name.to_owned();
        self.writer
            .other(move |connection| {
                let sql = "UPDATE api_key SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL";
                Ok(connection.run(sql, (millis(now), &name))? > 0)
            })
            .await
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
        let row = sqlx::query(
            "SELECT name, hash, scopes, created_at, revoked_at FROM api_key
             WHERE hash = ? AND revoked_at IS NULL",
        );
        let row = row.bind(hash.as_slice()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }
}

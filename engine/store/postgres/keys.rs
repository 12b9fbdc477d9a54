use async_trait::async_trait;
use jiff::Timestamp;

use super::PostgresStore;
use super::decode::{self, millis};
use crate::store::key::read;
use crate::store::{ApiKey, Keys, Result};

#[async_trait]
impl Keys for PostgresStore {
    async fn put_key(&self, key: &ApiKey) -> Result<bool> {
        let key = key.clone();
        self.writer
            .other(move |connection| {
                let key = key.clone();
                Box::pin(async move {
                    let insert = sqlx::query(
                        "INSERT INTO api_key (name, hash, scopes, created_at)
                         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                    );
                    let insert = insert.bind(key.name).bind(key.hash.to_vec());
                    let insert = insert.bind(key.scopes.join(" ")).bind(millis(key.created_at));
                    Ok(insert.execute(connection).await?.rows_affected() > 0)
                })
            })
            .await
    }

    async fn keys(&self) -> Result<Vec<ApiKey>> {
        let rows = sqlx::query(
            "SELECT name, hash, scopes, created_at, revoked_at FROM api_key
             ORDER BY created_at, name",
        );
        decode::all(&rows.fetch_all(&self.readers).await?, read)
    }

    async fn revoke_key(&self, name: &str, now: Timestamp) -> Result<bool> {
        let name = name.to_owned();
        self.writer
            .other(move |connection| {
                let name = name.clone();
                Box::pin(async move {
                    let revoke = sqlx::query(
                        "UPDATE api_key SET revoked_at = $1 WHERE name = $2 AND revoked_at IS NULL",
                    );
                    let revoke = revoke.bind(millis(now)).bind(name);
                    Ok(revoke.execute(connection).await?.rows_affected() > 0)
                })
            })
            .await
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
        let row = sqlx::query(
            "SELECT name, hash, scopes, created_at, revoked_at FROM api_key
             WHERE hash = $1 AND revoked_at IS NULL",
        );
        let row = row.bind(hash.as_slice()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }
}

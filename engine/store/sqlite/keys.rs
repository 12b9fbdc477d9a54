use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::decode::millis;
use crate::store::{ApiKey, Keys, Result, StoreError};

#[async_trait]
impl Keys for SqliteStore {
    async fn put_key(&self, key: &ApiKey) -> Result<bool> {
        let key = key.clone();
        self.writer
            .other(move |connection| {
                let key = key.clone();
                Box::pin(async move {
                    let done = sqlx::query(
                        "INSERT OR IGNORE INTO api_key (name, hash, scopes, created_at) VALUES (?, ?, ?, ?)",
                    )
                    .bind(key.name)
                    .bind(key.hash.as_slice())
                    .bind(key.scopes.join(" "))
                    .bind(millis(key.created_at))
                    .execute(connection)
                    .await?;
                    Ok(done.rows_affected() > 0)
                })
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
                let name = name.clone();
                Box::pin(async move {
                    let sql =
                        "UPDATE api_key SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL";
                    let done =
                        sqlx::query(sql).bind(millis(now)).bind(name).execute(connection).await?;
                    Ok(done.rows_affected() > 0)
                })
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

fn read(row: &SqliteRow) -> Result<ApiKey> {
    let name: String = row.try_get(0)?;
    let unreadable = |why: &dyn std::fmt::Display| StoreError::Unreadable {
        noun: "key",
        id: name.clone(),
        why: why.to_string(),
    };
    let time =
        |millis: i64| Timestamp::from_millisecond(millis).map_err(|error| unreadable(&error));
    let hash: Vec<u8> = row.try_get(1)?;
    let scopes: String = row.try_get(2)?;
    Ok(ApiKey {
        hash: hash.try_into().map_err(|_| unreadable(&"the hash is not 32 bytes long"))?,
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        created_at: time(row.try_get(3)?)?,
        revoked_at: row.try_get::<Option<i64>, _>(4)?.map(time).transpose()?,
        name,
    })
}

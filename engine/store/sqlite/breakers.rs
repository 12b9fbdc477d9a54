use async_trait::async_trait;
use jiff::Timestamp;

use super::SqliteStore;
use super::decode::{self, millis};
use crate::model::ProviderName;
use crate::store::breaker::read;
use crate::store::{Breaker, Breakers, Result};

#[async_trait]
impl Breakers for SqliteStore {
    async fn breakers(&self) -> Result<Vec<Breaker>> {
        let rows = sqlx::query(
            "SELECT provider, host, code, since, until, probe_until, openings FROM breaker
             ORDER BY provider, host",
        );
        decode::all(&rows.fetch_all(&self.readers).await?, read)
    }

    async fn open_breaker(&self, breaker: &Breaker) -> Result<()> {
        let breaker = breaker.clone();
        self.writer
            .other(move |connection| {
                let breaker = breaker.clone();
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO breaker (provider, host, code, since, until, openings)
                         VALUES (?, ?, ?, ?, ?, ?)
                         ON CONFLICT (provider, host) DO UPDATE SET code = excluded.code,
                           until = max(until, excluded.until), probe_until = NULL,
                           openings = max(openings, excluded.openings)",
                    )
                    .bind(breaker.provider.as_str())
                    .bind(&breaker.host)
                    .bind(&breaker.code)
                    .bind(millis(breaker.since))
                    .bind(millis(breaker.until))
                    .bind(i64::from(breaker.openings))
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn take_probe(
        &self,
        provider: &ProviderName,
        host: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool> {
        let (provider, host) = (provider.to_string(), host.to_owned());
        self.writer
            .other(move |connection| {
                let (provider, host) = (provider.clone(), host.clone());
                Box::pin(async move {
                    let taken = sqlx::query(
                        "UPDATE breaker SET probe_until = ?4 WHERE provider = ?1 AND host = ?2
                           AND until <= ?3 AND (probe_until IS NULL OR probe_until <= ?3)",
                    )
                    .bind(provider)
                    .bind(host)
                    .bind(millis(now))
                    .bind(millis(until))
                    .execute(connection)
                    .await?;
                    Ok(taken.rows_affected() > 0)
                })
            })
            .await
    }

    async fn close_breaker(&self, provider: &ProviderName, host: &str) -> Result<()> {
        let (provider, host) = (provider.to_string(), host.to_owned());
        self.writer
            .other(move |connection| {
                let (provider, host) = (provider.clone(), host.clone());
                Box::pin(async move {
                    sqlx::query("DELETE FROM breaker WHERE provider = ? AND host = ?")
                        .bind(provider)
                        .bind(host)
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

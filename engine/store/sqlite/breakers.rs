use async_trait::async_trait;
use jiff::Timestamp;

use super::SqliteStore;
use super::decode::{self, millis};
use super::rows::Statements;
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
                connection.run(
                    "INSERT INTO breaker (provider, host, code, since, until, openings)
                     VALUES (?, ?, ?, ?, ?, ?)
                     ON CONFLICT (provider, host) DO UPDATE SET code = excluded.code,
                       until = max(until, excluded.until), probe_until = NULL,
                       openings = max(openings, excluded.openings)",
                    (
                        breaker.provider.as_str(),
                        &breaker.host,
                        &breaker.code,
                        millis(breaker.since),
                        millis(breaker.until),
                        i64::from(breaker.openings),
                    ),
                )?;
                Ok(())
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
                let taken = connection.run(
                    "UPDATE breaker SET probe_until = ?4 WHERE provider = ?1 AND host = ?2
                       AND until <= ?3 AND (probe_until IS NULL OR probe_until <= ?3)",
                    (&provider, &host, millis(now), millis(until)),
                )?;
                Ok(taken > 0)
            })
            .await
    }

    async fn close_breaker(&self, provider: &ProviderName, host: &str) -> Result<()> {
        let (provider, host) = (provider.to_string(), host.to_owned());
        self.writer
            .other(move |connection| {
                let sql = "DELETE FROM breaker WHERE provider = ? AND host = ?";
                connection.run(sql, (&provider, &host))?;
                Ok(())
            })
            .await
    }
}

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row};

use super::SqliteStore;
use super::decode::millis;
use crate::model::{AuditRecord, Deed};
use crate::store::{AuditQuery, Audits, Result, StoreError};

#[async_trait]
impl Audits for SqliteStore {
    async fn record(&self, record: AuditRecord) -> Result<()> {
        self.writer
            .other(move |connection| {
                let record = record.clone();
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO audit (at, who, what, about, detail) VALUES (?, ?, ?, ?, ?)",
                    )
                    .bind(millis(record.at))
                    .bind(record.who)
                    .bind(record.what.as_str())
                    .bind(record.about)
                    .bind(record.detail.to_string())
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<(i64, AuditRecord)>> {
        let mut sql =
            QueryBuilder::new("SELECT seq, at, who, what, about, detail FROM audit WHERE 1");
        if let Some(before) = query.before {
            sql.push(" AND seq < ").push_bind(before);
        }
        if let Some(who) = &query.who {
            sql.push(" AND who = ").push_bind(who.clone());
        }
        if let Some(what) = query.what {
            sql.push(" AND what = ").push_bind(what.as_str());
        }
        if let Some(about) = &query.about {
            sql.push(" AND about = ").push_bind(about.clone());
        }
        if let Some(since) = query.since {
            sql.push(" AND at >= ").push_bind(millis(since));
        }
        sql.push(" ORDER BY seq DESC LIMIT ");
        sql.push_bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
        sql.build().fetch_all(&self.readers).await?.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Result<(i64, AuditRecord)> {
    let number: i64 = row.try_get(0)?;
    let unreadable =
        |why: String| StoreError::Unreadable { noun: "audit record", id: number.to_string(), why };
    let (what, detail): (&str, &str) = (row.try_get(3)?, row.try_get(5)?);
    let record = AuditRecord {
        at: Timestamp::from_millisecond(row.try_get(1)?)
            .map_err(|error| unreadable(error.to_string()))?,
        who: row.try_get(2)?,
        what: Deed::of(what).ok_or_else(|| unreadable(format!("`{what}` is no deed")))?,
        about: row.try_get(4)?,
        detail: serde_json::from_str(detail).map_err(|error| unreadable(error.to_string()))?,
    };
    Ok((number, record))
}

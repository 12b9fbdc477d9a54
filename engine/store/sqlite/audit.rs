use async_trait::async_trait;
use sqlx::QueryBuilder;

use super::SqliteStore;
use super::decode::{self, millis};
use super::rows::Statements;
use crate::model::AuditRecord;
use crate::store::audit::read;
use crate::store::{AuditQuery, Audits, Result};

#[async_trait]
impl Audits for SqliteStore {
    async fn record(&self, record: AuditRecord) -> Result<()> {
        self.writer
            .other(move |connection| {
                let (at, what) = (millis(record.at), record.what.as_str());
                connection.run(
                    "INSERT INTO audit (at, who, what, about, detail) VALUES (?, ?, ?, ?, ?)",
                    (at, &record.who, what, &record.about, record.detail.to_string()),
                )?;
                Ok(())
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
        decode::all(&sql.build().fetch_all(&self.readers).await?, read)
    }
}

use async_trait::async_trait;
use jiff::Timestamp;

use super::columns::Columns;
use super::{Result, StoreError};
use crate::model::{AuditRecord, Deed};

/// Filters of `GET /v1/audit`; newest first, pages by `before`.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    pub who: Option<String>,
    pub what: Option<Deed>,
    pub about: Option<String>,
    pub since: Option<Timestamp>,
    /// The last of the page before.
    pub before: Option<i64>,
    pub limit: usize,
}

/// Who changed what.
#[async_trait]
pub trait Audits {
    async fn record(&self, record: AuditRecord) -> Result<()>;

    /// Each with its number, which grows.
    async fn audit(&self, query: &AuditQuery) -> Result<Vec<(i64, AuditRecord)>>;
}

/// A row of seq, at, who, what, about and detail.
pub(super) fn read(row: &impl Columns) -> Result<(i64, AuditRecord)> {
    let number = row.number(0)?;
    let unreadable =
        |why: String| StoreError::Unreadable { noun: "audit record", id: number.to_string(), why };
    let (what, detail) = (row.text(3)?, row.text(5)?);
    let record = AuditRecord {
        at: Timestamp::from_millisecond(row.number(1)?)
            .map_err(|error| unreadable(error.to_string()))?,
        who: row.text(2)?.into(),
        what: Deed::of(what).ok_or_else(|| unreadable(format!("`{what}` is no deed")))?,
        about: row.text(4)?.into(),
        detail: serde_json::from_str(detail).map_err(|error| unreadable(error.to_string()))?,
    };
    Ok((number, record))
}

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
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

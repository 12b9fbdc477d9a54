use async_trait::async_trait;

use super::MemoryStore;
use crate::model::AuditRecord;
use crate::store::{AuditQuery, Audits, Result};

#[async_trait]
impl Audits for MemoryStore {
    async fn record(&self, record: AuditRecord) -> Result<()> {
        self.state().audit.push(record);
        Ok(())
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<(i64, AuditRecord)>> {
        let state = self.state();
        let numbered = state.audit.iter().zip(1..=i64::MAX);
        let numbered: Vec<_> = numbered.map(|(record, number)| (number, record)).collect();
        let found = numbered.into_iter().rev().filter(|(number, record)| {
            query.before.is_none_or(|before| *number < before)
                && query.who.as_ref().is_none_or(|who| *who == record.who)
                && query.what.is_none_or(|what| what == record.what)
                && query.about.as_ref().is_none_or(|about| *about == record.about)
                && query.since.is_none_or(|since| record.at >= since)
        });
        Ok(found.take(query.limit).map(|(number, record)| (number, record.clone())).collect())
    }
}

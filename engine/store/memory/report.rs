use async_trait::async_trait;

use super::{MemoryStore, MessageRow, State};
use crate::model::{Decision, ProviderName, Report};
use crate::store::{Reported, Reports, Result};

#[async_trait]
impl Reports for MemoryStore {
    async fn reported(&self, provider: &ProviderName, receipt: &str) -> Result<Option<Reported>> {
        let mut state = self.state();
        let row = state.reported_row(provider, receipt);
        Ok(row.and_then(|row| {
            let sent_to = row.expected.as_ref()?.sent_to.clone();
            Some(Reported { message: row.message.clone(), sent_to })
        }))
    }

    async fn report(&self, report: &Report) -> Result<bool> {
        Ok(self.state().report(report).is_some())
    }
}

impl State {
    fn reported_row(&mut self, provider: &ProviderName, receipt: &str) -> Option<&mut MessageRow> {
        self.messages.values_mut().find(|row| {
            row.expected.is_some()
                && row.message.provider.as_ref() == Some(provider)
                && row.message.receipt.as_deref() == Some(receipt)
        })
    }

    fn report(&mut self, report: &Report) -> Option<()> {
        let fate = report.fate;
        let message = &mut self.reported_row(&report.provider, &report.receipt)?.message;
        if !fate.moves(message.status) {
            return None;
        }
        message.status = fate.status();
        message.code = fate.message_code().map(str::to_owned);
        let (id, reason) = (message.id, report.reason.as_str());
        let decision =
            Decision::of_message(message, report.at, fate.verdict(), fate.code(), reason);
        self.schedule_message(id);
        self.add_decisions([decision]);
        Some(())
    }
}

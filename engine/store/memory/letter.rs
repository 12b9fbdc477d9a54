use async_trait::async_trait;
use jiff::Timestamp;

use super::message::matches;
use super::{MemoryStore, State};
use crate::model::{Decision, MessageId, MessageStatus, Verdict};
use crate::store::{Letters, MessageQuery, Redrive, Result};

#[async_trait]
impl Letters for MemoryStore {
    async fn letters(&self, query: &MessageQuery) -> Result<Vec<MessageId>> {
        let state = self.state();
        let asked = MessageQuery { after: None, ..query.clone() };
        let oldest_first = state.messages.values().map(|row| &row.message);
        let found = oldest_first
            .filter(|message| query.after.is_none_or(|after| message.id > after))
            .filter(|message| matches(&asked, message));
        Ok(found.take(query.limit).map(|message| message.id).collect())
    }

    async fn redrive(&self, ids: Vec<MessageId>, redrive: &Redrive) -> Result<u64> {
        let mut state = self.state();
        let begun = ids
            .into_iter()
            .filter(|id| state.begin_again(*id, redrive.at, "redriven", &redrive.reason));
        Ok(begun.count() as u64)
    }
}

impl State {
    /// Makes a failed, unknown or expired message due, with a new budget of attempts.
    pub(super) fn begin_again(
        &mut self,
        id: MessageId,
        now: Timestamp,
        code: &'static str,
        reason: &str,
    ) -> bool {
        use MessageStatus::{Expired, Failed, Pending, Unknown};

        let Some(row) = self.messages.get_mut(&id) else { return false };
        let message = &mut row.message;
        if !matches!(message.status, Failed | Unknown | Expired) {
            return false;
        }
        message.status = Pending;
        message.due_at = now;
        message.code = None;
        message.forgiven = message.attempt;
        row.stopping = false;
        // Who asks for it now means it to leave now.
        message.expires_at = message.expires_at.filter(|&end| end > now);
        let decision = Decision::of_message(message, now, Verdict::Retry, code, reason);
        self.schedule_message(id);
        self.add_decisions([decision]);
        true
    }
}

use async_trait::async_trait;
use jiff::Timestamp;

use super::{MemoryStore, MessageRow, State};
use crate::model::{Decision, Message, MessageId, MessageStatus, Verdict};
use crate::store::{MessageQuery, MessageRecord, Messages, Result};

#[async_trait]
impl Messages for MemoryStore {
    async fn messages(&self, query: &MessageQuery) -> Result<Vec<MessageRecord>> {
        let state = self.state();
        let newest_first = state.messages.values().rev();
        let found = newest_first.filter(|row| matches(query, &row.message)).take(query.limit);
        Ok(found.map(MessageRow::record).collect())
    }

    async fn count_messages(&self, query: &MessageQuery) -> Result<u64> {
        let state = self.state();
        let query = MessageQuery { after: None, ..query.clone() };
        Ok(state.messages.values().filter(|row| matches(&query, &row.message)).count() as u64)
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageRecord>> {
        Ok(self.state().messages.get(&id).map(MessageRow::record))
    }

    async fn retry(&self, id: MessageId, now: Timestamp) -> Result<Option<MessageStatus>> {
        Ok(self.state().retry(id, now))
    }

    async fn cancel(&self, id: MessageId, now: Timestamp) -> Result<Option<MessageStatus>> {
        Ok(self.state().cancel(id, now))
    }
}

impl State {
    fn retry(&mut self, id: MessageId, now: Timestamp) -> Option<MessageStatus> {
        let before = self.messages.get(&id)?.message.status;
        self.begin_again(id, now, "retried", "asked for by hand");
        Some(before)
    }

    pub(super) fn cancel(&mut self, id: MessageId, now: Timestamp) -> Option<MessageStatus> {
        let MessageRow { message, .. } = self.messages.get_mut(&id)?;
        let before = message.status;
        if matches!(before, MessageStatus::Pending | MessageStatus::Leased) {
            message.status = MessageStatus::Cancelled;
            message.code = Some("cancelled".into());
            let decision = cancelled(message, now);
            self.schedule_message(id);
            self.never_sent(id, now);
            self.add_decisions([decision]);
        }
        Some(before)
    }
}

impl MessageRow {
    /// So its provider reports, or it is in the inbox, or taken where nothing is reported.
    pub(super) fn is_delivered(&self) -> bool {
        self.message.status.is_sent() && !self.is_underway()
    }

    /// Taken by a provider that is to report its delivery, and has not.
    pub(super) fn is_underway(&self) -> bool {
        let reports = self.expected.as_ref().is_some_and(|expected| expected.delivery);
        self.message.status == MessageStatus::Sent && reports
    }

    pub(super) fn record(&self) -> MessageRecord {
        MessageRecord { message: self.message.clone(), attempts: self.attempts.clone() }
    }
}

pub(super) fn matches(query: &MessageQuery, message: &Message) -> bool {
    fn is<T: PartialEq>(asked: &Option<T>, found: &T) -> bool {
        asked.as_ref().is_none_or(|asked| asked == found)
    }
    is(&query.status, &message.status)
        && is(&query.channel, &message.channel)
        && is(&query.workflow, &message.workflow)
        && (query.user.is_none() || query.user == message.recipient)
        && (query.provider.is_none() || query.provider == message.provider)
        && (query.code.is_none() || query.code == message.code)
        && (!query.dead || message.status.is_dead_letter())
        && query.until.is_none_or(|until| message.created_at < until)
        && query.in_time_at.is_none_or(|at| message.expires_at.is_none_or(|end| end > at))
        && query.since.is_none_or(|since| message.created_at >= since)
        && query.after.is_none_or(|after| message.id < after)
}

fn cancelled(message: &Message, at: Timestamp) -> Decision {
    Decision {
        at,
        event: message.event,
        workflow: Some(message.workflow.clone()),
        run: Some(message.run),
        message: Some(message.id),
        recipient: message.recipient.clone(),
        step: Some(message.step.clone()),
        channel: Some(message.channel.clone()),
        verdict: Verdict::Cancel,
        code: "cancelled".into(),
        reason: "cancelled before it left".into(),
        rule: None,
        until: None,
    }
}

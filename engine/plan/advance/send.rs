use super::{Machine, Then};
use crate::model::{ChannelName, Lane, Message, MessageStatus, Span};
use crate::plan::{Failed, state};
use crate::workflow::Step;
use crate::workflow::step::Send;

impl Machine<'_> {
    pub(super) fn send(&mut self, step: &Step, send: &Send) -> Result<Then, Failed> {
        for channel in &send.channels {
            let message = self.message(step, send, channel);
            self.steps.messages.push(message);
        }
        state::status(self.run, step, "planned");
        Ok(Then::Next)
    }

    pub(super) fn message(&self, step: &Step, send: &Send, channel: &ChannelName) -> Message {
        let now = self.now();
        let lasts = send.expires.or(self.around.workflow.expires);
        Message {
            id: self.around.clock.id(),
            event: self.run.event,
            run: self.run.id,
            step: step.path.clone(),
            item: self.item,
            channel: channel.clone(),
            recipient: self.run.recipient.clone(),
            workflow: self.run.workflow.clone(),
            category: self.around.workflow.category.clone(),
            priority: self.run.priority,
            lane: Lane::of(&self.around.event.tenant),
            status: MessageStatus::Pending,
            due_at: now,
            expires_at: lasts.map(|Span(lasts)| self.around.clock.after(lasts)),
            attempt: 0,
            forgiven: 0,
            provider: None,
            receipt: None,
            code: None,
            created_at: now,
        }
    }
}

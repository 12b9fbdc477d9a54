use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::MemoryStore;
use crate::model::{MessageStatus, RunStatus};
use crate::store::{Calendar, CalendarQuery, Due, Planned, Result};

#[async_trait]
impl Calendar for MemoryStore {
    async fn calendar(&self, query: &CalendarQuery) -> Result<Vec<Planned>> {
        let state = self.state();
        let events = state.due_events.waiting().filter_map(|(id, at)| {
            let unasked = query.user.is_none() && query.workflow.is_none();
            unasked.then_some(Planned { at, event: id, due: Due::Event })
        });
        let runs = state.runs.values().filter_map(|row| {
            let run = &row.run;
            let at = run.wake_at.filter(|_| run.status == RunStatus::Waiting)?;
            let asked = query.asks_for(run.recipient.as_ref(), &run.workflow);
            asked.then(|| Planned {
                at,
                event: run.event,
                due: Due::Run(Box::new((**run).clone())),
            })
        });
        let messages = state.messages.values().filter_map(|row| {
            let message = &row.message;
            let asked = query.asks_for(message.recipient.as_ref(), &message.workflow);
            (asked && message.status == MessageStatus::Pending).then(|| Planned {
                at: message.due_at,
                event: message.event,
                due: Due::Message {
                    message: message.id,
                    run: message.run,
                    user: message.recipient.clone(),
                    workflow: message.workflow.clone(),
                    step: message.step.clone(),
                    channel: message.channel.clone(),
                    code: message.code.clone(),
                },
            })
        });
        let mut all: Vec<Planned> = events.chain(runs).chain(messages).collect();
        all.retain(|planned| {
            (query.from..query.until).contains(&planned.at)
                && query.after.is_none_or(|after| key(planned) > after)
        });
        all.sort_by_key(key);
        all.truncate(query.limit);
        Ok(all)
    }
}

fn key(planned: &Planned) -> (Timestamp, Uuid) {
    (planned.at, planned.id())
}

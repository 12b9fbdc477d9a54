use std::sync::Arc;

use async_trait::async_trait;

use super::{MemoryStore, State};
use crate::model::{EventId, MessageId, MessageStatus, RunId, RunStatus, WorkflowName};
use crate::store::{Result, Stop, Stopped, Stops};

#[async_trait]
impl Stops for MemoryStore {
    async fn stop(&self, order: Stop) -> Result<Stopped> {
        Ok(self.state().stop(&order))
    }
}

impl State {
    pub(super) fn stop(&mut self, order: &Stop) -> Stopped {
        let mut stopped = Stopped::default();
        let meant: Vec<RunId> =
            self.runs.iter().filter(|(_, row)| self.means(order, row)).map(|(id, _)| *id).collect();
        for run in meant {
            let messages = self.runs.get(&run).map(|row| row.messages.clone()).unwrap_or_default();
            for message in messages {
                self.stop_message(order, message, &mut stopped);
            }
            self.stop_run(order, run, &mut stopped);
        }
        let mut decisions = Vec::new();
        for (event, row) in self.events.range_mut(..order.before) {
            if row.event.tenant != order.tenant {
                continue;
            }
            for (unplanned, is_stopped) in &mut row.unplanned {
                let workflow = &unplanned.workflow;
                let meant = order.workflow.as_ref().is_none_or(|asked| asked == workflow);
                if meant && unplanned.key == order.key && !*is_stopped {
                    *is_stopped = true;
                    decisions.push(order.record_unplanned(*event, workflow));
                    stopped.unplanned.push((*event, workflow.clone()));
                }
            }
        }
        self.add_decisions(decisions);
        stopped
    }

    /// The workflows of `event` that were stopped before they had told everybody.
    pub(super) fn stopped_of(&self, event: EventId) -> Vec<WorkflowName> {
        let Some(row) = self.events.get(&event) else { return Vec::new() };
        let stopped = row.unplanned.iter().filter(|(_, stopped)| *stopped);
        stopped.map(|(unplanned, _)| unplanned.workflow.clone()).collect()
    }

    fn means(&self, order: &Stop, row: &super::RunRow) -> bool {
        order.means(&row.run)
            && self.events.get(&row.run.event).is_some_and(|row| row.event.tenant == order.tenant)
    }

    fn stop_message(&mut self, order: &Stop, id: MessageId, stopped: &mut Stopped) {
        let waits = |leader: &MessageId| {
            self.messages.get(leader).is_some_and(|row| {
                matches!(row.message.status, MessageStatus::Pending | MessageStatus::Leased)
            })
        };
        let gathered =
            self.messages.get(&id).and_then(|row| row.gathered_by).as_ref().is_some_and(waits);
        let Some(row) = self.messages.get_mut(&id) else { return };
        match row.message.status {
            MessageStatus::Suppressed if !gathered => return,
            MessageStatus::Pending | MessageStatus::Leased | MessageStatus::Suppressed => {
                row.gathered_by = None;
                row.message.status = MessageStatus::Cancelled;
                row.message.code = Some("cancelled".into());
                stopped.messages.push(id);
            }
            MessageStatus::Sending if !row.stopping => stopped.leaving.push(id),
            _ => return,
        }
        row.stopping = true;
        let decision = order.record_message(&row.message);
        if row.message.status == MessageStatus::Cancelled {
            self.schedule_message(id);
            self.never_sent(id, order.at);
        }
        self.add_decisions([decision]);
    }

    fn stop_run(&mut self, order: &Stop, id: RunId, stopped: &mut Stopped) {
        let Some(row) = self.runs.get_mut(&id) else { return };
        if !matches!(row.run.status, RunStatus::Waiting | RunStatus::Running) {
            return;
        }
        let run = Arc::make_mut(&mut row.run);
        run.status = RunStatus::Cancelled;
        run.position = None;
        run.wake_at = None;
        let decision = order.record_run(run);
        stopped.runs.push(id);
        self.schedule_run(id);
        stopped.batches.append(&mut self.leave(&[id], order.at));
        self.forget_waits(&[id]);
        self.add_decisions([decision]);
    }
}

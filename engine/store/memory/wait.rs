use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{EventRow, MemoryStore, State};
use crate::model::{
    Awaited, ChannelName, Event, EventId, Match, Message, MessageStatus, Reached, Run, RunId,
    RunStatus, StepPath, Version, Wait, WorkflowName,
};
use crate::store::{AWAITED, Concluded, Result, Waiting, Waits};

pub(super) struct WaitRow {
    wait: Wait,
    /// How many events had been accepted when it began: those do not count.
    accepted: usize,
    matched: Option<Option<EventId>>,
    concluded: bool,
}

#[async_trait]
impl Waits for MemoryStore {
    async fn is_awaited(&self, event: &Event) -> Result<bool> {
        let state = self.state();
        Ok(state.events.get(&event.id).is_some_and(|row| state.waiting_for(row).next().is_some()))
    }

    async fn awaiting(&self, event: &Event) -> Result<Vec<(WorkflowName, Version)>> {
        let state = self.state();
        let Some(row) = state.events.get(&event.id) else { return Ok(Vec::new()) };
        let by_key = state.waiting_for(row).filter_map(|wait| match &wait.awaited {
            Awaited::Event { workflow, version, key: Some(_), .. } => {
                Some((workflow.clone(), version.clone()))
            }
            _ => None,
        });
        let mut versions: Vec<_> = by_key.collect();
        versions.sort();
        versions.dedup();
        Ok(versions)
    }

    async fn waiting_by_key(
        &self,
        event: &Event,
        version: &Version,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Match>> {
        let state = self.state();
        let Some(row) = state.events.get(&event.id) else { return Ok(Vec::new()) };
        let keyed = state.waiting_for(row).filter(|wait| {
            matches!(&wait.awaited, Awaited::Event { version: of, key: Some(own), .. }
                if of == version && own == key)
        });
        let found = keyed.map(|wait| Match {
            run: wait.run,
            step: wait.step.clone(),
            item: wait.item,
            event: event.id,
        });
        Ok(found.take(limit).collect())
    }

    async fn waiting_by_match(
        &self,
        event: &Event,
        after: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<Waiting>> {
        let state = self.state();
        let Some(row) = state.events.get(&event.id) else { return Ok(Vec::new()) };
        let asking = state.waiting_for(row).filter(|wait| {
            after.is_none_or(|after| wait.run > after)
                && matches!(wait.awaited, Awaited::Event { key: None, .. })
        });
        let waiting = asking.filter_map(|wait| {
            let run = &state.runs.get(&wait.run)?.run;
            Some(Waiting {
                run: Run::clone(run),
                event: state.events.get(&run.event)?.event.clone(),
                step: wait.step.clone(),
                item: wait.item,
            })
        });
        Ok(waiting.take(limit).collect())
    }

    async fn conclude(&self, run: RunId, step: &StepPath, item: u32) -> Result<Concluded> {
        let mut state = self.state();
        let row = state.waits.get_mut(&run);
        let Some(row) = row.filter(|row| row.wait.step == *step && row.wait.item == item) else {
            return Ok(Concluded::Unmatched);
        };
        row.concluded = true;
        Ok(row.matched.map_or(Concluded::Unmatched, Concluded::Matched))
    }
}

impl State {
    /// `is_new`: the run is made in the same write, so that all that came after its own event
    /// counts.
    pub(super) fn begin_wait(&mut self, wait: Wait, is_new: bool) {
        let Some(row) = self.runs.get(&wait.run) else { return };
        let own = self.events.get(&row.run.event).map(|event| event.accepted);
        let accepted = own.filter(|_| is_new).unwrap_or(self.events.len());
        let run = wait.run;
        self.waits.insert(run, WaitRow { wait, accepted, matched: None, concluded: false });
        self.wake_by_state(run);
    }

    pub(super) fn forget_waits(&mut self, runs: &[RunId]) {
        for run in runs {
            self.waits.remove(run);
        }
    }

    /// Where planning goes on for an event that some run waits for.
    pub(super) fn if_awaited(&self, id: EventId) -> Option<(Timestamp, String)> {
        let row = self.events.get(&id)?;
        self.waiting_for(row).next()?;
        Some((row.event.received_at, AWAITED.to_owned()))
    }

    pub(super) fn match_wait(&mut self, found: &Match) {
        if let Some(row) = self.waits.get_mut(&found.run)
            && row.is_open()
            && matches!(row.wait.awaited, Awaited::Event { .. })
            && (&row.wait.step, row.wait.item) == (&found.step, found.item)
        {
            row.matched = Some(Some(found.event));
            self.end_wait(found.run);
        }
    }

    /// Wakes the run if the messages or the entry that it waits for are as it wants them.
    pub(super) fn wake_by_state(&mut self, run: RunId) {
        let Some(row) = self.waits.get(&run).filter(|row| row.is_open()) else { return };
        if !self.holds(run, &row.wait.awaited) {
            return;
        }
        if let Some(row) = self.waits.get_mut(&run) {
            row.matched = Some(None);
        }
        self.end_wait(run);
    }

    fn holds(&self, run: RunId, awaited: &Awaited) -> bool {
        let Awaited::Message { step, item, channel, state } = awaited else { return false };
        let messages = self.runs.get(&run).map(|row| row.messages.as_slice()).unwrap_or_default();
        let messages = messages.iter().filter_map(|id| self.messages.get(id));
        let mut meant =
            messages.filter(|row| is_meant(&row.message, step, *item, channel.as_ref()));
        let is_read = || self.entries.get(&run).is_some_and(|entry| entry.read_at.is_some());
        match state {
            Reached::Delivered => meant.any(super::MessageRow::is_delivered),
            Reached::Read => is_read(),
            Reached::Ended => meant.all(|row| row.message.status.is_final()),
            Reached::ReadOrLost => {
                let is_lost = |status: MessageStatus| status.is_final() && !status.is_sent();
                is_read() || meant.all(|row| is_lost(row.message.status))
            }
            Reached::DeliveredOrLost => {
                meant.all(|row| row.message.status.is_final() && !row.is_underway())
            }
        }
    }

    fn end_wait(&mut self, id: RunId) {
        let Some(row) = self.runs.get_mut(&id) else { return };
        let Some(wait) = self.waits.get(&id) else { return };
        if row.run.status == RunStatus::Waiting {
            Arc::make_mut(&mut row.run).wake_at = Some(wait.wait.began_at);
            self.schedule_run(id);
        }
    }

    /// Open waits that the event might end, in the order of their runs.
    fn waiting_for<'s>(&'s self, row: &'s EventRow) -> impl Iterator<Item = &'s Wait> {
        let event = &row.event;
        let all = self.waits.range((Bound::<RunId>::Unbounded, Bound::Unbounded));
        let open = all.map(|(_, wait)| wait).filter(move |wait| {
            let is_later = row.accepted > wait.accepted || event.at > wait.wait.began_at;
            wait.is_open() && is_later && wait.wait.expects(event)
        });
        open.map(|wait| &wait.wait)
    }
}

impl WaitRow {
    fn is_open(&self) -> bool {
        self.matched.is_none() && !self.concluded
    }
}

fn is_meant(
    message: &Message,
    step: &StepPath,
    item: Option<u32>,
    channel: Option<&ChannelName>,
) -> bool {
    message.step == *step
        && item.is_none_or(|item| message.item == item)
        && channel.is_none_or(|channel| message.channel == *channel)
}

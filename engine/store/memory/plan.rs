use std::collections::HashSet;
use std::sync::Arc;

use super::{EventRow, MessageKey, MessageRow, RunKey, RunRow, State};
use crate::model::{
    Attempt, Decision, Entry, EventId, EventStatus, Frame, Message, MessageId, MessageStatus,
    Priority, Run, RunId, RunStatus,
};
use crate::store::Plan;

impl State {
    /// Writes a plan. A run or message whose key is taken was planned before: it is left out, with
    /// all that hangs on it.
    pub(super) fn write(&mut self, plan: Plan) -> Vec<Frame> {
        for stop in &plan.stops {
            self.stop(stop);
        }
        let new_runs: HashSet<RunId> = plan.runs.iter().map(|run| run.id).collect();
        let mut old_runs = HashSet::new();
        let mut old_messages = HashSet::new();
        for run in plan.runs {
            let id = run.id;
            if !self.add_run(run) {
                old_runs.insert(id);
            }
        }
        for message in plan.messages {
            let id = message.id;
            if old_runs.contains(&message.run) || !self.add_message(message) {
                old_messages.insert(id);
            }
        }
        let mut frames = Vec::new();
        for (entry, attempt) in plan.delivered {
            if !old_messages.contains(&attempt.message) {
                self.add_attempt(attempt);
                frames.extend(self.add_entry(entry));
            }
        }
        self.add_decisions(plan.decisions.into_iter().filter(|decision| {
            decision.run.is_none_or(|run| !old_runs.contains(&run))
                && decision.message.is_none_or(|message| !old_messages.contains(&message))
        }));
        for emitted in plan.events {
            self.accept(emitted);
        }
        for unplanned in plan.unplanned {
            if let Some(row) = self.events.get_mut(&unplanned.event)
                && row.unplanned.iter().all(|(known, _)| known.workflow != unplanned.workflow)
            {
                row.unplanned.push((unplanned, false));
            }
        }
        for join in plan.joins.iter().filter(|join| !old_runs.contains(&join.occasion.run)) {
            let decision = self.join(join);
            self.add_decisions(decision);
        }
        for occasion in &plan.closes {
            self.close(occasion);
        }
        for &(run, at) in &plan.leaves {
            self.leave(&[run], at);
        }
        for publication in plan.publications {
            if publication.decision.run.is_none_or(|run| !old_runs.contains(&run)) {
                frames.extend(self.publish_once(publication));
            }
        }
        for wait in plan.waits {
            if !old_runs.contains(&wait.run) {
                let is_new = new_runs.contains(&wait.run);
                self.begin_wait(wait, is_new);
            }
        }
        for found in plan.matches {
            self.match_wait(&found);
        }
        frames
    }

    /// What remains to be planned of an event falls due, or the event is planned.
    pub(super) fn plan_on(&mut self, id: EventId, more: Option<(jiff::Timestamp, String)>) {
        let Some(row) = self.events.get_mut(&id) else { return };
        match more {
            Some((at, cursor)) => {
                row.status = EventStatus::Waiting;
                row.cursor = Some(cursor);
                self.due_events.wait(id, Priority::Medium, at);
            }
            None => {
                row.status = EventStatus::Planned;
                row.cursor = None;
                row.unplanned.clear();
                self.due_events.rest(id);
            }
        }
        self.due_events.progressed(id);
    }

    /// The run is due at its `wake_at`, if it waits for one.
    pub(super) fn schedule_run(&mut self, id: RunId) {
        let Some(row) = self.runs.get(&id) else { return };
        match row.run.wake_at {
            Some(at) if row.run.status == RunStatus::Waiting => {
                self.due_runs.wait(id, row.run.priority, at);
            }
            _ => self.due_runs.rest(id),
        }
        self.due_runs.progressed(id);
    }

    /// The message got somewhere, and is due at its `due_at` if it is to be sent.
    pub(super) fn schedule_message(&mut self, id: MessageId) {
        self.place_message(id);
        self.due_messages.progressed(id);
    }

    /// The message is due at its `due_at`, if it is to be sent. Its claims are still counted.
    pub(super) fn place_message(&mut self, id: MessageId) {
        let Some(MessageRow { message, .. }) = self.messages.get(&id) else { return };
        let run = message.run;
        if message.status == MessageStatus::Pending {
            self.due_messages.wait(id, message.priority, message.due_at);
        } else {
            self.due_messages.rest(id);
        }
        self.wake_by_state(run);
    }

    pub(super) fn add_decisions(&mut self, decisions: impl IntoIterator<Item = Decision>) {
        for decision in decisions {
            if let Some(row) = self.events.get_mut(&decision.event) {
                row.decisions.push(decision);
            }
        }
    }

    /// Journals a try; a number that the message has already is the same try told twice.
    pub(super) fn add_attempt(&mut self, attempt: Attempt) {
        if let Some(row) = self.messages.get_mut(&attempt.message)
            && row.attempts.iter().all(|known| known.number != attempt.number)
        {
            row.message.attempt = row.message.attempt.max(attempt.number);
            row.attempts.push(attempt);
        }
    }

    /// Gives the entry its place in the user's stream, unless its run had one before.
    pub(super) fn add_entry(&mut self, mut entry: Entry) -> Option<Frame> {
        let row = self.runs.get_mut(&entry.id)?;
        if std::mem::replace(&mut row.entered, true) {
            return None;
        }
        let frame = self.streams.entry(entry.user.clone()).or_default().enter(&mut entry);
        self.entries.insert(entry.id, entry);
        Some(frame)
    }

    fn add_run(&mut self, run: Run) -> bool {
        let id = run.id;
        let Some(EventRow { runs, .. }) = self.events.get_mut(&run.event) else { return false };
        if self.runs.contains_key(&id) || !self.run_keys.insert(run_key(&run)) {
            return false;
        }
        runs.push(id);
        let row = RunRow { run: Arc::new(run), messages: Vec::new(), entered: false };
        self.runs.insert(id, row);
        self.schedule_run(id);
        true
    }

    fn add_message(&mut self, message: Message) -> bool {
        let id = message.id;
        let Some(RunRow { messages, .. }) = self.runs.get_mut(&message.run) else { return false };
        if self.messages.contains_key(&id) || !self.message_keys.insert(message_key(&message)) {
            return false;
        }
        messages.push(id);
        let row = MessageRow {
            message,
            departed_at: None,
            attempts: Vec::new(),
            stopping: false,
            gathers: None,
            gathered_by: None,
            expected: None,
        };
        self.messages.insert(id, row);
        self.schedule_message(id);
        true
    }
}

/// A contact is nobody's id: its fields stand for it.
pub(super) fn run_key(run: &Run) -> RunKey {
    let recipient = match (&run.recipient, &run.contact) {
        (Some(user), _) => format!("user {user}"),
        (None, Some(contact)) => format!("contact {contact}"),
        (None, None) => String::new(),
    };
    (run.event, run.workflow.clone(), recipient)
}

pub(super) fn message_key(message: &Message) -> MessageKey {
    (message.run, message.step.clone(), message.item, message.channel.clone())
}

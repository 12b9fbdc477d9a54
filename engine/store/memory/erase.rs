use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::State;
use super::plan::run_key;
use crate::model::{EventId, FrameBody, MessageId, Run, RunId, RunStatus, UserId};
use crate::store::Erased;

impl State {
    /// Erases a person: the profile, the choices, the inbox with its stream and the subscriptions
    /// go; runs, messages and the journal stay as counts of nobody. What was still to be sent is
    /// cancelled. An event that spoke to this person alone loses its data.
    pub(super) fn erase(&mut self, id: &UserId, now: Timestamp) -> Option<Erased> {
        let known = self.users.remove(id).is_some();
        let chose = self.preferences.remove(id).is_some();
        self.streams.remove(id);
        self.erase_devices(id);
        self.spending.remove(id);
        let erased = Erased {
            entries: self.erase_entries(id),
            messages: self.erase_messages(id, now),
            subscriptions: self.erase_subscriptions(id),
        };
        let events = self.erase_runs(id, now);
        self.erase_events(id, &events);
        (known || chose || erased != Erased::default()).then_some(erased)
    }

    fn erase_entries(&mut self, id: &UserId) -> u64 {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.user != *id);
        (before - self.entries.len()) as u64
    }

    fn erase_messages(&mut self, id: &UserId, now: Timestamp) -> u64 {
        let theirs =
            self.messages.iter().filter(|(_, row)| row.message.recipient.as_ref() == Some(id));
        let theirs: Vec<MessageId> = theirs.map(|(&id, _)| id).collect();
        for &id in &theirs {
            self.cancel(id, now);
            let Some(row) = self.messages.get_mut(&id) else { continue };
            row.message.recipient = None;
            row.message.receipt = None;
            row.expected = None;
            for attempt in &mut row.attempts {
                attempt.detail = None;
                attempt.receipt = None;
            }
        }
        self.put_off.remove(id);
        theirs.len() as u64
    }

    fn erase_subscriptions(&mut self, id: &UserId) -> u64 {
        for room in self.rooms.values_mut() {
            room.members.remove(id);
            room.said.retain(|_, saying| saying.user != *id);
        }
        for kept in self.kept.values_mut() {
            kept.frames.retain(|_, (_, body)| !is_said_by(body, id));
        }
        self.topics.values_mut().map(|subscribers| u64::from(subscribers.remove(id))).sum()
    }

    /// Answers the events that these runs are of.
    fn erase_runs(&mut self, id: &UserId, now: Timestamp) -> BTreeSet<EventId> {
        let theirs = self.runs.iter().filter(|(_, row)| row.run.recipient.as_ref() == Some(id));
        let theirs: Vec<RunId> = theirs.map(|(&id, _)| id).collect();
        self.leave(&theirs, now);
        self.forget_waits(&theirs);
        let mut events = BTreeSet::new();
        for id in theirs {
            let Some(row) = self.runs.get_mut(&id) else { continue };
            events.insert(row.run.event);
            self.run_keys.remove(&run_key(&row.run));
            let run = Arc::make_mut(&mut row.run);
            run.recipient = None;
            run.key = None;
            run.state = Value::Object(Map::new());
            if is_unfinished(run) {
                run.status = RunStatus::Cancelled;
                run.position = None;
                run.wake_at = None;
            }
            self.schedule_run(id);
        }
        events
    }

    fn erase_events(&mut self, id: &UserId, of_their_runs: &BTreeSet<EventId>) {
        for (event_id, row) in &mut self.events {
            let mut named = of_their_runs.contains(event_id);
            for decision in &mut row.decisions {
                if decision.recipient.as_ref() == Some(id) {
                    decision.recipient = None;
                    decision.rule = None;
                    decision.reason = "erased".into();
                    named = true;
                }
            }
            if row.event.actor.as_ref() == Some(id) {
                Arc::make_mut(&mut row.event).actor = None;
                named = true;
            }
            let mut runs = row.runs.iter().filter_map(|id| self.runs.get(id));
            let of_others = runs.any(|row| row.run.recipient.is_some() || is_unfinished(&row.run));
            if named && !of_others {
                Arc::make_mut(&mut row.event).data = Value::Object(Map::new());
                let kept = self.once.iter_mut().filter(|(once, _)| once.event == *event_id);
                kept.for_each(|(_, result)| *result = Value::Null);
            }
        }
    }
}

fn is_said_by(body: &FrameBody, id: &UserId) -> bool {
    match body {
        FrameBody::Published { name, data } => {
            name == "chat_message" && data["user_id"] == id.to_json()
        }
        _ => false,
    }
}

fn is_unfinished(run: &Run) -> bool {
    matches!(run.status, RunStatus::Waiting | RunStatus::Running)
}

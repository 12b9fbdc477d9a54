use async_trait::async_trait;
use jiff::Timestamp;

use super::plan::{message_key, run_key};
use super::{MemoryStore, MessageRow, State};
use crate::model::{EventId, EventStatus, MessageId, MessageStatus, RunId, RunStatus};
use crate::store::Result;
use crate::store::retention::{Kept, Mark, Pruned, Retention};

/// All at once: nothing waits for this store's lock for long.
#[async_trait]
impl Retention for MemoryStore {
    async fn prune(
        &self,
        of: Kept,
        before: Timestamp,
        _after: Option<&Mark>,
        _limit: usize,
    ) -> Result<Pruned> {
        let rows = self.state().prune(of, before);
        Ok(Pruned { rows: rows as u64, next: None })
    }
}

impl State {
    fn prune(&mut self, of: Kept, before: Timestamp) -> usize {
        match of {
            Kept::Attempts => self.prune_attempts(before),
            Kept::Messages => self.prune_messages(before, false),
            Kept::DeadLetters => self.prune_messages(before, true),
            Kept::Decisions => self.prune_decisions(before),
            Kept::Runs => self.prune_runs(before),
            Kept::Events => self.prune_events(before),
            Kept::Inbox => count(&mut self.entries, |entry| entry.created_at < before),
            Kept::Frames => {
                self.streams.values_mut().map(|stream| stream.forget_before(before)).sum()
            }
            Kept::Sayings => {
                let rooms = self.rooms.values_mut();
                rooms.map(|room| count(&mut room.said, |saying| saying.at < before)).sum()
            }
            Kept::Streams => {
                let kept = self.kept.values_mut();
                kept.map(|kept| count(&mut kept.frames, |(at, _)| *at < before)).sum()
            }
        }
    }

    fn prune_attempts(&mut self, before: Timestamp) -> usize {
        let mut gone = 0;
        for row in self.messages.values_mut().filter(|row| !is_unfinished(row)) {
            let held = row.attempts.len();
            row.attempts.retain(|attempt| attempt.finished_at >= before);
            gone += held - row.attempts.len();
        }
        gone
    }

    fn prune_messages(&mut self, before: Timestamp, dead: bool) -> usize {
        let may_go = |row: &MessageRow| {
            let ended = if dead { is_dead(row) } else { !is_unfinished(row) };
            let leader = row.gathered_by.and_then(|leader| self.messages.get(&leader));
            ended
                && row.message.due_at < before
                && row.message.created_at < before
                && (dead || row.attempts.is_empty())
                && !self.runs.get(&row.message.run).is_some_and(|run| is_going(run.run.status))
                && !leader.is_some_and(is_unfinished)
        };
        let rows = self.messages.iter().filter(|(_, row)| may_go(row));
        let gone: Vec<MessageId> = rows.map(|(&id, _)| id).collect();
        for id in &gone {
            let Some(row) = self.messages.remove(id) else { continue };
            self.message_keys.remove(&message_key(&row.message));
            if let Some(run) = self.runs.get_mut(&row.message.run) {
                run.messages.retain(|message| message != id);
            }
        }
        gone.len()
    }

    fn prune_decisions(&mut self, before: Timestamp) -> usize {
        let (runs, messages) = (&self.runs, &self.messages);
        let mut gone = 0;
        for row in self.events.values_mut().filter(|row| row.status == EventStatus::Planned) {
            let held = row.decisions.len();
            row.decisions.retain(|decision| {
                let run = decision.run.and_then(|id| runs.get(&id));
                let message = decision.message.and_then(|id| messages.get(&id));
                decision.at >= before
                    || run.is_some_and(|run| is_going(run.run.status))
                    || message.is_some_and(is_unfinished)
            });
            gone += held - row.decisions.len();
        }
        gone
    }

    fn prune_runs(&mut self, before: Timestamp) -> usize {
        let rows = self.runs.values().filter(|row| {
            !is_going(row.run.status)
                && row.run.started_at < before
                && row.messages.is_empty()
                && !self.gatherings.holds(row.run.id)
        });
        let gone: Vec<RunId> = rows.map(|row| row.run.id).collect();
        for id in &gone {
            let Some(row) = self.runs.remove(id) else { continue };
            self.run_keys.remove(&run_key(&row.run));
            if let Some(event) = self.events.get_mut(&row.run.event) {
                event.runs.retain(|run| run != id);
            }
        }
        gone.len()
    }

    fn prune_events(&mut self, before: Timestamp) -> usize {
        let newest = self.events.values().map(|row| row.accepted).max().unwrap_or_default();
        let rows = self.events.values().filter(|row| {
            row.status == EventStatus::Planned
                && row.event.at < before
                && row.event.received_at < before
                && row.runs.is_empty()
                && row.decisions.is_empty()
                && row.accepted != newest
        });
        let gone: Vec<EventId> = rows.map(|row| row.event.id).collect();
        for id in &gone {
            let Some(row) = self.events.remove(id) else { continue };
            if let Some(key) = &row.event.idempotency_key {
                self.event_keys.remove(&(row.event.tenant.clone(), key.clone()));
            }
            self.once.retain(|once, _| once.event != *id);
        }
        gone.len()
    }
}

fn is_going(status: RunStatus) -> bool {
    matches!(status, RunStatus::Waiting | RunStatus::Running)
}

fn is_dead(row: &MessageRow) -> bool {
    matches!(row.message.status, MessageStatus::Failed | MessageStatus::Unknown)
}

/// A person may still ask for a dead letter.
fn is_unfinished(row: &MessageRow) -> bool {
    use MessageStatus::{Leased, Pending, Sending};
    is_dead(row) || matches!(row.message.status, Pending | Leased | Sending)
}

/// Removes what is `old`, and says how much.
fn count<K: Ord, V>(
    rows: &mut std::collections::BTreeMap<K, V>,
    old: impl Fn(&V) -> bool,
) -> usize {
    let held = rows.len();
    rows.retain(|_, row| !old(row));
    held - rows.len()
}

//! Nouns with those they belong to, for all stores that keep rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::columns::Columns;
use super::decode;
use super::sealed::{Vault, unless_locked};
use super::{DueMessage, DueRun, Gathered, Result};
use crate::model::{Event, EventId, Fence, Message, Run, RunId};

pub(super) type RunsById = HashMap<RunId, Arc<Run>>;
pub(super) type EventsById = HashMap<EventId, Arc<Event>>;

/// A store whose rows are found by their ids. What is sealed with a key that is not here is left
/// out, with all that belongs to it: it waits for its key.
pub(super) trait Joined: Sync {
    type Row: Columns + Send + Sync;

    fn vault(&self) -> &Vault;

    /// Those of `ids` that are there, in any order.
    fn by_id(
        &self,
        columns: &str,
        table: &str,
        ids: HashSet<Uuid>,
    ) -> impl Future<Output = Result<Vec<Self::Row>>> + Send;

    fn runs_by_id(
        &self,
        ids: impl Iterator<Item = RunId>,
    ) -> impl Future<Output = Result<RunsById>> + Send {
        let ids = ids.map(|id| id.0).collect();
        async { self.runs(&self.by_id(decode::RUN, "run", ids).await?) }
    }

    fn events_by_id(
        &self,
        ids: impl Iterator<Item = EventId>,
    ) -> impl Future<Output = Result<EventsById>> + Send {
        let ids = ids.map(|id| id.0).collect();
        async { self.events(&self.by_id(decode::EVENT, "event", ids).await?) }
    }

    fn runs(&self, rows: &[impl Columns]) -> Result<RunsById> {
        let mut runs = RunsById::with_capacity(rows.len());
        for row in rows {
            let run = unless_locked(self.vault().open_run(decode::run(row)?))?;
            runs.extend(run.map(|run| (run.id, Arc::new(run))));
        }
        Ok(runs)
    }

    fn events(&self, rows: &[impl Columns]) -> Result<EventsById> {
        let mut events = EventsById::with_capacity(rows.len());
        for row in rows {
            let event = unless_locked(self.vault().open_event(decode::event(row)?))?;
            events.extend(event.map(|event| (event.id, Arc::new(event))));
        }
        Ok(events)
    }

    /// Claimed runs with their events, the most urgent first.
    fn due_runs<R: Columns>(
        &self,
        mut runs: Vec<(Run, &R)>,
        events: &EventsById,
    ) -> Result<Vec<DueRun>> {
        runs.sort_by_key(|(run, _)| (run.priority, run.wake_at, run.id));
        let mut due = Vec::with_capacity(runs.len());
        for (run, row) in runs {
            let Some(event) = events.get(&run.event).cloned() else { continue };
            let Some(run) = unless_locked(self.vault().open_run(run))? else { continue };
            let (fence, attempt) = (Fence(row.number(14)?), decode::count(row, 15)?);
            due.push(DueRun { run, event, fence, attempt });
        }
        Ok(due)
    }

    /// Claimed messages with what they belong to, the most urgent first.
    fn due_messages<R: Columns>(
        &self,
        mut messages: Vec<(Message, &R)>,
        (runs, events): (&RunsById, &EventsById),
    ) -> Result<Vec<DueMessage>> {
        messages.sort_by_key(|(message, _)| (message.priority, message.due_at, message.id));
        let mut due = Vec::with_capacity(messages.len());
        for (message, row) in messages {
            let Some(run) = runs.get(&message.run).cloned() else { continue };
            let Some(event) = events.get(&message.event).cloned() else { continue };
            let left_before = row.maybe_number(20)?.is_some();
            let (fence, claims) = (Fence(row.number(19)?), decode::count(row, 21)?);
            let leads = row.maybe_text(22)?.is_some();
            due.push(DueMessage { message, run, event, fence, left_before, claims, leads });
        }
        Ok(due)
    }

    fn gathered_of(
        &self,
        messages: Vec<Message>,
    ) -> impl Future<Output = Result<Vec<Gathered>>> + Send {
        async move {
            let (runs, events) = self.of(messages.iter()).await?;
            let told = messages.into_iter().filter_map(|message| {
                let run = runs.get(&message.run)?.clone();
                let event = events.get(&message.event)?.clone();
                Some(Gathered { message, run, event })
            });
            Ok(told.collect())
        }
    }

    /// The runs and events of messages, asked for at the same time.
    fn of<'m>(
        &self,
        messages: impl Iterator<Item = &'m Message> + Clone,
    ) -> impl Future<Output = Result<(RunsById, EventsById)>> + Send {
        let runs = self.runs_by_id(messages.clone().map(|message| message.run));
        let events = self.events_by_id(messages.map(|message| message.event));
        async { tokio::try_join!(runs, events) }
    }
}

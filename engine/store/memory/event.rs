use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{EventRow, MemoryStore, State};
use crate::model::{EventId, EventStatus, MessageId, Run, RunId, RunStatus, Version, WorkflowName};
use crate::store::{
    Acceptance, Accepted, Backlog, EventRecord, Events, Result, SHOWN_RUNS, TOLD_RUNS, Timeline,
};

#[async_trait]
impl Events for MemoryStore {
    async fn accept(&self, acceptances: Vec<Acceptance>) -> Result<Vec<Accepted>> {
        let mut state = self.state();
        Ok(acceptances.into_iter().map(|acceptance| state.accept(acceptance)).collect())
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRecord>> {
        let state = self.state();
        Ok(state.events.get(&id).map(|row| EventRecord {
            event: (*row.event).clone(),
            status: row.status,
            planned: row.runs.len() as u64,
            runs: state.runs_of(row.runs.iter().take(SHOWN_RUNS)),
        }))
    }

    async fn timeline(&self, id: Uuid) -> Result<Option<Timeline>> {
        let state = self.state();
        Ok(state.event_of(id).and_then(|(event, run)| state.timeline(event, run)))
    }

    async fn keep_version(
        &self,
        version: &Version,
        workflow: &WorkflowName,
        source: &str,
    ) -> Result<()> {
        let kept = || (workflow.clone(), source.to_owned());
        self.state().versions.entry(version.clone()).or_insert_with(kept);
        Ok(())
    }

    async fn version(&self, version: &Version) -> Result<Option<String>> {
        Ok(self.state().versions.get(version).map(|(_, source)| source.clone()))
    }

    async fn versions_in_use(&self) -> Result<Vec<(WorkflowName, Version, u64)>> {
        let mut counts = BTreeMap::new();
        for row in self.state().runs.values() {
            if matches!(row.run.status, RunStatus::Waiting | RunStatus::Running) {
                let key = (row.run.workflow.clone(), row.run.version.clone());
                *counts.entry(key).or_default() += 1;
            }
        }
        Ok(counts
            .into_iter()
            .map(|((workflow, version), runs)| (workflow, version, runs))
            .collect())
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        let state = self.state();
        let (messages, oldest) = state.due_messages.backlog(now);
        Ok(Backlog {
            events: state.due_events.backlog(now).0,
            runs: state.due_runs.backlog(now).0,
            messages,
            oldest,
        })
    }
}

impl State {
    pub(super) fn accept(&mut self, acceptance: Acceptance) -> Accepted {
        let Acceptance { event, body_hash, mut plan, emitter } = acceptance;
        let id = event.id;
        if let Some(key) = &event.idempotency_key {
            let key = (event.tenant.clone(), key.clone());
            if let Some(&first) = self.event_keys.get(&key) {
                return self.repeated(first, &body_hash);
            }
            self.event_keys.insert(key, id);
        }
        self.accepted += 1;
        let row = EventRow {
            event: Arc::new(event),
            body_hash,
            status: EventStatus::Planned,
            cursor: None,
            runs: Vec::new(),
            decisions: Vec::new(),
            emitter,
            unplanned: Vec::new(),
            accepted: self.accepted,
        };
        self.events.insert(id, row);
        let more = plan.more.take();
        let frames = self.write(plan);
        let more = more.or_else(|| self.if_awaited(id));
        self.plan_on(id, more);
        Accepted::New { id, frames }
    }

    fn repeated(&self, first: EventId, body_hash: &[u8; 32]) -> Accepted {
        match self.events.get(&first) {
            Some(row) if row.body_hash != *body_hash => Accepted::Conflict(first),
            _ => Accepted::Duplicate(first),
        }
    }

    /// The event that `id` is, or that the run or message `id` belongs to, with that run.
    fn event_of(&self, id: Uuid) -> Option<(EventId, Option<RunId>)> {
        let of_run = |id: RunId| Some((self.runs.get(&id)?.run.event, Some(id)));
        let of_message = || of_run(self.messages.get(&MessageId(id))?.message.run);
        let event = self.events.contains_key(&EventId(id)).then_some((EventId(id), None));
        event.or_else(|| of_run(RunId(id))).or_else(of_message)
    }

    fn runs_of<'a>(&self, ids: impl Iterator<Item = &'a RunId>) -> Vec<Run> {
        ids.filter_map(|id| Some((*self.runs.get(id)?.run).clone())).collect()
    }

    fn timeline(&self, id: EventId, only: Option<RunId>) -> Option<Timeline> {
        let row = self.events.get(&id)?;
        let told: Vec<RunId> = match only {
            Some(run) => vec![run],
            None => row.runs.iter().take(TOLD_RUNS).copied().collect(),
        };
        let runs = told.iter().filter_map(|id| self.runs.get(id));
        let messages: Vec<_> =
            runs.flat_map(|run| &run.messages).filter_map(|id| self.messages.get(id)).collect();
        let mut attempts: Vec<_> = messages.iter().flat_map(|row| row.attempts.clone()).collect();
        attempts.sort_by_key(|attempt| (attempt.started_at, attempt.message, attempt.number));
        let mut decisions = row.decisions.clone();
        if only.is_some() || told.len() < row.runs.len() {
            decisions.retain(|each| each.run.is_none_or(|run| told.contains(&run)));
        }
        Some(Timeline {
            event: (*row.event).clone(),
            status: row.status,
            runs: self.runs_of(told.iter()),
            messages: messages.into_iter().map(|row| row.message.clone()).collect(),
            attempts,
            decisions,
        })
    }
}

//! Which part of the time line is told: one workflow's, and that of the events it brings about.

use std::collections::BTreeSet;

use crate::explain::Row;
use crate::model::{EventId, WorkflowName};
use crate::store::memory::MemoryStore;

/// Other workflows that the same events start run too (they share budgets and inboxes), untold.
pub(super) struct Shown {
    workflow: WorkflowName,
    /// Handed in from outside.
    given: BTreeSet<EventId>,
    /// Brought about by what is told.
    caused: BTreeSet<EventId>,
    /// All there are, told or not.
    known: BTreeSet<EventId>,
}

impl Shown {
    pub fn new(workflow: WorkflowName) -> Self {
        let (given, caused, known) = Default::default();
        Self { workflow, given, caused, known }
    }

    pub fn given(&mut self, event: EventId) {
        self.known.insert(event);
        self.given.insert(event);
    }

    /// Looks for events that are new since the last piece of work.
    pub fn look(&mut self, store: &MemoryStore) {
        if store.event_count() == self.known.len() {
            return;
        }
        for event in store.event_ids() {
            let is_new = self.known.insert(event);
            if is_new
                && let Some((workflow, by)) = store.emitter(event)
                && self.tells(Some(&workflow), by)
            {
                self.caused.insert(event);
            }
        }
    }

    pub fn shows(&self, row: &Row) -> bool {
        self.tells(row.workflow.as_ref(), row.event)
    }

    fn tells(&self, workflow: Option<&WorkflowName>, event: EventId) -> bool {
        let own = workflow.is_none_or(|workflow| *workflow == self.workflow);
        self.caused.contains(&event) || self.given.contains(&event) && own
    }
}

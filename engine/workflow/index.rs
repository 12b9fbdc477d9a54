use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Workflow;
use super::patterns::Patterns;
use crate::model::Category;

/// The loaded workflows, found by the events that start them.
#[derive(Clone, Debug, Default)]
pub struct Set {
    by_name: HashMap<String, Arc<Workflow>>,
    /// In the order of their names.
    all: Vec<Arc<Workflow>>,
    /// Places in `all`.
    started: Patterns<usize>,
    stopped: Patterns<usize>,
    /// Those that say `sensitive`.
    sensitive: Vec<Arc<Workflow>>,
}

impl Set {
    /// Of two with one name the first stays; `check` refuses that before.
    pub fn new(mut workflows: Vec<Arc<Workflow>>) -> Self {
        workflows.sort_by(|a, b| a.name.cmp(&b.name));
        workflows.dedup_by(|a, b| a.name == b.name);
        let mut set = Self::default();
        for (index, workflow) in workflows.iter().enumerate() {
            for pattern in workflow.starters() {
                set.started.insert(pattern, index);
            }
            for pattern in workflow.stoppers() {
                set.stopped.insert(pattern, index);
            }
            if workflow.sensitive {
                set.sensitive.push(Arc::clone(workflow));
            }
            set.by_name.insert(workflow.name.as_str().to_owned(), Arc::clone(workflow));
        }
        set.all = workflows;
        set
    }

    /// The workflows that an event starts, each once: those that name it first, then those with a
    /// glob. The time does not grow with the workflows that it does not start.
    pub fn matching<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Arc<Workflow>> {
        self.found(&self.started, event)
    }

    /// The workflows whose runs of the event's key it stops.
    pub fn stopped_by<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Arc<Workflow>> {
        self.found(&self.stopped, event)
    }

    /// Whether a sensitive workflow starts, stops, or waits by an event of this name.
    pub fn are_sensitive(&self, event: &str) -> bool {
        self.sensitive.iter().any(|workflow| workflow.concerns(event))
    }

    /// The sensitive ones, by name.
    pub fn sensitive(&self) -> &[Arc<Workflow>] {
        &self.sensitive
    }

    fn found<'a>(
        &'a self,
        patterns: &Patterns<usize>,
        event: &str,
    ) -> impl Iterator<Item = &'a Arc<Workflow>> + use<'a> {
        let mut named = patterns.named(event).to_vec();
        named.dedup();
        let mut globs = patterns.globs(event);
        globs.sort_unstable();
        globs.dedup();
        // In the order in which they were put in.
        globs.retain(|index| named.binary_search(index).is_err());
        named.into_iter().chain(globs).filter_map(|index| self.all.get(index))
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Workflow>> {
        self.by_name.get(name)
    }

    /// By name.
    pub fn all(&self) -> Vec<&Arc<Workflow>> {
        self.all.iter().collect()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Every category that a workflow uses.
    pub fn categories(&self) -> BTreeSet<Category> {
        self.all.iter().map(|workflow| workflow.category.clone()).collect()
    }
}

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Pattern, Workflow};
use crate::model::Category;

/// The loaded workflows, found by the events that start them.
#[derive(Clone, Debug, Default)]
pub struct Set {
    by_name: HashMap<String, Arc<Workflow>>,
    /// By exact event name.
    exact: HashMap<String, Vec<Arc<Workflow>>>,
    /// Those with a glob, asked one by one.
    globs: Vec<Arc<Workflow>>,
    /// Those with something that stops their runs, by exact event name; and those with a glob.
    stopped: HashMap<String, Vec<Arc<Workflow>>>,
    stopped_by_glob: Vec<Arc<Workflow>>,
    /// Those that say `sensitive`.
    sensitive: Vec<Arc<Workflow>>,
}

impl Set {
    /// Of two with one name the first stays; `check` refuses that before.
    pub fn new(mut workflows: Vec<Arc<Workflow>>) -> Self {
        workflows.sort_by(|a, b| a.name.cmp(&b.name));
        workflows.dedup_by(|a, b| a.name == b.name);
        let mut set = Self::default();
        for workflow in workflows {
            enter(&mut set.exact, &mut set.globs, &workflow, workflow.starters());
            enter(&mut set.stopped, &mut set.stopped_by_glob, &workflow, workflow.stoppers());
            if workflow.sensitive {
                set.sensitive.push(Arc::clone(&workflow));
            }
            set.by_name.insert(workflow.name.as_str().to_owned(), workflow);
        }
        set
    }

    /// The workflows that an event starts: those that name it first, then those with a glob.
    pub fn matching<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Arc<Workflow>> {
        let named = self.exact.get(event).map_or(&[][..], Vec::as_slice);
        let globs = self.globs.iter().filter(move |workflow| {
            workflow.starts_on(event) && !workflow.starters().any(|on| on.as_str() == event)
        });
        named.iter().chain(globs)
    }

    /// The workflows whose runs of the event's key it stops.
    pub fn stopped_by<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Arc<Workflow>> {
        let named = self.stopped.get(event).map_or(&[][..], Vec::as_slice);
        let globs = self.stopped_by_glob.iter().filter(move |workflow| {
            workflow.stoppers().any(|on| on.matches(event))
                && !workflow.stoppers().any(|on| on.as_str() == event)
        });
        named.iter().chain(globs)
    }

    /// Whether a sensitive workflow starts, stops, or waits by an event of this name.
    pub fn are_sensitive(&self, event: &str) -> bool {
        self.sensitive.iter().any(|workflow| workflow.concerns(event))
    }

    /// The sensitive ones, by name.
    pub fn sensitive(&self) -> &[Arc<Workflow>] {
        &self.sensitive
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Workflow>> {
        self.by_name.get(name)
    }

    /// By name.
    pub fn all(&self) -> Vec<&Arc<Workflow>> {
        let mut all: Vec<_> = self.by_name.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Every category that a workflow uses.
    pub fn categories(&self) -> BTreeSet<Category> {
        self.by_name.values().map(|workflow| workflow.category.clone()).collect()
    }
}

fn enter<'w>(
    exact: &mut HashMap<String, Vec<Arc<Workflow>>>,
    globs: &mut Vec<Arc<Workflow>>,
    workflow: &'w Arc<Workflow>,
    patterns: impl Iterator<Item = &'w Pattern> + Clone,
) {
    for pattern in patterns.clone().filter(|pattern| !pattern.is_glob()) {
        let entered = exact.entry(pattern.as_str().to_owned()).or_default();
        if !entered.iter().any(|other| other.name == workflow.name) {
            entered.push(Arc::clone(workflow));
        }
    }
    if patterns.clone().any(Pattern::is_glob) {
        globs.push(Arc::clone(workflow));
    }
}

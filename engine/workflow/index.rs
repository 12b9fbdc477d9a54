use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Workflow;
use crate::model::Category;

/// The loaded workflows, found by the events that start them.
#[derive(Clone, Debug, Default)]
pub struct Set {
    by_name: HashMap<String, Arc<Workflow>>,
    /// By exact event name.
    exact: HashMap<String, Vec<Arc<Workflow>>>,
    /// Those with a glob, asked one by one.
    globs: Vec<Arc<Workflow>>,
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
            for pattern in workflow.on.iter().filter(|pattern| !pattern.is_glob()) {
                let started = set.exact.entry(pattern.as_str().to_owned()).or_default();
                if !started.iter().any(|other| other.name == workflow.name) {
                    started.push(Arc::clone(&workflow));
                }
            }
            if workflow.on.iter().any(super::Pattern::is_glob) {
                set.globs.push(Arc::clone(&workflow));
            }
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
            workflow.starts_on(event) && !workflow.on.iter().any(|on| on.as_str() == event)
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

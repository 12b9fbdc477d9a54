//! Workflows that start, or stop, one another without end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Source};
use crate::workflow::{self, Step, StepKind, Workflow};

/// `from` does something by which `to` begins, or ends.
struct Edge {
    from: usize,
    to: usize,
    /// Of the step's word.
    span: Range<usize>,
    /// An `if` stands in its way.
    asked: bool,
    event: String,
}

pub(super) fn check(workflows: &[Arc<Workflow>], problems: &mut Vec<Diagnostic>) {
    let set = workflow::Set::new(workflows.to_vec());
    let places: BTreeMap<&str, usize> = workflows
        .iter()
        .enumerate()
        .map(|(index, workflow)| (workflow.name.as_str(), index))
        .collect();
    let (mut emits, mut cancels) = (Vec::new(), Vec::new());
    for (from, workflow) in workflows.iter().enumerate() {
        for_each_step(&workflow.steps, false, &mut |step, asked| {
            let span = step.span.clone();
            let edge = |to: usize, asked: bool, event: &str| Edge {
                from,
                to,
                span: span.clone(),
                asked: asked || step.condition.is_some(),
                event: event.to_owned(),
            };
            match &step.kind {
                StepKind::Emit(emit) => {
                    let restarted = workflows.iter().filter(|other| {
                        other.restart_on.iter().any(|pattern| pattern.matches(&emit.event))
                    });
                    for started in set.matching(&emit.event).chain(restarted) {
                        let asked = asked || started.condition.is_some();
                        let to = places.get(started.name.as_str());
                        emits.extend(to.map(|to| edge(*to, asked, &emit.event)));
                    }
                }
                StepKind::Cancel(cancel) => {
                    let name = cancel.workflow.as_ref().map(|name| name.as_str());
                    let to = name.and_then(|name| places.get(name)).filter(|to| **to != from);
                    cancels.extend(to.map(|to| edge(*to, asked, "")));
                }
                _ => {}
            }
        });
    }
    for cycle in cycles(workflows.len(), emits) {
        problems.push(of_emits(workflows, &cycle));
    }
    for cycle in cycles(workflows.len(), cancels) {
        problems.push(of_cancels(workflows, &cycle));
    }
    workflows.iter().for_each(|workflow| own_end(workflow, problems));
}

/// Steps with whether an `if` stands above them.
fn for_each_step(steps: &[Step], asked: bool, visit: &mut dyn FnMut(&Step, bool)) {
    for step in steps {
        visit(step, asked);
        let inside = asked || step.condition.is_some();
        match &step.kind {
            StepKind::Branch(branch) => {
                // The `else` asks too: that nothing before it holds.
                let asked = |index: usize| inside || index > 0 || branch.arms.len() > 1;
                for (index, arm) in branch.arms.iter().enumerate() {
                    let asked = asked(index) || arm.condition.is_some();
                    for_each_step(&arm.steps, asked, visit);
                }
            }
            kind => kind.blocks().iter().for_each(|block| for_each_step(block, inside, visit)),
        }
    }
}

/// The cycles, each once. Those with an edge that nothing stands in the way of come first.
fn cycles(count: usize, edges: Vec<Edge>) -> Vec<Vec<Edge>> {
    let mut edges: Vec<Arc<Edge>> = on_cycles(count, edges).into_iter().map(Arc::new).collect();
    edges.sort_by_key(|edge| edge.asked);
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    for first in &edges {
        // A cycle that is asked at every edge ends some day; it is told only if it is that alone.
        let usable: Vec<&Arc<Edge>> =
            edges.iter().filter(|edge| edge.asked || !first.asked).collect();
        let Some(rest) = way(&usable, first.to, first.from) else { continue };
        let cycle: Vec<Arc<Edge>> = std::iter::once(Arc::clone(first)).chain(rest).collect();
        let members: BTreeSet<usize> = cycle.iter().map(|edge| edge.from).collect();
        if known.insert(members) {
            found.push(cycle.iter().map(|edge| edge.copied()).collect());
        }
    }
    found
}

/// What is left when nodes without a way in or a way out are taken away, again and again.
fn on_cycles(count: usize, mut edges: Vec<Edge>) -> Vec<Edge> {
    loop {
        let (mut has_in, mut has_out) = (vec![false; count], vec![false; count]);
        for edge in &edges {
            has_out[edge.from] = true;
            has_in[edge.to] = true;
        }
        let before = edges.len();
        edges.retain(|edge| has_in[edge.from] && has_out[edge.to]);
        if edges.len() == before {
            return edges;
        }
    }
}

/// The shortest way from one workflow to another; no edge where they are the same.
fn way(edges: &[&Arc<Edge>], from: usize, to: usize) -> Option<Vec<Arc<Edge>>> {
    let mut came: BTreeMap<usize, &Arc<Edge>> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        if node == to {
            let mut path = Vec::new();
            let mut at = to;
            while at != from {
                let edge = came.get(&at)?;
                path.push(Arc::clone(edge));
                at = edge.from;
            }
            path.reverse();
            return Some(path);
        }
        for edge in edges.iter().filter(|edge| edge.from == node) {
            if edge.to != from && !came.contains_key(&edge.to) {
                came.insert(edge.to, edge);
                queue.push_back(edge.to);
            }
        }
    }
    None
}

impl Edge {
    fn copied(&self) -> Self {
        let Self { from, to, ref span, asked, ref event } = *self;
        Self { from, to, span: span.clone(), asked, event: event.clone() }
    }
}

fn of_emits(workflows: &[Arc<Workflow>], cycle: &[Edge]) -> Diagnostic {
    let mut way = String::new();
    for edge in cycle {
        way.push_str(&format!("`{}` emits `{}`, ", workflows[edge.from].name, edge.event));
    }
    let first = &workflows[cycle[0].from].name;
    let message = format!("{way}and `{first}` starts again");
    report(workflows, cycle, "emit.cycle", message).hint("an `if` on an `emit` step can end it")
}

fn of_cancels(workflows: &[Arc<Workflow>], cycle: &[Edge]) -> Diagnostic {
    let names: Vec<String> =
        cycle.iter().map(|edge| format!("`{}`", workflows[edge.from].name)).collect();
    let message = format!("{} stop one another", names.join(", "));
    report(workflows, cycle, "cancel.cycle", message)
        .hint("which of them goes on is left to chance")
}

/// A warning where every edge is asked: such a cycle can end.
fn report(
    workflows: &[Arc<Workflow>],
    cycle: &[Edge],
    code: &'static str,
    message: String,
) -> Diagnostic {
    let workflow = &workflows[cycle[0].from];
    let source = Source::new(Arc::clone(&workflow.path), Arc::clone(&workflow.source));
    let span = cycle[0].span.clone();
    match cycle.iter().all(|edge| edge.asked) {
        true => Diagnostic::warning(&source, code, span, message),
        false => Diagnostic::error(&source, code, span, message),
    }
}

/// A workflow that an event both starts and stops.
fn own_end(workflow: &Workflow, problems: &mut Vec<Diagnostic>) {
    for pattern in workflow.cancel_on.iter().filter(|pattern| workflow.on.contains(pattern)) {
        let source = Source::new(Arc::clone(&workflow.path), Arc::clone(&workflow.source));
        let at = workflow.source.find("cancel_on").unwrap_or_default();
        let message = format!("`{pattern}` both starts and stops this workflow");
        let problem = Diagnostic::error(&source, "cancel.self", at..at + 9, message);
        problems.push(problem.hint("`restart_on` stops what is under way and runs again"));
    }
}

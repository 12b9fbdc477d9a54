//! What expressions read, against events' schemas and against what the file itself makes.

use std::collections::BTreeSet;
use std::ops::Range;

use super::fields::{Presence, presence, started_by, subject, suggest};
use crate::diagnostic::{Diagnostic, Source};
use crate::expression::{Expression, Reference};
use crate::workflow::step::Awaited;
use crate::workflow::{EventSchemas, Step, StepKind, Who, Workflow};

/// Every path of a workflow's expressions.
pub(super) fn check(
    workflow: &Workflow,
    source: &Source,
    events: &EventSchemas,
    problems: &mut Vec<Diagnostic>,
) {
    let steps = workflow.all_steps();
    let mut variables = BTreeSet::new();
    for step in &steps {
        match &step.kind {
            StepKind::Set(set) => variables.extend(set.0.iter().map(|(name, _)| name.as_str())),
            StepKind::Fetch(fetch) => variables.extend(fetch.into.as_deref()),
            _ => {}
        }
    }
    let ids = steps.iter().filter_map(|step| step.id.as_deref()).collect();
    let incoming = Vec::new();
    let guards = Vec::new();
    let mut walk = Walk { workflow, source, events, ids, variables, incoming, guards, problems };
    walk.header();
    walk.block(&workflow.steps);
}

struct Walk<'a, 'p> {
    workflow: &'a Workflow,
    source: &'a Source,
    events: &'a EventSchemas,
    ids: BTreeSet<&'a str>,
    variables: BTreeSet<&'a str>,
    /// What `incoming` may be.
    incoming: Vec<&'a str>,
    /// The conditions that hold where the walk is: what they ask `has(…)` of is there.
    guards: Vec<&'a Expression>,
    problems: &'p mut Vec<Diagnostic>,
}

impl<'a> Walk<'a, '_> {
    fn header(&mut self) {
        let workflow = self.workflow;
        self.ask(workflow.condition.as_ref());
        self.guards.extend(&workflow.condition);
        self.ask(workflow.key.as_ref());
        self.ask(workflow.dedupe.as_ref().map(|dedupe| &dedupe.key));
        workflow.priority.iter().for_each(|rule| self.ask(rule.condition.as_ref()));
        for rule in &workflow.recipients {
            self.ask(rule.condition.as_ref());
            self.under(rule.condition.as_ref(), |walk| match &rule.who {
                Who::User(who) | Who::Topic(who) | Who::List(who) | Who::Contact(who) => {
                    walk.ask(Some(who));
                }
                Who::Role(_) | Who::Everyone => {}
            });
        }
    }

    fn block(&mut self, steps: &'a [Step]) {
        for step in steps {
            let condition = match &step.kind {
                StepKind::Send(send) => send.condition.as_ref(),
                _ => step.condition.as_ref(),
            };
            self.ask(condition);
            self.under(condition, |walk| walk.step(step));
        }
    }

    fn step(&mut self, step: &'a Step) {
        if let StepKind::WaitFor(wait) = &step.kind {
            match &wait.awaited {
                Awaited::Event { on, .. } => {
                    self.incoming = on.iter().flat_map(|on| self.events.named_by(on)).collect();
                }
                Awaited::Message { step: id, .. } => self.awaited(step, id),
            }
        }
        step.kind.expressions().into_iter().for_each(|one| self.ask(Some(one)));
        self.incoming.clear();
        if let StepKind::Branch(branch) = &step.kind {
            for arm in &branch.arms {
                self.ask(arm.condition.as_ref());
                self.under(arm.condition.as_ref(), |walk| walk.block(&arm.steps));
            }
        } else {
            step.kind.blocks().into_iter().for_each(|block| self.block(block));
        }
    }

    fn awaited(&mut self, step: &Step, id: &str) {
        if self.ids.contains(id) {
            return;
        }
        let span = named(self.source, step.span.end, id).unwrap_or_else(|| step.span.clone());
        let message = format!("no step has the id `{id}`");
        let problem = Diagnostic::error(self.source, "step.unknown", span, message);
        self.problems.push(problem.suggest(id, self.ids.iter().copied()));
    }

    fn under(&mut self, guard: Option<&'a Expression>, walk: impl FnOnce(&mut Self)) {
        self.guards.extend(guard);
        walk(self);
        if guard.is_some() {
            self.guards.pop();
        }
    }

    fn ask(&mut self, expression: Option<&'a Expression>) {
        let Some(expression) = expression else { return };
        for reference in expression.references() {
            let found = self.reference(expression, reference);
            self.problems.extend(found);
        }
    }

    fn reference(&self, expression: &Expression, reference: &Reference) -> Option<Diagnostic> {
        let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
        let dotted = || path.join(".");
        let at = || place(self.source, expression, &dotted());
        let error = |code, message| Diagnostic::error(self.source, code, at(), message);
        match path.as_slice() {
            ["event", "data", rest @ ..] if !rest.is_empty() => {
                let names = started_by(self.workflow, self.events);
                let subject = subject(self.workflow);
                self.field(&names, &subject, rest, expression, reference)
            }
            ["incoming", "data", rest @ ..] if !rest.is_empty() => {
                let subject = format!("`{}`", self.incoming.join("`, `"));
                self.field(&self.incoming, &subject, rest, expression, reference)
            }
            ["steps", id, ..] if !self.ids.contains(id) => {
                let message = format!("no step has the id `{id}`");
                let problem = error("step.unknown", message);
                Some(problem.suggest(id, self.ids.iter().copied()))
            }
            ["vars", name, ..] if !self.variables.contains(name) && !reference.tested => {
                let message = format!("no step sets `vars.{name}`");
                let problem = error("variable.unknown", message);
                Some(problem.suggest(name, self.variables.iter().copied()))
            }
            _ => None,
        }
    }

    fn field(
        &self,
        names: &[&str],
        subject: &str,
        rest: &[&str],
        expression: &Expression,
        reference: &Reference,
    ) -> Option<Diagnostic> {
        let dotted = reference.path.join(".");
        let at = place(self.source, expression, &dotted);
        match presence(names, self.events, rest) {
            Presence::Never => {
                let message = format!("{subject} has no field `{dotted}`");
                let problem = Diagnostic::error(self.source, "expression.field", at, message);
                Some(suggest(problem, names, self.events, rest))
            }
            Presence::Maybe if !self.guarded(expression, reference) => {
                let message = format!("`{dotted}` may be missing");
                let problem = Diagnostic::warning(self.source, "expression.optional", at, message);
                Some(problem.hint(format!("ask `has({dotted})` before it")))
            }
            _ => None,
        }
    }

    /// Whether the expression itself, or a condition around it, asks for the field.
    fn guarded(&self, expression: &Expression, reference: &Reference) -> bool {
        let asks = |one: &Expression| {
            let mut references = one.references().iter();
            references.any(|other| other.tested && reference.path.starts_with(&other.path))
        };
        reference.tested || asks(expression) || self.guards.iter().any(|guard| asks(guard))
    }
}

/// Where a path of an expression stands in the file: on the expression's line or below.
fn place(source: &Source, expression: &Expression, path: &str) -> Range<usize> {
    let line = expression.place().rsplit(':').next().and_then(|line| line.parse().ok());
    let from = source.offset(line.unwrap_or(1), 1);
    named(source, from, path).unwrap_or(from..from)
}

fn named(source: &Source, from: usize, text: &str) -> Option<Range<usize>> {
    let at = from + source.text().get(from..)?.find(text)?;
    Some(at..at + text.len())
}

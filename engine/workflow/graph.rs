//! A workflow as a Mermaid flowchart.

mod label;

use std::fmt::Write;

use super::step::{Awaited, Branch, Next, OnError, Schedule, Step, StepKind, WaitFor};
use super::{RecipientRule, Who, Workflow};
use label::Label;

impl Workflow {
    /// The workflow as a flowchart in Mermaid's language: events, recipients, every step with its
    /// ways on. Whatever comes from the file is escaped.
    pub fn graph(&self) -> String {
        let mut chart = Chart { out: "flowchart TD\n".into() };
        let on: Vec<&str> = self.on.iter().map(super::Pattern::as_str).collect();
        chart.node("event", Shape::Round, &Label::new(on.join(", ")));
        for (id, events, what) in
            [("cancel", &self.cancel_on, "cancels"), ("restart", &self.restart_on, "restarts")]
        {
            if !events.is_empty() {
                let events: Vec<&str> = events.iter().map(super::Pattern::as_str).collect();
                chart.node(id, Shape::Round, &Label::new(events.join(", ")));
                chart.dotted(id, what, "event");
            }
        }
        let mut exits = vec![Exit::new("event", condition(self.condition.as_ref()))];
        if !self.recipients.is_empty() {
            let mut label = Label::new(self.name.as_str().to_owned());
            self.recipients.iter().for_each(|rule| label.line(recipient(rule)));
            chart.node("run", Shape::Box, &label);
            chart.join(exits, "run");
            exits = vec![Exit::new("run", None)];
        }
        let exits = chart.block(&self.steps, exits);
        chart.node("done", Shape::Round, &Label::new("end".into()));
        chart.join(exits, "done");
        chart.out
    }
}

/// A way out of a node that leads nowhere yet.
struct Exit {
    from: String,
    label: Option<String>,
}

impl Exit {
    fn new(from: &str, label: Option<String>) -> Self {
        Self { from: from.to_owned(), label }
    }
}

struct Chart {
    out: String,
}

#[derive(Clone, Copy)]
enum Shape {
    Box,
    Round,
    Choice,
    Wait,
}

impl Chart {
    /// Steps one after another: the ways out of the last.
    fn block(&mut self, steps: &[Step], mut exits: Vec<Exit>) -> Vec<Exit> {
        for step in steps {
            let id = format!("s{}", step.path.to_string().replace('.', "_"));
            let shape = match &step.kind {
                StepKind::Branch(_) => Shape::Choice,
                StepKind::Delay(_)
                | StepKind::Schedule(_)
                | StepKind::Batch(_)
                | StepKind::Digest(_)
                | StepKind::Throttle(_)
                | StepKind::WaitFor(_) => Shape::Wait,
                StepKind::Stop(_) => Shape::Round,
                _ => Shape::Box,
            };
            self.node(&id, shape, &label_of(step));
            self.join(exits, &id);
            exits = self.ways_on(step, &id);
        }
        exits
    }

    fn ways_on(&mut self, step: &Step, id: &str) -> Vec<Exit> {
        match &step.kind {
            StepKind::Branch(branch) => self.branch(branch, id),
            StepKind::Schedule(schedule) => self.schedule(schedule, id),
            StepKind::WaitFor(wait) => self.wait(wait, id),
            StepKind::Stop(_) if step.condition.is_none() => {
                self.join(vec![Exit::new(id, None)], "done");
                Vec::new()
            }
            StepKind::Stop(_) => {
                self.join(vec![Exit::new(id, Some("holds".into()))], "done");
                vec![Exit::new(id, Some("else".into()))]
            }
            _ => vec![Exit::new(id, None)],
        }
    }

    fn branch(&mut self, branch: &Branch, id: &str) -> Vec<Exit> {
        let mut exits = Vec::new();
        for arm in &branch.arms {
            let label = condition(arm.condition.as_ref()).or_else(|| Some("else".into()));
            exits.extend(self.block(&arm.steps, vec![Exit::new(id, label)]));
        }
        if branch.arms.iter().all(|arm| arm.condition.is_some()) {
            exits.push(Exit::new(id, Some("none holds".into())));
        }
        exits
    }

    fn schedule(&mut self, schedule: &Schedule, id: &str) -> Vec<Exit> {
        let each = vec![Exit::new(id, Some("at each moment".into()))];
        let back = self.block(&schedule.steps, each);
        let back: Vec<Exit> = back.into_iter().filter(|exit| exit.from != id).collect();
        self.join(back, id);
        vec![Exit::new(id, Some("after the last".into()))]
    }

    fn wait(&mut self, wait: &WaitFor, id: &str) -> Vec<Exit> {
        let mut exits = Vec::new();
        let timeout = wait.timeout.map(|span| format!("after {span}"));
        let ways = [(Some("match".to_owned()), &wait.on_match), (timeout, &wait.on_timeout)];
        for (label, next) in ways {
            let Some(label) = label else { continue };
            let exit = vec![Exit::new(id, Some(label))];
            match next {
                Next::Continue => exits.extend(exit),
                Next::Stop => self.join(exit, "done"),
                Next::Steps(steps) => exits.extend(self.block(steps, exit)),
            }
        }
        exits
    }

    fn node(&mut self, id: &str, shape: Shape, label: &Label) {
        let (open, close) = match shape {
            Shape::Box => ("[", "]"),
            Shape::Round => ("([", "])"),
            Shape::Choice => ("{", "}"),
            Shape::Wait => ("{{", "}}"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "  {id}{open}\"{label}\"{close}");
    }

    fn join(&mut self, exits: Vec<Exit>, to: &str) {
        for Exit { from, label } in exits {
            let _ = match label {
                Some(label) => writeln!(self.out, "  {from} -->|\"{}\"| {to}", Label::new(label)),
                None => writeln!(self.out, "  {from} --> {to}"),
            };
        }
    }

    fn dotted(&mut self, from: &str, label: &str, to: &str) {
        let _ = writeln!(self.out, "  {from} -.->|\"{label}\"| {to}");
    }
}

/// What a step does, its `if` and what becomes of an error.
fn label_of(step: &Step) -> Label {
    let mut label = Label::new(match &step.id {
        Some(id) => format!("{id}: {}", step.kind.word()),
        None => step.kind.word().to_owned(),
    });
    label::details(&step.kind).into_iter().for_each(|line| label.line(line));
    if let Some(asked) = condition(step.condition.as_ref().or(match &step.kind {
        StepKind::Send(send) => send.condition.as_ref(),
        _ => None,
    })) {
        label.line(asked);
    }
    match step.on_error {
        OnError::Fail => {}
        OnError::Skip => label.line("on error: skip".into()),
        OnError::Continue => label.line("on error: continue".into()),
    }
    label
}

fn condition(asked: Option<&crate::expression::Expression>) -> Option<String> {
    asked.map(|expression| format!("if {}", expression.text()))
}

fn recipient(rule: &RecipientRule) -> String {
    let who = match &rule.who {
        Who::User(id) => format!("user {}", id.text()),
        Who::Topic(topic) => format!("topic {}", topic.text()),
        Who::Role(role) => format!("role {role}"),
        Who::Everyone => "everyone".to_owned(),
        Who::List(ids) => format!("list {}", ids.text()),
        Who::Contact(contact) => format!("contact {}", contact.text()),
    };
    let who = if rule.role.is_empty() { who } else { format!("{}: {who}", rule.role) };
    match condition(rule.condition.as_ref()) {
        Some(asked) => format!("{who} {asked}"),
        None => who,
    }
}

/// What a wait waits for.
fn awaited(wait: &WaitFor) -> String {
    match &wait.awaited {
        Awaited::Event { on, .. } => {
            let names: Vec<&str> = on.iter().map(super::Pattern::as_str).collect();
            names.join(", ")
        }
        Awaited::Message { step, state, .. } => format!("{step} is {state:?}").to_lowercase(),
    }
}

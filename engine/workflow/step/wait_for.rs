use std::ops::Range;

use super::{Fields, Step, StepKind};
use crate::diagnostic::{Kind, Node};
use crate::expression::{Expression, Names};
use crate::model::Span;
use crate::workflow::reader::Reader;
use crate::workflow::{Pattern, Workflow, language};

/// A wait for something to happen, with an end.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitFor {
    pub awaited: Awaited,
    pub timeout: Option<Span>,
    pub on_match: Next,
    pub on_timeout: Next,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Awaited {
    /// `matching` is asked of the incoming event; `None`: its key is the run's.
    Event { on: Vec<Pattern>, matching: Option<Expression> },
    /// A step's message reaches a state.
    Message { step: String, state: State, span: Range<usize> },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Delivered,
    Seen,
    Read,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Next {
    #[default]
    Continue,
    Stop,
    Steps(Vec<Step>),
}

impl WaitFor {
    /// What is asked of an incoming event.
    pub fn matching(&self) -> Option<&Expression> {
        match &self.awaited {
            Awaited::Event { matching, .. } => matching.as_ref(),
            Awaited::Message { .. } => None,
        }
    }

    pub(super) fn blocks(&self) -> Vec<&[Step]> {
        [&self.on_match, &self.on_timeout]
            .into_iter()
            .map(|next| match next {
                Next::Steps(steps) => steps.as_slice(),
                Next::Continue | Next::Stop => &[],
            })
            .collect()
    }
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>, path: &str) -> Option<WaitFor> {
    let reader = fields.reader;
    fields.take("wait_for");
    let mut fields = fields.join(value);
    let event = fields.take("event");
    let on = event.map_or_else(Vec::new, |node| reader.patterns(node, "event"));
    let matching = fields.expression("match", Names::MATCH);
    let message = fields.take("message").and_then(|node| message(&fields, node));
    let timeout = fields.span("timeout");
    let on_match = fields.take("on_match");
    let on_timeout = fields.take("on_timeout");
    if fields.has("event") == fields.has("message") {
        let text = "a `wait_for` step waits for an `event` or for a `message`";
        reader.error("wait_for.kind", value.span.clone(), text);
    }
    let next = |node: Option<&Node>, what, block: usize| match node {
        Some(node) => next(&fields, node, what, &format!("{path}.{block}")),
        None => Next::Continue,
    };
    let (on_match, on_timeout) = (next(on_match, "on_match", 0), next(on_timeout, "on_timeout", 1));
    fields.finish();
    let awaited = message.unwrap_or(Awaited::Event { on, matching });
    Some(WaitFor { awaited, timeout, on_match, on_timeout })
}

/// What a wait names elsewhere in the file.
pub(super) fn check(reader: &Reader<'_>, workflow: &Workflow, step: &Step, wait: &WaitFor) {
    match &wait.awaited {
        Awaited::Event { matching: None, .. } if workflow.key.is_none() => {
            let message =
                "without a `match`, the event is told by the workflow's `key`: it has none";
            reader.error("wait_for.key", step.span.clone(), message);
        }
        Awaited::Event { .. } => {}
        Awaited::Message { step: id, span, .. } => {
            // An id that no step has is told with all the others.
            let named = |step: &&Step| step.id.as_deref() == Some(id.as_str());
            let speaks = |step: &Step| matches!(step.kind, StepKind::Send(_) | StepKind::Route(_));
            if workflow.all_steps().into_iter().find(named).is_some_and(|step| !speaks(step)) {
                let message = format!("`{id}` is no `send` and no `route` step");
                reader.error("wait_for.step", span.clone(), message);
            }
        }
    }
}

fn message(fields: &Fields<'_, '_>, node: &Node) -> Option<Awaited> {
    let mut inner = fields.reader.fields(node, &language::MESSAGE)?;
    let named = inner.need("step");
    let step = named.and_then(|node| fields.reader.text(node, "step"));
    let states = [("delivered", State::Delivered), ("seen", State::Seen), ("read", State::Read)];
    let state = inner.word("state", &states);
    inner.finish();
    let span = named.map_or(0..0, |node| node.span.clone());
    Some(Awaited::Message { step: step?, state, span })
}

fn next(fields: &Fields<'_, '_>, node: &Node, what: &str, path: &str) -> Next {
    match &node.kind {
        Kind::List(_) => Next::Steps(super::read(fields.reader, node, path)),
        _ => {
            let stops = fields.reader.word(node, what, &[("continue", false), ("stop", true)]);
            if stops.unwrap_or_default() { Next::Stop } else { Next::Continue }
        }
    }
}

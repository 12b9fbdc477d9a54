use jiff::Timestamp;

use super::position;
use crate::expression::Scope;
use crate::model::{Event, Recipient, Run, StepPath};
use crate::workflow::step::Awaited;
use crate::workflow::{StepKind, Workflow};

/// The key that `incoming` has by the workflow's `key`: runs with this one wait for it. `None`
/// where it has none: the event is about something else.
pub fn key_of(workflow: &Workflow, incoming: &Event, now: Timestamp) -> Option<String> {
    workflow.key.as_ref()?.evaluate_text(&Scope::new(incoming, now)).ok()
}

/// A run that waits for an event by a `match` of its own.
#[derive(Clone, Copy)]
pub struct Waiter<'a> {
    pub workflow: &'a Workflow,
    pub event: &'a Event,
    pub recipient: &'a Recipient,
    pub run: &'a Run,
    /// The step that waits.
    pub step: &'a StepPath,
}

/// Whether `incoming` ends its wait. A `match` that cannot be asked of it does not hold.
pub fn is_met(waiter: Waiter<'_>, incoming: &Event, now: Timestamp) -> bool {
    let Waiter { workflow, event, recipient, run, step } = waiter;
    let Some(StepKind::WaitFor(wait)) = position::find(workflow, step).map(|step| &step.kind)
    else {
        return false;
    };
    let Awaited::Event { matching: Some(matching), .. } = &wait.awaited else { return false };
    let scope = Scope::new(event, now).recipient(recipient).run(run).incoming(incoming);
    matching.evaluate_bool(&scope).unwrap_or_default()
}

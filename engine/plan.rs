//! From an event to runs, and from a run to its next messages.
//!
//! Pure: it reads neither the store nor the time by itself. [`audience`] says whom a workflow
//! tells, [`begin`] makes one recipient's run, [`advance`] takes a run on until it has to wait or
//! ends. Each may be asked again after a crash and answers the same.

mod advance;
mod audience;
mod later;
mod position;
mod question;
mod state;
mod wait;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::expression::{ExpressionError, Scope};
use crate::model::{Decision, Event, Priority, Recipient, Run, RunStatus, StepPath, Verdict};
use crate::workflow::step::Send;
use crate::workflow::{Step, StepKind, Workflow};

pub use advance::{Steps, Surroundings, advance};
pub use audience::{Audience, Paged, Source, audience};
pub use later::{later, loops};
pub use question::{Answer, Asked, Ended, Inquiry, Question, Standing, Unwritten};
pub use wait::{Waiter, is_met, key_of};

/// Why there is no run, or why a run ends: the record to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    verdict: Verdict,
    code: &'static str,
    reason: String,
    rule: String,
}

/// Makes the run of one recipient.
///
/// # Errors
/// The recipient rule's `if` does not hold (`recipient.if_false`), or an expression fails.
pub fn begin(
    workflow: &Workflow,
    event: &Event,
    source: &Source,
    recipient: &Recipient,
    clock: &Clock,
) -> Result<Run, Failed> {
    let now = clock.now();
    let scope = Scope::new(event, now).recipient(recipient);
    if let Some(condition) = &source.condition
        && !condition.evaluate_bool(&scope)?
    {
        return Err(Failed {
            verdict: Verdict::Skip,
            code: "recipient.if_false",
            reason: format!("`if: {}` does not hold for the recipient", condition.text()),
            rule: source.rule.clone(),
        });
    }
    let key = workflow.key.as_ref().map(|key| key.evaluate_text(&scope)).transpose()?;
    Ok(Run {
        id: clock.id(),
        event: event.id,
        workflow: workflow.name.clone(),
        version: workflow.version.clone(),
        recipient: recipient.id().cloned(),
        role: recipient.role.clone(),
        contact: recipient.contact.clone(),
        priority: priority(workflow, &scope)?,
        key,
        status: RunStatus::Waiting,
        position: Some(StepPath::from("0")),
        wake_at: None,
        state: state::empty(),
        started_at: now,
        sensitive: workflow.sensitive,
        topic: source.topic().cloned(),
    })
}

/// What the step at `path` says of its messages: a `send`, or a `route`.
pub fn send_step<'w>(workflow: &'w Workflow, path: &StepPath) -> Option<&'w Send> {
    match &position::find(workflow, path)?.kind {
        StepKind::Send(send) => Some(send),
        StepKind::Route(route) => Some(&route.send),
        _ => None,
    }
}

/// The first rule that holds; without one, medium, or critical for a critical workflow.
fn priority(workflow: &Workflow, scope: &Scope<'_>) -> Result<Priority, ExpressionError> {
    for rule in &workflow.priority {
        let holds = match &rule.condition {
            Some(condition) => condition.evaluate_bool(scope)?,
            None => true,
        };
        if holds {
            return Ok(rule.priority);
        }
    }
    Ok(if workflow.critical { Priority::Critical } else { Priority::Medium })
}

impl Failed {
    /// As a record of the event that it concerns.
    pub fn of_event(self, workflow: &Workflow, event: &Event, at: Timestamp) -> Decision {
        Decision {
            workflow: Some(workflow.name.clone()),
            rule: Some(self.rule),
            ..Decision::of_event(event, at, self.verdict, self.code, self.reason)
        }
    }

    /// As a record of the run's step that it concerns.
    fn of_step(self, run: &Run, step: &Step, at: Timestamp) -> Decision {
        let decision = Decision::of_run(run, at, self.verdict, self.code, self.reason);
        Decision { step: Some(step.path.clone()), rule: Some(self.rule), ..decision }
    }
}

impl From<ExpressionError> for Failed {
    fn from(error: ExpressionError) -> Self {
        Self {
            verdict: Verdict::Fail,
            code: "expression.failed",
            reason: error.message,
            rule: error.place.to_string(),
        }
    }
}

//! Gate 5: was the same (workflow, recipient, channel, dedupe key) sent within its window?

use jiff::Timestamp;

use super::{Facts, Reason, Says};
use crate::expression::{ExpressionError, Scope};
use crate::model::{MessageId, Planned};
use crate::workflow::Workflow;

/// What the store knows of a message's like.
#[derive(Clone, Debug, Default)]
pub enum Likeness {
    /// Nothing, or nobody asked: the workflow has no `dedupe`.
    #[default]
    None,
    Sent {
        message: MessageId,
        at: Timestamp,
    },
    /// The key could not be evaluated.
    Failed(ExpressionError),
}

pub(super) fn ask(planned: &Planned, facts: &Facts<'_>) -> Says {
    if facts.left_before {
        return Says::Pass;
    }
    let rule = || Some(format!("{}: dedupe", facts.workflow.path));
    match &facts.past.likeness {
        Likeness::None => Says::Pass,
        Likeness::Sent { message, .. } if *message == planned.message.id => Says::Pass,
        Likeness::Sent { message, at } => Says::drop(Reason {
            code: "duplicate",
            reason: format!("the same was sent at {at} as message {message}").into(),
            rule: rule(),
        }),
        Likeness::Failed(error) => Says::drop(Reason {
            code: "expression.failed",
            reason: error.message.clone().into(),
            rule: Some(error.place.to_string()),
        }),
    }
}

/// What makes two messages of a workflow the same, as text; `None` where it says nothing of it.
///
/// # Errors
/// The key's expression fails: to be handed to the gate as [`Likeness::Failed`].
pub fn dedupe_key(
    workflow: &Workflow,
    planned: &Planned,
    now: Timestamp,
) -> Result<Option<String>, ExpressionError> {
    let Some(dedupe) = &workflow.dedupe else { return Ok(None) };
    let scope = Scope::new(&planned.event, now).recipient(&planned.recipient).run(&planned.run);
    dedupe.key.evaluate_text(&scope).map(Some)
}

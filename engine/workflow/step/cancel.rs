use super::Fields;
use crate::diagnostic::Node;
use crate::expression::{Expression, Names};
use crate::model::WorkflowName;

/// Stops other runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancel {
    /// `None`: of every workflow.
    pub workflow: Option<WorkflowName>,
    pub key: Expression,
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Cancel> {
    let reader = fields.reader;
    fields.take("cancel");
    let mut fields = fields.join(value);
    let workflow = fields.text("workflow").map(WorkflowName::from);
    let key = fields.need("key").and_then(|node| reader.expression(node, "key", Names::STEP));
    fields.finish();
    Some(Cancel { workflow, key: key? })
}

use super::{Fields, Step};
use crate::diagnostic::{Kind, Node};
use crate::expression::{Expression, Names};
use crate::workflow::language;

/// The first arm whose condition holds is taken; none: the step does nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    pub arms: Vec<Arm>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// `None`: the `else`.
    pub condition: Option<Expression>,
    pub steps: Vec<Step>,
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>, path: &str) -> Option<Branch> {
    let reader = fields.reader;
    fields.take("branch");
    fields.finish();
    let items = reader.items(value, "branch");
    let mut arms = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}.{index}");
        let Some(mut fields) = reader.fields(item, &language::ARM) else {
            continue;
        };
        let condition = fields.expression("if", Names::STEP);
        let otherwise = fields.take_written("else");
        // `else: [steps]`, or `else:` with `steps:` beside it.
        let inline = otherwise.filter(|node| matches!(node.kind, Kind::List(_)));
        let steps = match (inline, otherwise) {
            (Some(node), _) => Some(node),
            (None, Some(node)) if matches!(node.kind, Kind::Map(_)) => {
                reader.wrong(node, "else", "a list of steps");
                fields.take("steps")
            }
            _ => fields.need("steps"),
        };
        if otherwise.is_some() && index + 1 < items.len() {
            let message = "only the last arm of a `branch` may be the `else`";
            reader.error("branch.order", item.span.clone(), message);
        }
        if otherwise.is_none() == item.get("if").is_none() {
            let message = "an arm of `branch` has either an `if` or is the `else`";
            reader.error("branch.arm", item.span.start..item.span.start, message);
        }
        fields.finish();
        let steps = steps.map_or_else(Vec::new, |node| super::read(reader, node, &path));
        arms.push(Arm { condition, steps });
    }
    Some(Branch { arms })
}

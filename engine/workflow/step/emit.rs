use super::Fields;
use crate::diagnostic::{Kind, Node};
use crate::expression::{Expression, Names};

/// A further event, which may start other workflows.
#[derive(Clone, Debug, PartialEq)]
pub struct Emit {
    pub event: String,
    pub data: Vec<(String, Expression)>,
    pub to: Option<Expression>,
    /// Once for each (event, workflow), not for each recipient.
    pub once: bool,
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Emit> {
    let reader = fields.reader;
    fields.take("emit");
    let (event, mut fields) = match &value.kind {
        Kind::Scalar(_) if !value.is_null() => {
            if let Some(again) = fields.take("event") {
                let message = "the event stands behind `emit` already";
                reader.error("yaml.duplicate_key", again.span.clone(), message);
            }
            (reader.text(value, "emit"), fields)
        }
        _ => {
            let mut fields = fields.join(value);
            (fields.need("event").and_then(|node| reader.text(node, "event")), fields)
        }
    };
    let data = fields.expressions("data", Names::STEP);
    let to = fields.expression("to", Names::STEP);
    let once = fields.flag("once");
    fields.finish();
    Some(Emit { event: event?, data, to, once })
}

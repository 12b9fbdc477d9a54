use super::Fields;
use crate::diagnostic::Node;
use crate::expression::{Expression, Names};
use crate::model::Span;

/// The events of a window become one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub window: Span,
    /// A sliding window's end at the latest.
    pub max_window: Option<Span>,
    pub max_items: Option<u64>,
    pub key: Option<Expression>,
    /// The first event leaves at once.
    pub flush_leading: bool,
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Batch> {
    let reader = fields.reader;
    fields.take("batch");
    let mut fields = fields.join(value);
    let window = fields.need("window").and_then(|node| reader.span(node, "window"));
    let max_window = fields.span("max_window");
    let max_items = fields.count("max_items");
    let key = fields.expression("key", Names::STEP);
    let flush_leading = fields.flag("flush_leading");
    fields.finish();
    Some(Batch { window: window?, max_window, max_items, key, flush_leading })
}

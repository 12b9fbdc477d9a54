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
    /// `None`: [`Batch::MAX_ITEMS`].
    pub max_items: Option<u64>,
    pub key: Option<Expression>,
    /// The first event leaves at once.
    pub flush_leading: bool,
}

impl Batch {
    /// Where a file says nothing.
    pub const MAX_ITEMS: u64 = 1_000;
    /// What a file may say.
    pub const MOST_ITEMS: u64 = 10_000;
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Batch> {
    let reader = fields.reader;
    fields.take("batch");
    let mut fields = fields.join(value);
    let window = fields.need("window").and_then(|node| reader.span(node, "window"));
    let latest = fields.take("max_window");
    let max_window = latest.and_then(|node| reader.span(node, "max_window"));
    if let (Some(node), Some(latest), Some(window)) = (latest, max_window, window)
        && latest < window
    {
        let message = format!("`max_window` is shorter than `window`, which is {window}");
        reader.error("batch.max_window", node.span.clone(), message);
    }
    let max_items = fields.count_to("max_items", Batch::MOST_ITEMS);
    let key = fields.expression("key", Names::STEP);
    let flush_leading = fields.flag("flush_leading");
    fields.finish();
    Some(Batch { window: window?, max_window, max_items, key, flush_leading })
}

use super::Fields;
use crate::diagnostic::Node;
use crate::expression::{Expression, Names};
use crate::model::Span;

/// At most so many runs in a window; per recipient unless the key says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    pub limit: u64,
    pub window: Span,
    pub key: Option<Expression>,
    pub excess: Excess,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Excess {
    #[default]
    Skip,
    Defer,
    Batch,
}

/// Passes that a window holds are rows that are counted.
const MOST_PASSES: u64 = 10_000;

const EXCESSES: [(&str, Excess); 3] =
    [("skip", Excess::Skip), ("defer", Excess::Defer), ("batch", Excess::Batch)];

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Throttle> {
    let reader = fields.reader;
    fields.take("throttle");
    let mut fields = fields.join(value);
    let limit = fields.need("limit");
    let limit = limit.and_then(|node| reader.count_to(node, "limit", MOST_PASSES));
    let window = fields.need("window").and_then(|node| reader.span(node, "window"));
    let key = fields.expression("key", Names::STEP);
    let excess = fields.word("excess", &EXCESSES);
    fields.finish();
    Some(Throttle { limit: limit?, window: window?, key, excess })
}

use super::{Fields, Step};
use crate::diagnostic::Node;
use crate::expression::{Expression, Names};
use crate::model::Span;

/// A loop over moments; those already past are skipped, and say so.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub at: Expression,
    /// The moments lie before `at`, else after it.
    pub before: bool,
    pub by: Vec<Span>,
    pub steps: Vec<Step>,
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>, path: &str) -> Option<Schedule> {
    let reader = fields.reader;
    fields.take("schedule");
    let mut fields = fields.join(value);
    let before = fields.expression("before", Names::STEP);
    let after = fields.expression("after", Names::STEP);
    let by = fields.need("by").map_or_else(Vec::new, |node| {
        let items = reader.one_or_more(node).iter();
        items.filter_map(|item| reader.span_or_zero(item, "by")).collect()
    });
    let steps = fields.need("steps");
    if fields.has("before") == fields.has("after") {
        let message = "a `schedule` step is either `before` or `after` a moment";
        reader.error("schedule.kind", value.span.clone(), message);
    }
    fields.finish();
    let steps = steps.map_or_else(Vec::new, |node| super::read(reader, node, &format!("{path}.0")));
    Some(Schedule { before: before.is_some(), at: before.or(after)?, by, steps })
}

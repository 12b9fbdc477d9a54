use jiff::Timestamp;

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

/// One round of the loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    pub at: Timestamp,
    pub by: Span,
}

impl Schedule {
    /// The rounds around `at`, earliest first.
    pub fn moments(&self, at: Timestamp) -> Vec<Round> {
        let round = |place: usize| {
            let by = self.by[place];
            let at = if self.before { at.saturating_sub(by.0) } else { at.saturating_add(by.0) };
            let end = if self.before { Timestamp::MIN } else { Timestamp::MAX };
            Round { at: at.unwrap_or(end), by }
        };
        self.order().into_iter().map(round).collect()
    }

    /// The place in `by` of the round that is the `turn`th by time.
    pub fn place(&self, turn: usize) -> usize {
        self.order().get(turn).copied().unwrap_or_default()
    }

    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.by.len()).collect();
        order.sort_by_key(|&place| self.by[place].0);
        if self.before {
            order.reverse();
        }
        order
    }
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

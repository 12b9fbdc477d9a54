use super::Fields;
use crate::diagnostic::{Kind, Node};
use crate::expression::{Expression, Names};
use crate::model::Span;
use crate::workflow::language;

/// A wait. A past moment goes on at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Delay {
    For(Span),
    /// Local time without an offset is the recipient's.
    Until(Expression),
    Before(Moment),
    After(Moment),
}

/// So long before or after an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    pub at: Expression,
    pub by: Span,
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Delay> {
    let reader = fields.reader;
    fields.take("delay");
    if matches!(value.kind, Kind::Scalar(_)) && !value.is_null() {
        let others = ["for", "until", "before", "after", "by"].map(|key| fields.take(key));
        if let Some(other) = others.into_iter().flatten().next() {
            let message = "how long stands behind `delay` already";
            reader.error("delay.kind", other.span.clone(), message);
        }
        fields.finish();
        return reader.span(value, "delay").map(Delay::For);
    }
    let mut fields = fields.join(value);
    let given = ["for", "until", "before", "after"].map(|key| (key, fields.take(key)));
    let by = fields.take("by");
    let mut read = given.iter().filter_map(|(key, node)| {
        let node = (*node)?;
        Some(match *key {
            "for" => reader.span(node, "for").map(Delay::For),
            "until" => reader.expression(node, "until", Names::STEP).map(Delay::Until),
            "before" => moment(&fields, node, by, "before").map(Delay::Before),
            _ => moment(&fields, node, by, "after").map(Delay::After),
        })
    });
    let (first, second) = (read.next(), read.next());
    if first.is_none() || second.is_some() {
        let message = "a `delay` step is one of `for`, `until`, `before`, `after`";
        reader.error("delay.kind", value.span.clone(), message);
    }
    if let Some(by) = by.filter(|_| !fields.has("before") && !fields.has("after")) {
        let message = "`by` belongs to `before` or `after`";
        reader.error("delay.kind", by.span.clone(), message);
    }
    fields.finish();
    first.flatten()
}

/// `{at, by}`, or an expression with `by` beside it.
fn moment(
    fields: &Fields<'_, '_>,
    node: &Node,
    by: Option<&Node>,
    what: &'static str,
) -> Option<Moment> {
    let reader = fields.reader;
    let (at, by) = match &node.kind {
        Kind::Map(_) => {
            let mut inner = reader.fields(node, &language::MOMENT)?;
            let at = inner.need("at");
            let by = inner.need("by");
            inner.finish();
            (at?, by?)
        }
        _ => {
            let Some(by) = by else {
                let message = format!("`{what}` needs `by`: how long {what} it");
                reader.error("yaml.missing", node.span.clone(), message);
                return None;
            };
            (node, by)
        }
    };
    let at = reader.expression(at, "at", Names::STEP);
    Some(Moment { by: reader.span_or_zero(by, "by")?, at: at? })
}

impl Delay {
    pub fn expressions(&self) -> Option<&Expression> {
        match self {
            Self::For(_) => None,
            Self::Until(at) => Some(at),
            Self::Before(moment) | Self::After(moment) => Some(&moment.at),
        }
    }
}

use super::Fields;
use crate::diagnostic::{Kind, Node};
use crate::expression::{Expression, Names};
use crate::workflow::language;

/// Ends the run. Its `if` is the step's.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop;

/// `stop: {if: …}` says the same as an `if` beside `stop`.
pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> (Stop, Option<Expression>) {
    let reader = fields.reader;
    fields.take("stop");
    fields.finish();
    let condition = match &value.kind {
        Kind::Map(_) => reader.fields(value, &language::STOP).and_then(|mut inner| {
            let condition = inner.expression("if", Names::STEP);
            inner.finish();
            condition
        }),
        _ if value.is_null() || value.to_json().as_bool() == Some(true) => None,
        _ => {
            reader.wrong(value, "stop", "`true`, or a map with `if`");
            None
        }
    };
    (Stop, condition)
}

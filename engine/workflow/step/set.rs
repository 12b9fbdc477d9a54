use super::{Fields, reader};
use crate::diagnostic::Node;
use crate::expression::{Expression, Names};

/// Run variables, seen as `vars.<name>` from the next step on.
#[derive(Clone, Debug, PartialEq)]
pub struct Variables(pub Vec<(String, Expression)>);

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Variables> {
    let reader = fields.reader;
    fields.take("set");
    fields.finish();
    Some(Variables(reader::expressions(reader, value, "set", Names::STEP)))
}

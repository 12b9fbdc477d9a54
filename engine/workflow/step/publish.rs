use super::Fields;
use crate::diagnostic::Node;
use crate::expression::{Expression, Names};

/// A relay message that is no inbox entry; no gate but expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    pub to: Target,
    /// The frame's `type`.
    pub name: Option<String>,
    pub payload: Payload,
    /// Once for each (event, workflow), not for each recipient.
    pub once: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Topic(Expression),
    Room(Expression),
    User(Expression),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    Template(String),
    Data(Vec<(String, Expression)>),
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Publish> {
    let reader = fields.reader;
    fields.take("publish");
    let mut fields = fields.join(value);
    let targets = [
        fields.expression("topic", Names::STEP).map(Target::Topic),
        fields.expression("room", Names::STEP).map(Target::Room),
        fields.expression("user", Names::STEP).map(Target::User),
    ];
    let name = fields.text("type");
    let template = fields.text("template");
    let data = fields.expressions("data", Names::STEP);
    let once = fields.flag("once");
    let given = ["topic", "room", "user"].into_iter().filter(|key| fields.has(key));
    if given.count() != 1 {
        let message = "a `publish` step goes to one of `topic`, `room`, `user`";
        reader.error("publish.target", value.span.clone(), message);
    }
    fields.finish();
    let payload = template.map_or(Payload::Data(data), Payload::Template);
    Some(Publish { to: targets.into_iter().flatten().next()?, name, payload, once })
}

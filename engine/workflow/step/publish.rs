use std::ops::Range;
use std::sync::Arc;

use super::{Fields, Send, WhenHeld};
use crate::diagnostic::Node;
use crate::expression::{Expression, Names};

/// A relay message that is no inbox entry; no gate but expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    pub to: Target,
    name: Option<String>,
    pub payload: Payload,
    /// Once for each (event, workflow), not for each recipient.
    pub once: bool,
    /// `path:line`.
    pub place: Arc<str>,
    /// Where the template's name stands, in bytes of the file.
    pub template_span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Topic(Expression),
    Room(Expression),
    User(Expression),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// The template, and what it sees as `data`.
    Template(String, Vec<(String, Expression)>),
    Data(Vec<(String, Expression)>),
}

/// The part of a template that a `publish` step uses: `<path>/relay.hbs`.
pub const PART: &str = "relay";

/// The frame's `type` where the file gives none.
const NAME: &str = "send_notification";

impl Target {
    /// What names the topic, the room or the user.
    pub fn expression(&self) -> &Expression {
        match self {
            Self::Topic(name) | Self::Room(name) | Self::User(name) => name,
        }
    }
}

impl Payload {
    pub fn data(&self) -> &[(String, Expression)] {
        match self {
            Self::Template(_, data) | Self::Data(data) => data,
        }
    }
}

impl Publish {
    /// The frame's `type`.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(NAME)
    }

    /// Its template as a message's would be: what `check` looks at. `None` where it has none.
    pub fn as_send(&self) -> Option<Send> {
        let Payload::Template(template, data) = &self.payload else { return None };
        Some(Send {
            channels: vec![PART.into()],
            template: Some(template.clone()),
            providers: Vec::new(),
            retry: None,
            quiet_hours: WhenHeld::default(),
            over_limit: WhenHeld::default(),
            expires: None,
            to: None,
            data: data.clone(),
            condition: None,
            place: Arc::clone(&self.place),
            channel_spans: vec![self.template_span.clone()],
            template_span: self.template_span.clone(),
        })
    }
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>, place: Arc<str>) -> Option<Publish> {
    let reader = fields.reader;
    fields.take("publish");
    let mut fields = fields.join(value);
    let targets = [
        fields.expression("topic", Names::STEP).map(Target::Topic),
        fields.expression("room", Names::STEP).map(Target::Room),
        fields.expression("user", Names::STEP).map(Target::User),
    ];
    let name = fields.text("type");
    let template = fields.take("template");
    let template_span = template.map_or(0..0, |node| node.span.clone());
    let template = template.and_then(|node| reader.text(node, "template"));
    let data = fields.expressions("data", Names::STEP);
    let once = fields.flag("once");
    let given = ["topic", "room", "user"].into_iter().filter(|key| fields.has(key));
    if given.count() != 1 {
        let message = "a `publish` step goes to one of `topic`, `room`, `user`";
        reader.error("publish.target", value.span.clone(), message);
    }
    fields.finish();
    let payload = match template {
        Some(template) => Payload::Template(template, data),
        None => Payload::Data(data),
    };
    let to = targets.into_iter().flatten().next()?;
    Some(Publish { to, name, payload, once, place, template_span })
}

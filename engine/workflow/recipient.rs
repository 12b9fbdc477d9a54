use std::sync::Arc;

use super::language;
use super::reader::Reader;
use crate::diagnostic::Node;
use crate::expression::{Expression, Names};

/// One line of `recipients`.
#[derive(Clone, Debug, PartialEq)]
pub struct RecipientRule {
    pub who: Who,
    /// `as`: what templates and expressions see as `recipient.as`. Empty where there is none.
    pub role: String,
    /// Asked of each recipient.
    pub condition: Option<Expression>,
    /// `path:line`.
    pub place: Arc<str>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Who {
    User(Expression),
    /// Everyone subscribed.
    Topic(Expression),
    /// Everyone with a role.
    Role(String),
    Everyone,
    /// Ids.
    List(Expression),
    /// {email, phone, name, locale, time_zone}: nobody stored.
    Contact(Expression),
}

const KINDS: [&str; 6] = ["user", "topic", "role", "everyone", "list", "contact"];

pub(super) fn read(reader: &Reader<'_>, node: &Node) -> Vec<RecipientRule> {
    reader.one_or_more(node).iter().filter_map(|item| rule(reader, item)).collect()
}

fn rule(reader: &Reader<'_>, node: &Node) -> Option<RecipientRule> {
    let mut fields = reader.fields(node, &language::RECIPIENT)?;
    let place = reader.source.place(node.span.start);
    let role = fields.text("as").unwrap_or_default();
    let condition = fields.expression("if", Names::RECIPIENT);
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| node.get(kind).is_some()).collect();
    if given.len() != 1 {
        let message = match given.as_slice() {
            [] => "a recipient needs one of `user`, `topic`, `role`, `everyone`, `list`, `contact`",
            _ => "a recipient is one of `user`, `topic`, `role`, `everyone`, `list`, `contact`",
        };
        reader.error("recipients.kind", node.span.start..node.span.start, message);
    }
    let (user, topic, list, contact) = (
        fields.expression("user", Names::EVENT).map(Who::User),
        fields.expression("topic", Names::EVENT).map(Who::Topic),
        fields.expression("list", Names::EVENT).map(Who::List),
        fields.expression("contact", Names::EVENT).map(Who::Contact),
    );
    let role_name = fields.text("role").map(Who::Role);
    let everyone = fields.flag("everyone").then_some(Who::Everyone);
    fields.finish();
    let who = user.or(topic).or(list).or(contact).or(role_name).or(everyone)?;
    Some(RecipientRule { who, role, condition, place })
}

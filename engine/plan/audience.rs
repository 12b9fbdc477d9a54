use jiff::Timestamp;
use serde_json::Value;

use super::Failed;
use crate::expression::{Expression, Scope};
use crate::model::{Event, TopicName, UserId, Verdict};
use crate::workflow::{RecipientRule, Who, Workflow};

/// Whom a workflow tells of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Audience {
    pub sources: Vec<Source>,
}

/// What one recipient rule came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    told: Told,
    /// The rule's `as`.
    pub role: String,
    /// Asked of each recipient by `begin`.
    pub(super) condition: Option<Expression>,
    /// `path:line` of the rule.
    pub rule: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Told {
    User(UserId),
    List(Vec<UserId>),
    Topic(TopicName),
    Role(String),
    Everyone,
    /// Fields of somebody who is not stored.
    Contact(Value),
    /// A workflow without recipients.
    Nobody,
}

/// An audience that is looked up in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paged<'s> {
    Topic(&'s TopicName),
    Role(&'s str),
    Everyone,
}

impl Source {
    /// The users that the event names itself.
    pub fn users(&self) -> &[UserId] {
        match &self.told {
            Told::User(user) => std::slice::from_ref(user),
            Told::List(users) => users,
            _ => &[],
        }
    }

    /// Whether who did it is left out: of an audience, not of those named one by one (somebody
    /// who changed their own password is told).
    pub fn leaves_the_actor_out(&self) -> bool {
        !matches!(self.told, Told::User(_))
    }

    /// The topic whose subscribers are told.
    pub fn topic(&self) -> Option<&TopicName> {
        match &self.told {
            Told::Topic(topic) => Some(topic),
            _ => None,
        }
    }

    pub fn paged(&self) -> Option<Paged<'_>> {
        match &self.told {
            Told::Topic(topic) => Some(Paged::Topic(topic)),
            Told::Role(role) => Some(Paged::Role(role)),
            Told::Everyone => Some(Paged::Everyone),
            Told::User(_) | Told::List(_) | Told::Contact(_) | Told::Nobody => None,
        }
    }

    /// Whether there is one run with no user: for a contact, whose fields are given, or nobody.
    pub fn contact(&self) -> Option<Option<&Value>> {
        match &self.told {
            Told::Contact(fields) => Some(Some(fields)),
            Told::Nobody => Some(None),
            _ => None,
        }
    }
}

/// Whom `workflow` tells of `event`.
///
/// # Errors
/// Its `if` does not hold (`workflow.if_false`), or an expression fails.
pub fn audience(workflow: &Workflow, event: &Event, now: Timestamp) -> Result<Audience, Failed> {
    let scope = Scope::new(event, now);
    if let Some(condition) = &workflow.condition
        && !condition.evaluate_bool(&scope)?
    {
        return Err(Failed {
            verdict: Verdict::Skip,
            code: "workflow.if_false",
            reason: format!("`if: {}` does not hold", condition.text()),
            rule: condition.place().to_string(),
        });
    }
    if workflow.recipients.is_empty() {
        let nobody = Source {
            told: Told::Nobody,
            role: String::new(),
            condition: None,
            rule: workflow.path.to_string(),
        };
        return Ok(Audience { sources: vec![nobody] });
    }
    if !event.told.is_empty() {
        return Ok(named_by_the_event(workflow, event));
    }
    let sources = workflow.recipients.iter();
    let sources = sources.filter_map(|rule| source(rule, &scope).transpose());
    Ok(Audience { sources: sources.collect::<Result<_, _>>()? })
}

/// An emitted event's own recipients, in the role of the workflow's first rule.
fn named_by_the_event(workflow: &Workflow, event: &Event) -> Audience {
    let role = workflow.recipients.first().map(|rule| rule.role.clone()).unwrap_or_default();
    let source = |user: &UserId| Source {
        told: Told::User(user.clone()),
        role: role.clone(),
        condition: None,
        rule: workflow.path.to_string(),
    };
    Audience { sources: event.told.iter().map(source).collect() }
}

/// `None`: a condition that asks nothing of the recipient is false already.
fn source(rule: &RecipientRule, scope: &Scope<'_>) -> Result<Option<Source>, Failed> {
    let mut condition = rule.condition.clone();
    if let Some(asked) = &rule.condition
        && !asked
            .references()
            .iter()
            .any(|read| read.path.first().is_some_and(|root| root == "recipient"))
    {
        // Before `user` is evaluated: it may hold the guard of a field that `user` reads.
        if !asked.evaluate_bool(scope)? {
            return Ok(None);
        }
        condition = None;
    }
    let told = match &rule.who {
        Who::User(user) => Told::User(id(&user.evaluate_value(scope)?, rule)?),
        Who::List(list) => match list.evaluate_value(scope)? {
            Value::Array(items) => {
                Told::List(items.iter().map(|item| id(item, rule)).collect::<Result<_, _>>()?)
            }
            _ => return Err(misfit(rule, "`list` is no list of user ids")),
        },
        Who::Topic(topic) => Told::Topic(topic.evaluate_text(scope)?.into()),
        Who::Role(role) => Told::Role(role.clone()),
        Who::Everyone => Told::Everyone,
        Who::Contact(contact) => match contact.evaluate_value(scope)? {
            fields @ Value::Object(_) => Told::Contact(fields),
            _ => return Err(misfit(rule, "`contact` is no map of fields")),
        },
    };
    Ok(Some(Source { told, role: rule.role.clone(), condition, rule: rule.place.to_string() }))
}

fn id(value: &Value, rule: &RecipientRule) -> Result<UserId, Failed> {
    UserId::from_json(value).ok_or_else(|| misfit(rule, "a user's id is text or an integer"))
}

fn misfit(rule: &RecipientRule, reason: &str) -> Failed {
    Failed {
        verdict: Verdict::Fail,
        code: "expression.failed",
        reason: reason.into(),
        rule: rule.place.to_string(),
    }
}

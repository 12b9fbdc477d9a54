//! What a template sees: the names of docs/reference/workflow-files.md
//! ("Expressions").

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::model::{Event, Recipient, Run, User};
use crate::template::{Context, DEFAULT_ZONE};

/// Whom a run tells of what.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    pub event: &'a Event,
    pub recipient: &'a Recipient,
    pub run: &'a Run,
}

/// One object for one message. A field that has no value is not there, so that its use is an
/// error or falsy, as in expressions.
pub(super) fn context(told: Told<'_>, data: Option<Value>, zone: &str, now: Timestamp) -> Context {
    let mut names = Map::new();
    names.insert("event".to_owned(), event(told.event));
    names.insert("recipient".to_owned(), recipient(told.recipient));
    names.insert("run".to_owned(), run(told.run));
    for name in ["steps", "vars"] {
        let left = told.run.state.get(name).cloned();
        names.insert(name.to_owned(), left.unwrap_or_else(|| Map::new().into()));
    }
    if let Some(collected) = told.run.state.get("collected") {
        put(&mut names, "count", collected.get("count").cloned());
        let items = collected.get("items").and_then(Value::as_array);
        put(&mut names, "items", items.map(|items| items.iter().map(item).collect::<Value>()));
    }
    put(&mut names, "data", data);
    put(&mut names, "now", Some(now.to_string()));
    put(&mut names, DEFAULT_ZONE, Some(zone));
    Context::from(Value::Object(names))
}

fn event(event: &Event) -> Value {
    let mut fields = Map::new();
    put(&mut fields, "id", Some(event.id.to_string()));
    put(&mut fields, "name", Some(event.name.as_str()));
    put(&mut fields, "data", Some(event.data.clone()));
    put(&mut fields, "at", Some(event.at.to_string()));
    put(&mut fields, "actor", event.actor.as_ref().map(|actor| actor.as_str()));
    put(&mut fields, "tenant", Some(event.tenant.as_str()));
    fields.into()
}

/// An event that a step collected: the fields of its data stand beside its own, which win.
fn item(event: &Value) -> Value {
    let mut fields = match event.get("data") {
        Some(Value::Object(data)) => data.clone(),
        _ => Map::new(),
    };
    if let Some(own) = event.as_object() {
        fields.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    fields.into()
}

fn recipient(recipient: &Recipient) -> Value {
    let mut fields = match (&recipient.person, &recipient.contact) {
        (Some(person), _) => {
            let mut fields = user(&person.user);
            let topics = person.topics.iter().map(|topic| topic.as_str());
            put(&mut fields, "topics", Some(topics.collect::<Value>()));
            fields
        }
        (None, Some(Value::Object(contact))) => contact.clone(),
        (None, _) => Map::new(),
    };
    put(&mut fields, "as", Some(recipient.role.as_str()));
    put(&mut fields, "online", Some(recipient.presence.online));
    put(&mut fields, "last_seen", recipient.presence.last_seen.map(|seen| seen.to_string()));
    fields.into()
}

fn user(user: &User) -> Map<String, Value> {
    let mut fields = Map::new();
    put(&mut fields, "id", Some(user.id.as_str()));
    put(&mut fields, "name", name(user));
    put(&mut fields, "username", user.username.as_deref());
    put(&mut fields, "first_name", user.first_name.as_deref());
    put(&mut fields, "last_name", user.last_name.as_deref());
    put(&mut fields, "email", user.email.as_deref());
    put(&mut fields, "phone", user.phone.as_deref());
    put(&mut fields, "locale", user.locale.as_deref());
    put(&mut fields, "time_zone", user.time_zone.as_deref());
    put(&mut fields, "role", user.role.as_deref());
    put(&mut fields, "data", Some(user.data.clone()));
    fields
}

/// First and last name, as far as known; else the user name.
fn name(user: &User) -> Option<String> {
    match (user.first_name.as_deref(), user.last_name.as_deref()) {
        (Some(first), Some(last)) => Some(format!("{first} {last}")),
        (one, other) => one.or(other).or(user.username.as_deref()).map(str::to_owned),
    }
}

fn run(run: &Run) -> Value {
    let mut fields = Map::new();
    put(&mut fields, "id", Some(run.id.to_string()));
    put(&mut fields, "priority", Some(run.priority.as_str()));
    put(&mut fields, "key", run.key.as_deref());
    put(&mut fields, "started_at", Some(run.started_at.to_string()));
    fields.into()
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value.into());
    }
}

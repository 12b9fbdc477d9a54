//! Permit and template make a message's content. The only maker of a [`Rendered`], which is all
//! that `dispatch` takes.

mod context;
mod discreet;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::gate::Permit;
use crate::model::{
    AttemptNumber, ChannelName, Content, Decision, Event, Message, Parcel, Planned,
};
use crate::template::{Set, TemplateError};

pub use context::Told;

/// A message as it will leave: content, address, and the leave to send it.
#[derive(Debug)]
pub struct Rendered {
    permit: Permit,
    content: Content,
}

/// A message that could not be rendered. Names places and fields, never values.
#[derive(Debug)]
pub struct RenderError {
    message: Box<Message>,
    reason: Reason,
}

#[derive(Debug, PartialEq)]
enum Reason {
    /// The step names no template, or one without a file for the channel.
    NoTemplate(String),
    Template(TemplateError),
}

/// Renders a permitted message. `template` is the path that its step names, `data` the step's own
/// data, which the template sees under that name, and `zone` the time zone of a recipient who has
/// none.
///
/// A webhook without a template carries its event: `{"type", "timestamp", "data"}`.
///
/// A sensitive message to a device or a telephone only says that there is something new, in the template's public words
/// or in our own.
///
/// # Errors
/// No template for the channel, or a template that fails: final, another try would fail alike.
pub fn render(
    permit: Permit,
    template: Option<&str>,
    data: Option<Value>,
    templates: &Set,
    zone: &str,
) -> Result<Rendered, RenderError> {
    if permit.is_discreet() {
        let content = discreet::content(permit.planned(), template, templates);
        return Ok(Rendered { permit, content });
    }
    match content(permit.planned(), template, data, templates, zone, permit.granted_at()) {
        Ok(content) => Ok(Rendered { permit, content }),
        Err(reason) => {
            Err(RenderError { message: Box::new(permit.planned().message.clone()), reason })
        }
    }
}

/// What a template's `part` makes of `data`, as JSON: for what is published, which is no message.
///
/// # Errors
/// As [`render`]; or the text that it gives is no JSON.
pub fn write(
    told: Told<'_>,
    (template, part): (&str, &str),
    data: Value,
    templates: &Set,
    (zone, now): (&str, Timestamp),
) -> Result<Value, TemplateError> {
    let mut context = context::context(told, Some(data), zone, now);
    let content = templates.render(template, part, told.recipient.locale(), &mut context)?;
    serde_json::from_str(&content.body).map_err(|error| TemplateError {
        code: "render.failed",
        path: format!("templates/{template}/{part}.hbs"),
        line: 0,
        column: 0,
        message: format!(
            "what it gives is no JSON: line {}, column {}",
            error.line(),
            error.column()
        ),
    })
}

impl Rendered {
    pub fn planned(&self) -> &Planned {
        self.permit.planned()
    }

    /// The address of the channel's own kind; empty where the provider's settings hold the only
    /// one, and for the inbox.
    pub fn to(&self) -> &str {
        self.permit.to()
    }

    pub fn granted_at(&self) -> Timestamp {
        self.permit.granted_at()
    }

    /// What was waived on the way, to be recorded.
    pub fn passes(&self) -> &[Decision] {
        self.permit.passes()
    }

    pub fn content(&self) -> &Content {
        &self.content
    }

    pub fn channel(&self) -> &ChannelName {
        &self.planned().message.channel
    }

    /// What the channel is given for one attempt.
    pub fn parcel(&self, attempt: AttemptNumber, at: Timestamp) -> Parcel {
        let parcel = parcel(self.planned(), self.to(), self.content.clone(), attempt, at);
        if !self.permit.is_discreet() {
            return parcel;
        }
        // Names of events, workflows and categories say what it is about.
        let extra = parcel.extra.into_iter();
        let extra = extra.filter(|(name, _)| matches!(&**name, "priority" | "sent_at")).collect();
        Parcel { extra, ..parcel }
    }
}

impl RenderError {
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// `path:line` in the template; `None` where there is none.
    pub fn place(&self) -> Option<String> {
        match &self.reason {
            Reason::Template(error) if error.line > 0 => {
                Some(format!("{}:{}", error.path, error.line))
            }
            Reason::Template(error) => Some(error.path.clone()),
            Reason::NoTemplate(_) => None,
        }
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::NoTemplate(what) => f.write_str(what),
            Reason::Template(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RenderError {}

fn content(
    planned: &Planned,
    template: Option<&str>,
    data: Option<Value>,
    templates: &Set,
    zone: &str,
    now: Timestamp,
) -> Result<Content, Reason> {
    let channel = planned.message.channel.as_str();
    match template {
        Some(path) if templates.has(path, channel) => {
            let told =
                Told { event: &planned.event, recipient: &planned.recipient, run: &planned.run };
            let mut context = context::context(told, data, zone, now);
            templates
                .render(path, channel, planned.recipient.locale(), &mut context)
                .map_err(Reason::Template)
        }
        _ if channel == "webhook" => Ok(event_body(&planned.event)),
        Some(path) => {
            Err(Reason::NoTemplate(format!("template `{path}` has none for channel `{channel}`")))
        }
        None => Err(Reason::NoTemplate(format!("the step has no template for `{channel}`"))),
    }
}

/// The event itself, in this order of fields.
#[derive(Serialize)]
struct EventBody<'a> {
    r#type: &'a str,
    timestamp: Timestamp,
    data: &'a Value,
}

fn event_body(event: &Event) -> Content {
    let body = EventBody { r#type: &event.name, timestamp: event.at, data: &event.data };
    // Texts, a moment and JSON: nothing of it can refuse to be written.
    let body = serde_json::to_string(&body).unwrap_or_default();
    Content { kind: "json", body, ..Content::default() }
}

fn parcel(
    planned: &Planned,
    to: &str,
    content: Content,
    attempt: AttemptNumber,
    at: Timestamp,
) -> Parcel {
    let message = &planned.message;
    let extra = [
        ("event", planned.event.name.clone()),
        ("workflow", message.workflow.to_string()),
        ("category", message.category.to_string()),
        ("priority", message.priority.as_str().to_owned()),
        ("sent_at", at.to_string()),
    ];
    Parcel {
        message: message.id,
        channel: message.channel.clone(),
        tenant: planned.event.tenant.clone(),
        idempotency_key: message.id.to_string(),
        attempt,
        to: to.to_owned(),
        content,
        extra: BTreeMap::from(extra.map(|(name, value)| (name.to_owned(), value))),
        at,
    }
}

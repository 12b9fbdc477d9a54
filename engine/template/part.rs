//! One part of a message: how it is escaped, and how it is rendered.

use std::io;

use handlebars::{
    Context, Handlebars, Output, RenderContext, RenderErrorReason, Renderable, Template,
};

use super::{FAILED, MAX_OUTPUT, TemplateError, function};

/// A compiled template; its name is its file's path.
pub(super) type Part = std::sync::Arc<Template>;

/// What a part is, and so how values are escaped in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Html,
    Json,
    Text,
    /// Text that is paid for by the segment.
    Sms,
    /// Text that is limited in bytes.
    Push,
}

/// A Handlebars registry for each kind: it escapes and measures in its own way.
#[derive(Debug)]
pub(super) struct Engines([Handlebars<'static>; 5]);

impl Kind {
    pub(super) fn of_channel(channel: &str) -> Self {
        match channel {
            "email" => Self::Html,
            "webhook" | "http" | "relay" => Self::Json,
            "sms" => Self::Sms,
            "push" => Self::Push,
            _ => Self::Text,
        }
    }

    /// What its front matter is: text that is measured as the channel measures.
    pub(super) fn of_fields(self) -> Self {
        match self {
            Self::Html | Self::Json | Self::Text => Self::Text,
            Self::Sms | Self::Push => self,
        }
    }

    pub(super) fn is_text(self) -> bool {
        self.of_fields() == self
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Text | Self::Sms | Self::Push => "text",
        }
    }
}

impl Engines {
    /// `inlined` are the partials of mails whose style sheets have been inlined.
    pub(super) fn new(partials: &[(String, Template)], inlined: &[(String, Template)]) -> Self {
        Self([Kind::Html, Kind::Json, Kind::Text, Kind::Sms, Kind::Push].map(|kind| {
            let mut engine = Handlebars::new();
            engine.set_strict_mode(true);
            engine.register_escape_fn(match kind {
                Kind::Html => handlebars::html_escape,
                Kind::Json => json_escape,
                Kind::Text | Kind::Sms | Kind::Push => handlebars::no_escape,
            });
            function::register(&mut engine, kind);
            let own = if kind == Kind::Html { inlined } else { &[] };
            for (name, partial) in partials.iter().chain(own) {
                engine.register_template(name, partial.clone());
            }
            engine
        }))
    }

    pub(super) fn render(
        &self,
        kind: Kind,
        part: &Part,
        context: &Context,
    ) -> Result<String, TemplateError> {
        let [html, json, text, sms, push] = &self.0;
        let engine = match kind {
            Kind::Html => html,
            Kind::Json => json,
            Kind::Text => text,
            Kind::Sms => sms,
            Kind::Push => push,
        };
        let mut output = Limited { text: String::with_capacity(512), full: false };
        let rendered = part.render(engine, context, &mut RenderContext::new(None), &mut output);
        match rendered {
            Ok(()) => Ok(output.text),
            Err(error) => {
                let path = error.template_name.clone().or_else(|| part.name.clone());
                let path = path.unwrap_or_default();
                let (line, column) = (error.line_no.unwrap_or(0), error.column_no.unwrap_or(0));
                if output.full {
                    return Err(TemplateError::too_large(path, line, column));
                }
                let message = message(error.reason());
                Err(TemplateError { code: FAILED, path, line, column, message })
            }
        }
    }
}

impl Default for Engines {
    fn default() -> Self {
        Self::new(&[], &[])
    }
}

/// Handlebars' reasons in our words; those that could quote a value are cut short.
fn message(reason: &RenderErrorReason) -> String {
    match reason {
        RenderErrorReason::MissingVariable(Some(path)) => format!("missing field `{path}`"),
        RenderErrorReason::MissingVariable(None) => "missing field".to_owned(),
        RenderErrorReason::ParamNotFoundForIndex(name, index) => {
            format!("helper `{name}`: value {} is missing", index + 1)
        }
        RenderErrorReason::InvalidJsonIndex(_) => "a list has places, not fields".to_owned(),
        RenderErrorReason::Other(own) => own.clone(),
        _ => "cannot be rendered".to_owned(),
    }
}

/// For a place between the quotes of a JSON string.
fn json_escape(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

struct Limited {
    text: String,
    full: bool,
}

impl Output for Limited {
    fn write(&mut self, piece: &str) -> Result<(), io::Error> {
        if self.text.len() + piece.len() > MAX_OUTPUT {
            self.full = true;
            return Err(io::Error::other("full"));
        }
        self.text.push_str(piece);
        Ok(())
    }
}

//! One part of a message: how it is escaped, and how it is rendered.

use std::io;

use handlebars::{
    Context, Handlebars, Output, RenderContext, RenderErrorReason, Renderable, Template,
};

use super::{MAX_OUTPUT, TemplateError, function};

/// A compiled template; its name is its file's path.
pub(super) type Part = std::sync::Arc<Template>;

/// What a part is, and so how values are escaped in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Html,
    Json,
    Text,
}

/// A Handlebars registry for each way of escaping.
#[derive(Debug)]
pub(super) struct Engines {
    html: Handlebars<'static>,
    json: Handlebars<'static>,
    text: Handlebars<'static>,
}

impl Kind {
    pub(super) fn of_channel(channel: &str) -> Self {
        match channel {
            "email" => Self::Html,
            "webhook" | "http" | "relay" => Self::Json,
            _ => Self::Text,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

impl Engines {
    pub(super) fn new(partials: &[(String, Template)]) -> Self {
        let engine = |escape: fn(&str) -> String| {
            let mut engine = Handlebars::new();
            engine.set_strict_mode(true);
            engine.register_escape_fn(escape);
            function::register(&mut engine);
            for (name, partial) in partials {
                engine.register_template(name, partial.clone());
            }
            engine
        };
        Self {
            html: engine(handlebars::html_escape),
            json: engine(json_escape),
            text: engine(handlebars::no_escape),
        }
    }

    pub(super) fn render(
        &self,
        kind: Kind,
        part: &Part,
        context: &Context,
    ) -> Result<String, TemplateError> {
        let engine = match kind {
            Kind::Html => &self.html,
            Kind::Json => &self.json,
            Kind::Text => &self.text,
        };
        let mut output = Limited { text: String::with_capacity(512), full: false };
        let rendered = part.render(engine, context, &mut RenderContext::new(None), &mut output);
        match rendered {
            Ok(()) => Ok(output.text),
            Err(error) => Err(TemplateError {
                path: error.template_name.clone().or_else(|| part.name.clone()).unwrap_or_default(),
                line: error.line_no.unwrap_or(0),
                column: error.column_no.unwrap_or(0),
                message: if output.full {
                    format!("more than {MAX_OUTPUT} bytes")
                } else {
                    message(error.reason())
                },
            }),
        }
    }
}

impl Default for Engines {
    fn default() -> Self {
        Self::new(&[])
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

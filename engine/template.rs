//! Templates: parsed once, rendered in the recipient's language (docs/reference/workflow-files.md).
//!
//! Every part has its own escaping, every field that is read must be there, and a header can
//! never carry a line break. A set is built whole: all problems of all files are reported.

mod assemble;
mod file_name;
mod front_matter;
mod function;
mod inline;
mod language;
mod markup;
mod parse;
mod part;
mod plain_text;
mod public;
mod uses;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::model::{ChannelName, Content};
use part::{Engines, Kind, Part};

pub use public::PublicWords;

/// What a template sees: one JSON object, made once per message with `Context::from(value)`.
pub use function::{DEFAULT_ZONE, reference};
pub use handlebars::Context;
pub use inline::inline_css;
pub use plain_text::text_from_html;

/// Bytes of one rendered part. More is an error.
pub const MAX_OUTPUT: usize = 1 << 20;

/// All templates of an installation. Immutable: a change of files is a new set.
#[derive(Debug, Default)]
pub struct Set {
    templates: HashMap<String, HashMap<String, Channel>>,
    engines: Engines,
    /// Mails whose style sheet could not be inlined before their messages.
    pages: inline::Pages,
}

/// A field that a template reads (`event.data.title`), and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Segments joined by dots, from the context's root; `items.*.name` is a field of each item.
    pub path: String,
    /// Read where a missing field is falsy: by `if`, `unless`, `each`, `and`, `or`, `not` or
    /// `default`.
    pub optional: bool,
    pub place: Place,
}

/// `path:line:column` of a file, both from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub path: Arc<str>,
    pub line: usize,
    pub column: usize,
}

/// Why a template could not be rendered. Names places and fields, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Stable: `render.failed`, or `render.output` for more than [`MAX_OUTPUT`] bytes.
    pub code: &'static str,
    pub path: String,
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    pub column: usize,
    pub message: String,
}

/// A message that could not be rendered.
const FAILED: &str = "render.failed";

/// One channel of a template: its default and its translations.
#[derive(Debug)]
struct Channel {
    default: Variant,
    translations: Vec<(String, Variant)>,
    fields: Vec<Field>,
}

/// One language of one channel of a template, ready to be rendered.
#[derive(Debug)]
struct Variant {
    kind: Kind,
    /// The front matter but for `layout`.
    fields: Vec<(String, Part)>,
    body: Body,
    /// An e-mail's text part; without one, its text is read off the HTML.
    text: Option<Body>,
    /// Its style sheet is to be inlined in each message.
    inline: bool,
}

#[derive(Clone, Debug)]
struct Body {
    part: Part,
    layout: Option<Part>,
}

impl Set {
    /// Reads all files of a set: pairs of a path as the user would write it
    /// (`templates/care/welcome/email.fr.hbs`) and its text. Files that are no `.hbs` are passed
    /// over. The set holds whatever could be read; it is to be used only if nothing is an error.
    pub fn build(files: Vec<(String, String)>) -> (Self, Vec<Diagnostic>) {
        assemble::assemble(files)
    }

    /// Whether a template has a file for a channel.
    pub fn has(&self, path: &str, channel: &str) -> bool {
        self.channel(path, channel).is_some()
    }

    /// Whether every language of a template's channel has a front matter field.
    pub fn writes(&self, path: &str, channel: &str, field: &str) -> bool {
        self.channel(path, channel).is_some_and(|channel| {
            let variants = channel.translations.iter().map(|(_, variant)| variant);
            let mut all = variants.chain([&channel.default]);
            all.all(|variant| variant.fields.iter().any(|(name, _)| name == field))
        })
    }

    /// The templates' paths, sorted.
    pub fn names(&self) -> Vec<&str> {
        sorted(self.templates.keys())
    }

    /// The channels that a template has files for, sorted; none for an unknown template.
    pub fn channels(&self, path: &str) -> Vec<&str> {
        self.templates.get(path).map(|channels| sorted(channels.keys())).unwrap_or_default()
    }

    /// The languages of a template's channel, sorted; `None` is the default.
    pub fn locales(&self, path: &str, channel: &str) -> Vec<Option<&str>> {
        let Some(channel) = self.channel(path, channel) else {
            return Vec::new();
        };
        let named = channel.translations.iter().map(|(locale, _)| Some(locale.as_str()));
        let mut locales: Vec<_> = [None].into_iter().chain(named).collect();
        locales.sort_unstable();
        locales
    }

    /// The fields that a channel of a template reads in any language, those of its layouts and
    /// partials included. Inside `each` and `with` only those of a batch's `items`.
    pub fn fields(&self, path: &str, channel: &str) -> &[Field] {
        self.channel(path, channel).map_or(&[], |channel| &channel.fields)
    }

    /// Renders a message in the language nearest to `locale`: `fr-CA`, then `fr`, then the
    /// default. Only for the time of the call, `context` holds the front matter's fields and the
    /// layout's `body` beside the caller's names.
    ///
    /// # Errors
    /// An unknown template or channel, a missing field, a helper's refusal, or more than
    /// [`MAX_OUTPUT`] bytes.
    pub fn render(
        &self,
        path: &str,
        channel: &str,
        locale: Option<&str>,
        context: &mut Context,
    ) -> Result<Content, TemplateError> {
        let Some(found) = self.channel(path, channel) else {
            return Err(TemplateError {
                code: FAILED,
                path: format!("templates/{path}/{channel}.hbs"),
                line: 0,
                column: 0,
                message: "there is no such template".to_owned(),
            });
        };
        let variant = found.nearest(locale);
        let mut fields = Vec::with_capacity(variant.fields.len());
        for (name, part) in &variant.fields {
            let text = self.engines.render(variant.kind.of_fields(), part, context)?;
            fields.push((name.as_str(), one_line(text)));
        }
        lend(context, fields);
        let body = self.body(variant.kind, &variant.body, context);
        let body = body.and_then(|body| self.finished(variant, body));
        let text = match (&body, &variant.text) {
            (Ok(_), Some(text)) => self.body(Kind::Text, text, context).map(Some),
            (Ok(html), None) if variant.kind == Kind::Html => Ok(Some(text_from_html(html))),
            _ => Ok(None),
        };
        let fields = take_back(context, &variant.fields);
        let mut content =
            Content { kind: variant.kind.as_str(), body: body?, ..Content::default() };
        place_fields(&mut content, fields, channel == ChannelName::IN_APP);
        content.parts.extend(text?.map(|text| ("text".to_owned(), text)));
        Ok(content)
    }

    /// A body as it leaves.
    fn finished(&self, variant: &Variant, mut body: String) -> Result<String, TemplateError> {
        if variant.kind.is_text() {
            trim(&mut body);
        }
        if variant.inline {
            body = self.pages.inlined(body);
            if body.len() > MAX_OUTPUT {
                let path = variant.body.part.name.clone().unwrap_or_default();
                return Err(TemplateError::too_large(path, 0, 0));
            }
        }
        Ok(body)
    }

    fn body(
        &self,
        kind: Kind,
        body: &Body,
        context: &mut Context,
    ) -> Result<String, TemplateError> {
        let text = self.engines.render(kind, &body.part, context)?;
        let Some(layout) = &body.layout else {
            return Ok(text);
        };
        lend(context, vec![("body", text)]);
        let whole = self.engines.render(kind, layout, context);
        if let Some(names) = context.data_mut().as_object_mut() {
            names.remove("body");
        }
        whole
    }

    fn channel(&self, path: &str, channel: &str) -> Option<&Channel> {
        self.templates.get(path)?.get(channel)
    }
}

impl TemplateError {
    fn too_large(path: String, line: usize, column: usize) -> Self {
        let message = format!("more than {MAX_OUTPUT} bytes");
        Self { code: "render.output", path, line, column, message }
    }
}

impl Channel {
    fn nearest(&self, locale: Option<&str>) -> &Variant {
        locale.and_then(|locale| nearest(&self.translations, locale)).unwrap_or(&self.default)
    }
}

/// The translation for a locale or, piece by piece from its end, for a wider one.
fn nearest<'a, T>(translations: &'a [(String, T)], locale: &str) -> Option<&'a T> {
    let mut wanted = locale;
    loop {
        if let Some((_, found)) = translations.iter().find(|(name, _)| same_locale(name, wanted)) {
            return Some(found);
        }
        wanted = &wanted[..wanted.rfind(['-', '_'])?];
    }
}

/// Locales are compared without case, and `fr_CA` is `fr-CA`.
fn same_locale(a: &str, b: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    a.bytes().map(fold).eq(b.bytes().map(fold))
}

/// A field of a header or a list: whatever would end its line becomes a space.
fn one_line(text: String) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.contains(breaks) { text.replace(breaks, " ").trim().to_owned() } else { text }
}

/// A text's last line break is its file's, not the reader's.
fn trim(text: &mut String) {
    text.truncate(text.trim_end().len());
    text.drain(..text.len() - text.trim_start().len());
}

fn lend(context: &mut Context, fields: Vec<(&str, String)>) {
    if let Some(names) = context.data_mut().as_object_mut() {
        names.extend(fields.into_iter().map(|(name, text)| (name.to_owned(), text.into())));
    }
}

fn take_back<'a>(context: &mut Context, fields: &'a [(String, Part)]) -> Vec<(&'a str, String)> {
    let Some(names) = context.data_mut().as_object_mut() else {
        return Vec::new();
    };
    let taken = fields.iter().filter_map(|(name, _)| match names.remove(name) {
        Some(Value::String(text)) => Some((name.as_str(), text)),
        _ => None,
    });
    taken.collect()
}

/// An inbox entry's further fields are its metadata, another channel's are parts.
fn place_fields(content: &mut Content, fields: Vec<(&str, String)>, in_app: bool) {
    let mut title = None;
    for (name, field) in fields {
        match name {
            "subject" => content.subject = Some(field),
            "title" => title = Some(field),
            // For the search, not for the reader.
            "public_title" => {
                content.parts.insert(name.to_owned(), field);
            }
            _ if in_app => {
                content.metadata.insert(name.to_owned(), field.into());
            }
            _ => {
                content.parts.insert(name.to_owned(), field);
            }
        }
    }
    content.subject = content.subject.take().or(title);
}

fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.map(String::as_str).collect();
    names.sort_unstable();
    names
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.path, self.column, self.message),
        }
    }
}

impl std::error::Error for TemplateError {}

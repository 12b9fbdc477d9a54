//! One file: from text to parts whose places are those of the file.

use handlebars::template::{DecoratorTemplate, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Template, TemplateErrorReason};

use super::file_name::FileName;
use super::front_matter::FrontMatter;
use super::function::{self, Signature};
use super::uses::{Names, Uses};
use crate::diagnostic::{Diagnostic, Source};

/// A file as read, its references to others not yet followed.
pub(super) struct Parsed {
    pub(super) source: Source,
    pub(super) name: FileName,
    /// The front matter but for `layout`.
    pub(super) fields: Vec<(String, Template)>,
    /// The layout's name, and where it is named.
    pub(super) layout: Option<(String, std::ops::Range<usize>)>,
    pub(super) body: Template,
    pub(super) uses: Uses,
}

/// A part that cannot be read is empty, so that what refers to the file still finds it.
pub(super) fn parse(source: Source, name: FileName, problems: &mut Vec<Diagnostic>) -> Parsed {
    let front = FrontMatter::read(&source, problems);
    let mut uses = Uses::default();
    let mut fields = Vec::new();
    let mut layout = None;
    let mut declared = Vec::new();
    let is_template = matches!(name, FileName::Template { .. });
    if let (false, Some(entry)) = (is_template, front.entries.first()) {
        let message = "a layout or a partial has no front matter";
        let span = entry.span.clone();
        problems.push(Diagnostic::error(&source, "template.front_matter", span, message));
    }
    for entry in front.entries {
        if entry.key == "layout" {
            let name = entry.text.trim().to_owned();
            layout = (!name.is_empty()).then_some((name, entry.span));
            continue;
        }
        declared.push(entry.key.clone());
        let place = |line, column| entry.place(&source, line, column);
        match compile(&source, &entry.text, &place) {
            Ok(template) => {
                uses.read(&source, &template, Names::Fields, problems);
                fields.push((entry.key, adapted(template)));
            }
            Err(problem) => problems.push(*problem),
        }
    }
    let (first, _) = source.position(front.body);
    let place = |line, column| (line + first - 1, column);
    let body = compile(&source, &source.text()[front.body..], &place);
    let body = body.unwrap_or_else(|problem| {
        problems.push(*problem);
        Template::default()
    });
    let names = match &name {
        FileName::Template { text: true, .. } => Names::Borrowed,
        FileName::Template { .. } => Names::Body(&declared),
        FileName::Layout { .. } | FileName::Partial { .. } => Names::Any,
    };
    uses.read(&source, &body, names, problems);
    Parsed { name, fields, layout, body: adapted(body), uses, source }
}

fn compile(
    source: &Source,
    text: &str,
    place: &dyn Fn(usize, usize) -> (usize, usize),
) -> Result<Template, Box<Diagnostic>> {
    let compiled = Template::compile_with_name(text, source.path().to_owned());
    let mut template = compiled.map_err(|error| {
        let (line, column) = error.pos().unwrap_or((1, 1));
        let (line, column) = place(line, column);
        let at = source.offset(line, column);
        let message = match error.reason() {
            TemplateErrorReason::MismatchingClosedHelper(open, close)
            | TemplateErrorReason::MismatchingClosedDecorator(open, close) => {
                format!("`{open}` is open here, but `{close}` is closed")
            }
            _ => "not well formed: an expression or a block is not closed, or not readable".into(),
        };
        Box::new(Diagnostic::error(source, "template.syntax", at..at, message))
    })?;
    relocate(&mut template, place);
    Ok(template)
}

/// Makes the places of a part those of its file.
fn relocate(template: &mut Template, place: &dyn Fn(usize, usize) -> (usize, usize)) {
    for mapping in &mut template.mapping {
        (mapping.0, mapping.1) = place(mapping.0, mapping.1);
    }
    each_inner(template, &mut |inner| relocate(inner, place));
}

/// Makes of Handlebars' ways our own. Its partials copy the whole context at each inclusion: they
/// become calls of a helper that does not. An `each` over nothing is an error to it unless there
/// is an `else`: it gets one. A helper's name alone is a field's.
fn adapted(mut template: Template) -> Template {
    adapt(&mut template);
    template
}

fn adapt(template: &mut Template) {
    for element in &mut template.elements {
        match element {
            TemplateElement::PartialExpression(partial) => {
                if let Some(call) = partial_call(partial) {
                    *element = call;
                }
            }
            TemplateElement::HelperBlock(block) if block.name.as_name() == Some("each") => {
                block.inverse.get_or_insert_default();
            }
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                read_field(call);
            }
            _ => {}
        }
    }
    each_inner(template, &mut adapt);
}

/// A field may be called as a helper is (`{{url}}`, `{{date}}`): alone it can only be the field.
fn read_field(call: &mut HelperTemplate) {
    let alone = call.params.is_empty() && call.hash.is_empty();
    let name = call.name.as_name().unwrap_or_default();
    if alone
        && Signature::find(name).is_some()
        && let Some((named, field)) = function::field_call(name)
    {
        call.name = named;
        call.params = vec![field];
    }
}

fn partial_call(partial: &mut DecoratorTemplate) -> Option<TemplateElement> {
    let name = super::uses::partial_name(&partial.name)?;
    let mut call = function::partial_call()?;
    call.params = vec![Parameter::Literal(name.into())];
    call.params.append(&mut partial.params);
    call.hash = std::mem::take(&mut partial.hash);
    Some(TemplateElement::HelperBlock(call))
}

fn each_inner(template: &mut Template, act: &mut dyn FnMut(&mut Template)) {
    for element in &mut template.elements {
        let (inner, inverse) = match element {
            TemplateElement::HelperBlock(block) => {
                (block.template.as_mut(), block.inverse.as_mut())
            }
            TemplateElement::DecoratorBlock(block) | TemplateElement::PartialBlock(block) => {
                (block.template.as_mut(), None)
            }
            _ => (None, None),
        };
        inner.into_iter().chain(inverse).for_each(&mut *act);
    }
}

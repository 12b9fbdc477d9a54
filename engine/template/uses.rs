//! What a template reads and calls, found without rendering it.

use std::collections::HashMap;
use std::ops::Range;

use handlebars::Template;
use handlebars::template::{DecoratorTemplate, HelperTemplate, Parameter, TemplateElement};

use super::function::{BLOCKS, LENIENT, Signature};
use super::{Field, Place};
use crate::diagnostic::{Diagnostic, Source};

/// What expressions see, and templates with them; `count` and `items` are a batch's.
const ROOTS: [&str; 9] =
    ["event", "recipient", "run", "steps", "vars", "data", "now", "count", "items"];

/// All that a file reads and includes.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) fields: Vec<Field>,
    pub(super) partials: Vec<Included>,
    pub(super) borrowed: Vec<(String, Place)>,
}

pub(super) struct Included {
    pub(super) name: String,
    pub(super) place: Place,
    /// The partial sees the file's own names: its fields are the file's fields.
    pub(super) transparent: bool,
}

/// Which names stand alone.
#[derive(Clone, Copy)]
pub(super) enum Names<'a> {
    /// Front matter: the context's.
    Fields,
    /// A body: the context's and those of its own front matter.
    Body(&'a [String]),
    /// A text part: beside the context's those of its HTML part's front matter, which is another
    /// file. What is neither is kept in [`Uses::borrowed`].
    Borrowed,
    /// A layout or a partial: whatever its users have.
    Any,
}

/// Names that front matter cannot take: the context's own, and what helpers are called by.
pub(super) fn is_reserved(name: &str) -> bool {
    let called = Signature::find(name).is_some() || BLOCKS.contains(&name);
    called || name == "body" || ROOTS.contains(&name)
}

impl Uses {
    pub(super) fn read(
        &mut self,
        source: &Source,
        template: &Template,
        names: Names<'_>,
        problems: &mut Vec<Diagnostic>,
    ) {
        let (scopes, at) = (Vec::new(), (1, 1));
        Reader { uses: self, source, names, problems, scopes, at }.template(template);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Over the events of a batch.
    Items,
    Other,
}

struct Reader<'a> {
    uses: &'a mut Uses,
    source: &'a Source,
    names: Names<'a>,
    problems: &'a mut Vec<Diagnostic>,
    /// The `each` and `with` that are open: inside, a name is an item's.
    scopes: Vec<Scope>,
    at: (usize, usize),
}

impl Reader<'_> {
    fn template(&mut self, template: &Template) {
        for (index, element) in template.elements.iter().enumerate() {
            // An `else if` has no place of its own: the one before stays.
            if let Some(mapping) = template.mapping.get(index) {
                self.at = (mapping.0, mapping.1);
            }
            self.element(element);
        }
    }

    fn element(&mut self, element: &TemplateElement) {
        match element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                self.expression(call);
            }
            TemplateElement::HelperBlock(block) => self.block(block),
            TemplateElement::PartialExpression(partial) => self.partial(partial),
            TemplateElement::PartialBlock(_) => {
                self.report("template.syntax", "a partial takes no block".to_owned());
            }
            _ => self.report("template.syntax", "decorators are not supported".to_owned()),
        }
    }

    fn expression(&mut self, call: &HelperTemplate) {
        if call.params.is_empty() && call.hash.is_empty() {
            self.parameter(&call.name, false);
        } else {
            self.call(call);
        }
    }

    fn call(&mut self, call: &HelperTemplate) {
        let name = call.name.as_name().unwrap_or_default();
        match Signature::find(name) {
            Some(signature) => {
                for message in signature.refuse(&call.params, &call.hash) {
                    self.report("template.argument", format!("helper `{name}` {message}"));
                }
            }
            None => self.unknown_helper(name, &mut Signature::names()),
        }
        self.arguments(&call.params, &call.hash, LENIENT.contains(&name));
    }

    fn arguments(
        &mut self,
        params: &[Parameter],
        hash: &HashMap<String, Parameter>,
        optional: bool,
    ) {
        for parameter in params.iter().chain(hash.values()) {
            self.parameter(parameter, optional);
        }
    }

    fn parameter(&mut self, parameter: &Parameter, optional: bool) {
        match parameter {
            Parameter::Literal(_) => {}
            Parameter::Subexpression(inner) => {
                if let TemplateElement::Expression(call) = inner.as_element() {
                    self.expression(call);
                }
            }
            _ => self.field(parameter.as_name().unwrap_or_default(), optional),
        }
    }

    fn block(&mut self, block: &HelperTemplate) {
        let name = block.name.as_name().unwrap_or_default();
        if !BLOCKS.contains(&name) {
            self.unknown_helper(name, &mut BLOCKS.into_iter());
        } else if name != "raw" && block.params.len() != 1 {
            self.report("template.argument", format!("`{name}` takes one value"));
        }
        let optional = matches!(name, "if" | "unless" | "each");
        self.arguments(&block.params, &block.hash, optional);
        let outer = self.scopes.len();
        if matches!(name, "each" | "with") {
            let over = block.params.first().and_then(Parameter::as_name);
            let over = over.and_then(|over| absolute(over, &self.scopes));
            let items = name == "each" && block.block_param.is_none();
            let items = items && over.as_deref() == Some("items");
            self.scopes.push(if items { Scope::Items } else { Scope::Other });
        }
        block.template.iter().for_each(|inner| self.template(inner));
        self.scopes.truncate(outer);
        block.inverse.iter().for_each(|inner| self.template(inner));
    }

    fn partial(&mut self, partial: &DecoratorTemplate) {
        self.arguments(&partial.params, &partial.hash, false);
        let Some(name) = partial_name(&partial.name) else {
            let message = "the partial's name must stand in the template";
            self.report("template.partial_unknown", message.to_owned());
            return;
        };
        let transparent = self.scopes.is_empty() && partial.params.is_empty();
        self.uses.partials.push(Included { name, place: self.place(), transparent });
    }

    fn field(&mut self, raw: &str, optional: bool) {
        let Some(path) = absolute(raw, &self.scopes) else {
            return;
        };
        let root = path.split('.').next().unwrap_or_default();
        if ROOTS.contains(&root) {
            self.uses.fields.push(Field { path, optional, place: self.place() });
            return;
        }
        match self.names {
            Names::Any => {}
            Names::Body(declared) if declared.iter().any(|name| name == root) => {}
            Names::Borrowed => self.uses.borrowed.push((root.to_owned(), self.place())),
            Names::Fields | Names::Body(_) => {
                self.problems.push(unknown_name(self.source, root, &self.place()));
            }
        }
    }

    fn unknown_helper(&mut self, name: &str, known: &mut dyn Iterator<Item = &'static str>) {
        let problem = self
            .problem("template.helper_unknown", format!("there is no helper `{name}`"))
            .suggest(name, known);
        self.problems.push(problem);
    }

    fn report(&mut self, code: &'static str, message: String) {
        let problem = self.problem(code, message);
        self.problems.push(problem);
    }

    fn problem(&self, code: &'static str, message: String) -> Diagnostic {
        let span = expression_at(self.source, self.at.0, self.at.1);
        Diagnostic::error(self.source, code, span, message)
    }

    fn place(&self) -> Place {
        Place { path: self.source.path_shared(), line: self.at.0, column: self.at.1 }
    }
}

pub(super) fn unknown_name(source: &Source, name: &str, place: &Place) -> Diagnostic {
    let span = expression_at(source, place.line, place.column);
    let message = format!("there is no name `{name}`");
    Diagnostic::error(source, "template.name_unknown", span, message)
        .suggest(name, ROOTS.into_iter().chain(Signature::names()))
}

fn expression_at(source: &Source, line: usize, column: usize) -> Range<usize> {
    let start = source.offset(line, column);
    let width = source.text()[start..].find("}}").map_or(0, |end| end + 2);
    start..start + width
}

/// A partial's name as its file has it; `None` where it would be computed.
pub(super) fn partial_name(name: &Parameter) -> Option<String> {
    name.as_name().map(|name| name.trim_matches(['\'', '[', ']']).to_owned())
}

/// The path from the context's root, `items.*` for an item of a batch; `None` where it is another
/// item's or a block's own.
fn absolute(raw: &str, scopes: &[Scope]) -> Option<String> {
    let (mut path, mut depth) = (raw, scopes.len());
    if let Some(rest) = path.strip_prefix("@root").and_then(|rest| rest.strip_prefix(['.', '/'])) {
        (path, depth) = (rest, 0);
    }
    while let Some(rest) = path.strip_prefix("../") {
        path = rest;
        depth = depth.checked_sub(1)?;
    }
    path = path.strip_prefix("./").unwrap_or(path);
    path = path.strip_prefix("this.").unwrap_or(path);
    if path == "this" || path.starts_with('@') {
        return None;
    }
    let inside = match depth.checked_sub(1).map(|last| scopes[last]) {
        None => None,
        Some(Scope::Items) => Some(["items", "*"]),
        Some(Scope::Other) => return None,
    };
    let segments = path.split(['.', '/']).map(|segment| segment.trim_matches(['[', ']']));
    let segments = inside.into_iter().flatten().chain(segments);
    Some(segments.collect::<Vec<_>>().join("."))
}

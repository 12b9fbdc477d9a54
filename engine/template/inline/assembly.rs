//! A mail's parts, put together with a marker for every expression, and taken apart again.

use std::collections::HashMap;

use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use serde_json::Value;

use super::context::{count, marked, next_marker, still_balanced};
use super::{Obstacle, inline_css};
use crate::template::assemble::MAX_DEPTH;
use crate::template::function::PARTIAL;

/// What becomes of a mail's parts.
pub(in crate::template) enum Assembled {
    /// There is no style sheet in it.
    Plain,
    Inlined {
        body: Template,
        layout: Option<Template>,
    },
    PerMessage(Obstacle),
}

/// Partials as they are inlined in some mail, each under a name of its own.
#[derive(Default)]
pub(in crate::template) struct Partials {
    made: Vec<(String, Template)>,
    by_partial: HashMap<String, Vec<usize>>,
}

/// An expression's place in the page.
pub(super) struct Marker {
    pub(super) role: Role,
    pub(super) place: (String, usize, usize),
    /// It stands between elements, not inside a tag or a title.
    pub(super) between: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Value,
    /// A value that is not escaped.
    Markup,
    /// `conditional`: what is inside may be there once, often, or not at all.
    Open {
        conditional: bool,
    },
    Else,
    Close,
}

/// A partial by its name.
type Find<'a> = dyn Fn(&str) -> Option<&'a Template> + 'a;

pub(in crate::template) fn assembled<'a>(
    body: &'a Template,
    layout: Option<&'a Template>,
    find: &'a Find<'a>,
    partials: &mut Partials,
) -> Assembled {
    // A prefix that nobody wrote.
    let mut prefix = "nxq".to_owned();
    let mut flat = loop {
        let mut flat = Flat::new(&prefix, find, layout.is_some().then_some(body));
        flat.template(layout.unwrap_or(body), 0);
        if count(&flat.html, &prefix) == flat.markers.len() || prefix.len() > 16 {
            break flat;
        }
        prefix.push('q');
    };
    if !flat.html.to_ascii_lowercase().contains("<style") {
        return Assembled::Plain;
    }
    if let Some(obstacle) = flat.obstacle.take() {
        return Assembled::PerMessage(obstacle);
    }
    match pieces(&flat.html, &prefix, &mut flat.markers) {
        Ok(pieces) => {
            let pieces = pieces.into_iter();
            let inner = layout.is_some().then_some(body);
            let mut rebuild = Rebuild { pieces, find, partials, body: inner, built: None };
            match layout {
                None => Assembled::Inlined { body: rebuild.template(body), layout: None },
                Some(layout) => {
                    let layout = rebuild.template(layout);
                    let body = rebuild.built.unwrap_or_default();
                    Assembled::Inlined { body, layout: Some(layout) }
                }
            }
        }
        Err(obstacle) => Assembled::PerMessage(obstacle),
    }
}

impl Partials {
    /// The templates by the names that [`assembled`] calls them.
    pub(in crate::template) fn into_templates(self) -> Vec<(String, Template)> {
        self.made
    }

    fn name(&mut self, partial: &str, template: Template) -> String {
        let known = self.by_partial.entry(partial.to_owned()).or_default();
        if let Some(index) = known.iter().find(|index| self.made[**index].1 == template) {
            return self.made[*index].0.clone();
        }
        // No file can be called so.
        let name = format!("{partial}//{}", known.len());
        known.push(self.made.len());
        self.made.push((name.clone(), template));
        name
    }
}

/// The page's texts before, between and after its markers, with the sheet inlined.
fn pieces(html: &str, prefix: &str, markers: &mut [Marker]) -> Result<Vec<String>, Obstacle> {
    let whole = |reason| Obstacle { reason, place: None };
    let page = marked(html, prefix, markers)?;
    let page = inline_css(&page).ok_or(whole("the page or its style sheet cannot be read"))?;
    let moved = whole("inlining would move or lose an expression");
    if count(&page, prefix) != markers.len() || !still_balanced(&page, prefix, markers) {
        return Err(moved);
    }
    let mut pieces = Vec::with_capacity(markers.len() + 1);
    let mut rest = page.as_str();
    for (expected, marker) in markers.iter().enumerate() {
        let Some((at, width, index)) = next_marker(rest, prefix) else {
            return Err(moved);
        };
        let (mut before, mut after) = (&rest[..at], &rest[at + width..]);
        if marker.between {
            match (before.strip_suffix("<!--"), after.strip_prefix("-->")) {
                (Some(left), Some(right)) => (before, after) = (left, right),
                _ => return Err(moved),
            }
        }
        if index != expected {
            return Err(moved);
        }
        pieces.push(before.to_owned());
        rest = after;
    }
    pieces.push(rest.to_owned());
    Ok(pieces)
}

/// What stands for one element of a template.
enum Part<'a> {
    Nothing,
    Value,
    Markup,
    Body,
    Partial(&'a str),
    Block(&'a HelperTemplate),
    Other,
}

fn part<'a>(element: &'a TemplateElement, has_body: bool) -> Part<'a> {
    match element {
        TemplateElement::RawString(_) | TemplateElement::Comment(_) => Part::Nothing,
        TemplateElement::Expression(_) => Part::Value,
        TemplateElement::HtmlExpression(call) => {
            let is_body = call.name.as_name() == Some("body") && call.params.is_empty();
            if is_body && has_body { Part::Body } else { Part::Markup }
        }
        TemplateElement::HelperBlock(block) if block.name.as_name() == Some(PARTIAL) => {
            match block.params.first() {
                Some(Parameter::Literal(Value::String(name))) => Part::Partial(name),
                _ => Part::Other,
            }
        }
        TemplateElement::HelperBlock(block) => Part::Block(block),
        _ => Part::Other,
    }
}

struct Flat<'a> {
    prefix: String,
    find: &'a Find<'a>,
    body: Option<&'a Template>,
    html: String,
    markers: Vec<Marker>,
    obstacle: Option<Obstacle>,
    place: (String, usize, usize),
}

impl<'a> Flat<'a> {
    fn new(prefix: &str, find: &'a Find<'a>, body: Option<&'a Template>) -> Self {
        Self {
            prefix: prefix.to_owned(),
            find,
            body,
            html: String::new(),
            markers: Vec::new(),
            obstacle: None,
            place: (String::new(), 1, 1),
        }
    }

    fn template(&mut self, template: &Template, depth: usize) {
        if depth > MAX_DEPTH * 4 {
            self.refuse("blocks and partials are nested too deep");
            return;
        }
        for (index, element) in template.elements.iter().enumerate() {
            if let Some(mapping) = template.mapping.get(index) {
                let name = template.name.as_deref().unwrap_or(&self.place.0);
                self.place = (name.to_owned(), mapping.0, mapping.1);
            }
            match part(element, self.body.is_some()) {
                Part::Nothing => {
                    if let TemplateElement::RawString(text) = element {
                        self.html.push_str(text);
                    }
                }
                Part::Value => self.mark(Role::Value),
                Part::Markup => self.mark(Role::Markup),
                Part::Body => {
                    let body = self.body.take();
                    self.mark(Role::Open { conditional: false });
                    let outer = self.place.clone();
                    body.into_iter().for_each(|body| self.template(body, depth + 1));
                    self.place = outer;
                    self.mark(Role::Close);
                }
                Part::Partial(name) => {
                    self.mark(Role::Open { conditional: false });
                    let outer = self.place.clone();
                    match (self.find)(name) {
                        Some(partial) => self.template(partial, depth + 1),
                        None => self.refuse("a partial is missing"),
                    }
                    self.place = outer;
                    self.mark(Role::Close);
                }
                Part::Block(block) => {
                    self.mark(Role::Open { conditional: true });
                    let own = self.place.clone();
                    block.template.iter().for_each(|inner| self.template(inner, depth + 1));
                    if let Some(inverse) = &block.inverse {
                        self.place.clone_from(&own);
                        self.mark(Role::Else);
                        self.template(inverse, depth + 1);
                    }
                    self.place = own;
                    self.mark(Role::Close);
                }
                Part::Other => self.refuse("an expression of a kind that cannot be kept"),
            }
        }
    }

    fn mark(&mut self, role: Role) {
        let number = self.markers.len();
        self.html.push_str(&self.prefix);
        self.html.push_str(&number.to_string());
        self.html.push('z');
        self.markers.push(Marker { role, place: self.place.clone(), between: false });
    }

    fn refuse(&mut self, reason: &'static str) {
        let place = Some(self.place.clone());
        self.obstacle.get_or_insert(Obstacle { reason, place });
    }
}

/// The way of [`Flat`] again, with the pieces as they are now.
struct Rebuild<'a, 'p, P> {
    pieces: P,
    find: &'a Find<'a>,
    partials: &'p mut Partials,
    body: Option<&'a Template>,
    built: Option<Template>,
}

impl<P: Iterator<Item = String>> Rebuild<'_, '_, P> {
    fn template(&mut self, old: &Template) -> Template {
        let mut new = old.clone();
        new.elements.clear();
        new.mapping.clear();
        self.raw(&mut new, old, 0);
        for (index, element) in old.elements.iter().enumerate() {
            let element = match part(element, self.body.is_some()) {
                Part::Nothing => continue,
                Part::Body => {
                    let body = self.body.take();
                    self.built = body.map(|body| self.template(body));
                    element.clone()
                }
                Part::Partial(name) => self.partial(name, element),
                Part::Block(block) => {
                    let mut block = block.clone();
                    match &block.template {
                        Some(inner) => block.template = Some(self.template(inner)),
                        // Nothing is in it: the piece is empty.
                        None => drop(self.pieces.next()),
                    }
                    block.inverse = block.inverse.take().map(|inner| self.template(&inner));
                    TemplateElement::HelperBlock(Box::new(block))
                }
                Part::Value | Part::Markup | Part::Other => element.clone(),
            };
            new.elements.push(element);
            new.mapping.extend(old.mapping.get(index).cloned());
            self.raw(&mut new, old, index);
        }
        new
    }

    fn raw(&mut self, new: &mut Template, old: &Template, index: usize) {
        let text = self.pieces.next().unwrap_or_default();
        if !text.is_empty() {
            new.elements.push(TemplateElement::RawString(text));
            // Texts cannot fail: any place will do, so that those after it stay in step.
            new.mapping.extend(old.mapping.get(index).or(old.mapping.last()).cloned());
        }
    }

    fn partial(&mut self, name: &str, call: &TemplateElement) -> TemplateElement {
        let Some(partial) = (self.find)(name) else {
            return call.clone();
        };
        let inlined = self.template(partial);
        let name = self.partials.name(name, inlined);
        let mut call = call.clone();
        if let TemplateElement::HelperBlock(block) = &mut call
            && let Some(first) = block.params.first_mut()
        {
            *first = Parameter::Literal(name.into());
        }
        call
    }
}

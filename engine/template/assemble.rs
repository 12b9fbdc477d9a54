//! From files to a set: layouts and partials are found, translations meet their defaults.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use handlebars::Template;

use super::file_name::FileName;
use super::inline::{self, Assembled, Obstacle};
use super::parse::{self, Parsed};
use super::part::{Engines, Kind, Part};
use super::uses::{self, Included, Uses};
use super::{Body, Channel, Field, Set, Variant, nearest};
use crate::diagnostic::{self, Diagnostic, Source};

/// How deep partials may include partials.
pub(super) const MAX_DEPTH: usize = 16;

pub(super) fn assemble(files: Vec<(String, String)>) -> (Set, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let mut parsed = Vec::new();
    for (path, text) in files {
        match FileName::parse(&path) {
            Ok(Some(name)) => {
                parsed.push(parse::parse(Source::new(path, text), name, &mut problems));
            }
            Ok(None) => {}
            Err(message) => problems.push(Diagnostic::of_file("template.name", &path, message)),
        }
    }
    parsed.sort_by(|a, b| a.source.path().cmp(b.source.path()));
    let mut assembly = Assembly { problems, ..Assembly::default() };
    let mut channels: BTreeMap<(String, String), Vec<Parsed>> = BTreeMap::new();
    for file in parsed {
        match &file.name {
            FileName::Template { path, channel, .. } => {
                channels.entry((path.clone(), channel.clone())).or_default().push(file);
            }
            FileName::Layout { .. } => assembly.layout(file),
            FileName::Partial { name } => {
                assembly.partials.insert(name.clone(), (file.body, file.source, file.uses));
            }
        }
    }
    assembly.check_partials();
    let mut templates: HashMap<String, HashMap<String, Channel>> = HashMap::new();
    for ((path, name), files) in channels {
        if let Some(channel) = assembly.channel(&name, files) {
            templates.entry(path).or_default().insert(name, channel);
        }
    }
    let partials: Vec<_> =
        assembly.partials.into_iter().map(|(name, (partial, ..))| (name, partial)).collect();
    diagnostic::sort(&mut assembly.problems);
    let engines = Engines::new(&partials, &assembly.inlined.into_templates());
    (Set { templates, engines, pages: inline::Pages::default() }, assembly.problems)
}

#[derive(Default)]
struct Assembly {
    /// By (name, text).
    layouts: BTreeMap<(String, bool), Layout>,
    partials: BTreeMap<String, (Template, Source, Uses)>,
    /// Partials and layouts as the mails have them that use them.
    inlined: inline::Partials,
    inlined_layouts: Vec<(Part, Part)>,
    problems: Vec<Diagnostic>,
}

#[derive(Default)]
struct Layout {
    default: Option<Part>,
    translations: Vec<(String, Part)>,
    uses: Vec<(Source, Uses)>,
}

impl Layout {
    fn nearest(&self, locale: Option<&str>) -> Option<Part> {
        locale
            .and_then(|locale| nearest(&self.translations, locale))
            .or(self.default.as_ref())
            .map(Arc::clone)
    }
}

impl Assembly {
    fn layout(&mut self, file: Parsed) {
        let FileName::Layout { name, locale, text } = file.name else {
            return;
        };
        let layout = self.layouts.entry((name, text)).or_default();
        let part = Arc::new(file.body);
        match locale {
            Some(locale) => layout.translations.push((locale, part)),
            None => layout.default = Some(part),
        }
        layout.uses.push((file.source, file.uses));
    }

    /// Partials that are not there, and partials that include themselves.
    fn check_partials(&mut self) {
        let mut problems = Vec::new();
        for (name, (_, source, uses)) in &self.partials {
            self.check_included(source, uses, &mut problems);
            if self.too_deep(name, MAX_DEPTH) {
                let message = format!("`{name}` includes itself, or more than {MAX_DEPTH} deep");
                problems.push(Diagnostic::error(source, "template.partial_cycle", 0..0, message));
            }
        }
        for layout in self.layouts.values() {
            for (source, uses) in &layout.uses {
                self.check_included(source, uses, &mut problems);
            }
        }
        self.problems.append(&mut problems);
    }

    fn too_deep(&self, name: &str, left: usize) -> bool {
        let mut level: HashSet<&str> = HashSet::from([name]);
        for _ in 0..left {
            let included = level.iter().filter_map(|name| self.partials.get(*name));
            level = included
                .flat_map(|(_, _, uses)| uses.partials.iter().map(|partial| partial.name.as_str()))
                .collect();
        }
        !level.is_empty()
    }

    fn check_included(&self, source: &Source, uses: &Uses, problems: &mut Vec<Diagnostic>) {
        for Included { name, place, .. } in &uses.partials {
            if self.partials.contains_key(name) {
                continue;
            }
            let at = source.offset(place.line, place.column);
            let message = format!("there is no partial `{name}`");
            let problem = Diagnostic::error(source, "template.partial_unknown", at..at, message);
            problems.push(problem.suggest(name, self.partials.keys().map(String::as_str)));
        }
    }

    fn channel(&mut self, name: &str, files: Vec<Parsed>) -> Option<Channel> {
        let kind = Kind::of_channel(name);
        let mut problems = Vec::new();
        let mut fields = Vec::new();
        for file in &files {
            self.check_included(&file.source, &file.uses, &mut problems);
            self.collect(&file.uses, &mut fields, 0);
        }
        self.problems.append(&mut problems);
        let first = files.first()?.source.clone();
        let (texts, main): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|file| matches!(file.name, FileName::Template { text: true, .. }));
        let mut variants = Vec::new();
        for file in main {
            let locale = locale_of(&file.name);
            let layout = file.layout.clone();
            let text = self.text_part(&texts, locale.as_deref(), layout.as_ref(), &mut fields);
            let variant = self.variant(kind, file, locale.as_deref(), text, &mut fields);
            variants.push((locale, variant));
        }
        self.check_texts(&texts, &variants);
        fields.sort_by(|a, b| (&a.path, &a.place).cmp(&(&b.path, &b.place)));
        fields.dedup();
        let mut default = None;
        let mut translations = Vec::new();
        for (locale, variant) in variants {
            match locale {
                Some(locale) => translations.push((locale, variant)),
                None => default = Some(variant),
            }
        }
        let Some(default) = default else {
            let message = format!("`{name}` has a part of a template, but no `{name}.hbs`");
            self.problems.push(Diagnostic::error(
                &first,
                "template.default_missing",
                0..0,
                message,
            ));
            return None;
        };
        Some(Channel { default, translations, fields })
    }

    fn variant(
        &mut self,
        kind: Kind,
        file: Parsed,
        locale: Option<&str>,
        text: Option<Body>,
        fields: &mut Vec<Field>,
    ) -> Variant {
        let layout = file.layout.as_ref().and_then(|(name, span)| {
            self.find_layout(&file.source, name, span.clone(), kind, locale, fields)
        });
        let parts = file.fields.into_iter().map(|(name, part)| (name, Arc::new(part)));
        let body = Body { part: Arc::new(file.body), layout };
        let fields = parts.collect();
        // A set with an error is not used, and its parts may not fit together.
        if kind != Kind::Html || self.problems.iter().any(Diagnostic::is_error) {
            return Variant { kind, fields, body, text, inline: false };
        }
        match self.inline(&body) {
            Ok(inlined) => {
                Variant { kind, fields, body: inlined.unwrap_or(body), text, inline: false }
            }
            Err(obstacle) => {
                self.warn(&file.source, &obstacle);
                Variant { kind, fields, body, text, inline: true }
            }
        }
    }

    /// A mail with its style sheet inlined; `None` where it has none.
    fn inline(&mut self, body: &Body) -> Result<Option<Body>, Obstacle> {
        let partials = &self.partials;
        let find = |name: &str| partials.get(name).map(|(partial, ..)| partial);
        let layout = body.layout.as_deref();
        match inline::assembled(&body.part, layout, &find, &mut self.inlined) {
            Assembled::Plain => Ok(None),
            Assembled::PerMessage(obstacle) => Err(obstacle),
            Assembled::Inlined { body: part, layout } => {
                let layout = layout.zip(body.layout.as_ref());
                let layout = layout.map(|(made, original)| self.inlined_layout(original, made));
                Ok(Some(Body { part: Arc::new(part), layout }))
            }
        }
    }

    /// Most mails of a layout have the same: it is kept once.
    fn inlined_layout(&mut self, original: &Part, made: Template) -> Part {
        let same = |(of, known): &&(Part, Part)| Arc::ptr_eq(of, original) && **known == made;
        if let Some((_, known)) = self.inlined_layouts.iter().find(same) {
            return Arc::clone(known);
        }
        let made = Arc::new(made);
        self.inlined_layouts.push((Arc::clone(original), Arc::clone(&made)));
        made
    }

    fn warn(&mut self, own: &Source, obstacle: &Obstacle) {
        let layouts = self.layouts.values().flat_map(|layout| &layout.uses);
        let partials = self.partials.values().map(|(_, source, _)| source);
        let mut sources = layouts.map(|(source, _)| source).chain(partials);
        let (source, at) = match &obstacle.place {
            Some((path, line, column)) if path != own.path() => {
                let source = sources.find(|source| source.path() == path).unwrap_or(own);
                (source, source.offset(*line, *column))
            }
            Some((_, line, column)) => (own, own.offset(*line, *column)),
            None => (own, 0),
        };
        let message = format!("the CSS must be inlined for each message: {}", obstacle.reason);
        let problem = Diagnostic::warning(source, "template.inline", at..at, message);
        self.problems.push(problem.hint("a mail costs the less, the less of its markup changes"));
    }

    fn find_layout(
        &mut self,
        source: &Source,
        name: &str,
        span: Range<usize>,
        kind: Kind,
        locale: Option<&str>,
        fields: &mut Vec<Field>,
    ) -> Option<Part> {
        if kind == Kind::Json {
            let message = "a JSON body has no layout";
            self.problems.push(Diagnostic::error(source, "template.front_matter", span, message));
            return None;
        }
        let text = kind.is_text();
        let found = self.layouts.get(&(name.to_owned(), text));
        let part = found.and_then(|layout| layout.nearest(locale));
        match (found, &part) {
            (Some(layout), Some(_)) => {
                layout.uses.iter().for_each(|(_, uses)| self.collect(uses, fields, 0));
            }
            _ => {
                let file = if text { format!("{name}.txt.hbs") } else { format!("{name}.hbs") };
                let message = format!("there is no layout `templates/_layouts/{file}`");
                let names = self.layouts.keys().filter(|(_, of_text)| *of_text == text);
                let problem = Diagnostic::error(source, "template.layout_unknown", span, message)
                    .suggest(name, names.map(|(name, _)| name.as_str()));
                self.problems.push(problem);
            }
        }
        part
    }

    /// The text part of an e-mail in the HTML part's own language, or a wider one of it: languages
    /// are not mixed. Its layout is its own, else the HTML layout's text twin where there is one.
    fn text_part(
        &mut self,
        texts: &[Parsed],
        locale: Option<&str>,
        html_layout: Option<&(String, Range<usize>)>,
        fields: &mut Vec<Field>,
    ) -> Option<Body> {
        let exact = |wanted: Option<&str>| {
            texts.iter().find(|file| locale_of(&file.name).as_deref() == wanted)
        };
        let file = match locale {
            None => exact(None)?,
            Some(locale) => {
                let mut wanted = locale;
                loop {
                    match exact(Some(wanted)) {
                        Some(file) => break file,
                        None => wanted = &wanted[..wanted.rfind('-')?],
                    }
                }
            }
        };
        let twin = html_layout.filter(|(name, _)| self.layouts.contains_key(&(name.clone(), true)));
        let layout = file.layout.as_ref().or(twin).and_then(|(name, span)| {
            let span = span.clone();
            self.find_layout(&file.source, name, span, Kind::Text, locale, fields)
        });
        Some(Body { part: Arc::new(file.body.clone()), layout })
    }

    /// A text part's fields are those of its HTML part, and it is nothing without one.
    fn check_texts(&mut self, texts: &[Parsed], variants: &[(Option<String>, Variant)]) {
        for file in texts {
            if !file.fields.is_empty() {
                let message = "a text part takes its fields from the HTML part";
                let problem =
                    Diagnostic::error(&file.source, "template.front_matter", 0..3, message);
                self.problems.push(problem);
            }
            for (name, place) in &file.uses.borrowed {
                let has = |variant: &Variant| variant.fields.iter().any(|(field, _)| field == name);
                if !variants.iter().any(|(_, variant)| has(variant)) {
                    self.problems.push(uses::unknown_name(&file.source, name, place));
                }
            }
            let locale = locale_of(&file.name);
            let wider = |name: &Option<String>| match (name, &locale) {
                (None, None) => true,
                (Some(name), Some(locale)) => name.starts_with(locale.as_str()),
                _ => false,
            };
            if !variants.iter().any(|(name, _)| wider(name)) {
                let message = "a text part without an HTML part of its language is never used";
                let problem =
                    Diagnostic::warning(&file.source, "template.part_unused", 0..0, message);
                self.problems.push(problem);
            }
        }
    }

    /// The fields of a file and of the partials that see what it sees.
    fn collect(&self, uses: &Uses, fields: &mut Vec<Field>, depth: usize) {
        fields.extend(uses.fields.iter().cloned());
        for partial in uses.partials.iter().filter(|partial| partial.transparent) {
            if let (Some((_, _, uses)), true) =
                (self.partials.get(&partial.name), depth < MAX_DEPTH)
            {
                self.collect(uses, fields, depth + 1);
            }
        }
    }
}

fn locale_of(name: &FileName) -> Option<String> {
    match name {
        FileName::Template { locale, .. } => locale.clone(),
        _ => None,
    }
}

//! Reading a file's values: every wrong one is reported, and reading goes on.

use std::cell::RefCell;
use std::ops::Range;

use super::Pattern;
use super::language::{self, Construct};
use crate::diagnostic::{Diagnostic, Kind, Node, Source};
use crate::expression::Expression;
use crate::model::Span;

/// Items of one list.
const MAX_ITEMS: usize = 1_000;
/// What is longer than ten years was meant otherwise.
const MAX_SPAN: Span = Span::seconds(3_653 * 24 * 60 * 60);

/// One file being read, with its problems so far.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    problems: RefCell<Vec<Diagnostic>>,
}

/// A map's fields, taken one by one; what nobody took is unknown.
pub(super) struct Fields<'r, 'a> {
    pub(super) reader: &'r Reader<'a>,
    known: Known,
    entries: Vec<Entry<'r>>,
    asked: Vec<&'static str>,
    /// What holds the fields is no map, which has been said: so nothing is missing.
    broken: bool,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Copy)]
struct Entry<'r> {
    key: &'r Node,
    value: &'r Node,
    /// In the map behind a step's word, where only the kind's own fields stand.
    inside: bool,
}

/// Which keys a map may have.
#[derive(Clone, Copy)]
pub(super) enum Known {
    /// Those that are asked for, of what is called so.
    Asked(&'static str),
    Fields(&'static Construct),
    Step(&'static Construct),
}

impl From<&'static str> for Known {
    fn from(noun: &'static str) -> Self {
        Self::Asked(noun)
    }
}

impl From<&'static Construct> for Known {
    fn from(construct: &'static Construct) -> Self {
        Self::Fields(construct)
    }
}

impl Known {
    fn noun(self) -> &'static str {
        match self {
            Self::Asked(noun) => noun,
            Self::Fields(construct) | Self::Step(construct) => construct.noun,
        }
    }

    fn names(self, inside: bool, asked: &[&'static str]) -> Vec<&'static str> {
        match self {
            Self::Asked(_) => asked.to_vec(),
            Self::Fields(construct) => construct.names().collect(),
            Self::Step(step) if inside => step.names().collect(),
            Self::Step(step) => {
                step.names().chain([step.name]).chain(language::STEP.names()).collect()
            }
        }
    }

    /// Whether a map has a field of this name, whatever is asked for.
    fn has(self, name: &str, inside: bool) -> bool {
        match self {
            Self::Asked(_) => true,
            Self::Fields(construct) => construct.field(name).is_some(),
            Self::Step(step) => {
                let beside = name == step.name || language::STEP.field(name).is_some();
                step.field(name).is_some() || (beside && !inside)
            }
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self { source, problems: RefCell::default() }
    }

    pub(super) fn into_problems(self) -> Vec<Diagnostic> {
        self.problems.into_inner()
    }

    pub(super) fn push(&self, problem: Diagnostic) {
        self.problems.borrow_mut().push(problem);
    }

    pub(super) fn error(&self, code: &'static str, span: Range<usize>, message: impl Into<String>) {
        self.push(Diagnostic::error(self.source, code, span, message));
    }

    /// The fields of a map; `None`, and a problem, for anything else.
    pub(super) fn fields<'r>(
        &'r self,
        node: &'r Node,
        known: impl Into<Known>,
    ) -> Option<Fields<'r, 'a>> {
        let known = known.into();
        let Kind::Map(entries) = &node.kind else {
            self.wrong(node, known.noun(), "a map");
            return None;
        };
        let entry = |(key, value): &'r (Node, Node)| Entry { key, value, inside: false };
        Some(Fields {
            reader: self,
            known,
            entries: entries.iter().map(entry).collect(),
            asked: Vec::new(),
            broken: false,
            span: node.span.clone(),
        })
    }

    pub(super) fn wrong(&self, node: &Node, what: &str, wanted: &str) {
        let message = format!("`{what}` must be {wanted}, not {}", node.noun());
        self.error("yaml.type", node.span.clone(), message);
    }

    pub(super) fn items<'r>(&self, node: &'r Node, what: &str) -> &'r [Node] {
        match &node.kind {
            Kind::List(items) => self.bounded(node, items),
            _ => {
                self.wrong(node, what, "a list");
                &[]
            }
        }
    }

    /// A list's items, or the one value that stands for a list of one.
    pub(super) fn one_or_more<'r>(&self, node: &'r Node) -> &'r [Node] {
        match &node.kind {
            Kind::List(items) => self.bounded(node, items),
            _ => std::slice::from_ref(node),
        }
    }

    fn bounded<'r>(&self, node: &Node, items: &'r [Node]) -> &'r [Node] {
        match items.get(..MAX_ITEMS) {
            Some(first) if items.len() > MAX_ITEMS => {
                let message = format!("a list of {}; at most {MAX_ITEMS}", items.len());
                self.error("list.long", node.span.start..node.span.start, message);
                first
            }
            _ => items,
        }
    }

    /// Text that is there.
    pub(super) fn text(&self, node: &Node, what: &str) -> Option<String> {
        match node.as_text().filter(|text| !text.trim().is_empty()) {
            Some(text) => Some(text.trim().to_owned()),
            None => {
                self.wrong(node, what, "text");
                None
            }
        }
    }

    pub(super) fn flag(&self, node: &Node, what: &str) -> Option<bool> {
        let found = node.to_json().as_bool();
        if found.is_none() {
            self.wrong(node, what, "true or false");
        }
        found
    }

    /// A length of time, at least a little of it.
    pub(super) fn span(&self, node: &Node, what: &str) -> Option<Span> {
        let span = self.span_or_zero(node, what)?;
        if span == Span::default() {
            let message = format!("`{what}` is no time at all");
            self.error("duration.zero", node.span.clone(), message);
            return None;
        }
        Some(span)
    }

    pub(super) fn span_or_zero(&self, node: &Node, what: &str) -> Option<Span> {
        let text = self.text(node, what)?;
        let refuse = |code, message: String| {
            self.error(code, node.span.clone(), message);
            None
        };
        match text.parse() {
            Ok(span) if span > MAX_SPAN => {
                refuse("duration.long", format!("`{text}` is longer than ten years"))
            }
            Ok(span) => Some(span),
            Err(_) if text.starts_with('-') => {
                refuse("duration.negative", format!("`{text}` is less than no time"))
            }
            Err(error) => refuse("duration.syntax", error.to_string()),
        }
    }

    /// A whole number from 1.
    pub(super) fn count(&self, node: &Node, what: &str) -> Option<u64> {
        let found = node.to_json().as_u64();
        match found {
            None => self.wrong(node, what, "a whole number"),
            Some(0) => {
                let message = format!("`{what}` is at least 1");
                self.error("count.zero", node.span.clone(), message);
            }
            Some(_) => {}
        }
        found.filter(|count| *count > 0)
    }

    /// Names of events, or globs.
    pub(super) fn patterns(&self, node: &Node, what: &str) -> Vec<Pattern> {
        let read = |item: &Node| {
            let text = self.text(item, what)?;
            let pattern = Pattern::parse(&text);
            if pattern.is_none() {
                let message = format!("`{text}` is no event's name");
                self.error("event.name", item.span.clone(), message);
            }
            pattern
        };
        self.one_or_more(node).iter().filter_map(read).collect()
    }

    /// A number that the engine has to count up to: it has an end.
    pub(super) fn count_to(&self, node: &Node, what: &str, most: u64) -> Option<u64> {
        let found = self.count(node, what)?;
        if found > most {
            let message = format!("`{what}` is at most {most}");
            self.error("count.large", node.span.clone(), message);
        }
        Some(found)
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let all: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let message = format!("`{what}` is {}, not `{text}`", all.join(", "));
        let problem = Diagnostic::error(self.source, "yaml.word", node.span.clone(), message);
        self.push(problem.suggest(&text, words.iter().map(|(word, _)| *word)));
        None
    }

    pub(super) fn expression(&self, node: &Node, what: &str, names: &[&str]) -> Option<Expression> {
        let text = match node.as_text() {
            Some(text) if !text.trim().is_empty() => text,
            _ => {
                self.wrong(node, what, "an expression");
                return None;
            }
        };
        let place = self.source.place(node.span.start);
        match Expression::compile(text, place, names) {
            Ok(expression) => Some(expression),
            Err(problems) => {
                for problem in problems {
                    let span = node.within(self.source, problem.span);
                    let mut found =
                        Diagnostic::error(self.source, problem.code, span, problem.message);
                    if problem.name == text.trim() {
                        found = found.hint(format!(
                            "text inside an expression has quotes of its own: `'\"{}\"'`",
                            problem.name
                        ));
                    }
                    if !problem.name.is_empty() {
                        let candidates = problem.candidates.iter().map(String::as_str);
                        found = found.suggest(&problem.name, candidates);
                    }
                    self.push(found);
                }
                None
            }
        }
    }
}

impl<'r, 'a> Fields<'r, 'a> {
    /// Adds the fields of the map behind a step's word. Nothing there: they stand beside it.
    pub(super) fn join(mut self, other: &'r Node) -> Self {
        match &other.kind {
            Kind::Map(entries) => {
                let entry = |(key, value): &'r (Node, Node)| Entry { key, value, inside: true };
                self.entries.extend(entries.iter().map(entry));
            }
            _ if other.is_null() => {}
            _ => {
                self.reader.wrong(other, self.known.noun(), "a map");
                self.broken = true;
            }
        }
        self
    }

    /// Whether a key is there; a null is as good as absent.
    pub(super) fn has(&self, key: &str) -> bool {
        let mut found = self.entries.iter().filter(|entry| entry.key.as_text() == Some(key));
        self.broken || found.any(|entry| !entry.value.is_null())
    }

    /// The value of a key, which is known from now on. A null is as good as absent.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'r Node> {
        self.take_written(key).filter(|node| !node.is_null())
    }

    /// Like [`Self::take`], but a null is given.
    pub(super) fn take_written(&mut self, key: &'static str) -> Option<&'r Node> {
        debug_assert!(
            self.known.has(key, false),
            "`{key}` of {} is missing in workflow/language",
            self.known.noun()
        );
        self.asked.push(key);
        // Inside, `id`, `if` and the like would be no field of the step's kind: `finish` says so.
        let own = |entry: &&Entry<'_>| {
            entry.key.as_text() == Some(key) && self.known.has(key, entry.inside)
        };
        let mut found = self.entries.iter().filter(own);
        let first = found.next().map(|entry| entry.value);
        if let Some(again) = found.next() {
            let message = format!("`{key}` is here twice");
            self.reader.error("yaml.duplicate_key", again.key.span.clone(), message);
        }
        first
    }

    /// Like [`Self::take`]; its absence is a problem.
    pub(super) fn need(&mut self, key: &'static str) -> Option<&'r Node> {
        let found = self.take(key);
        if found.is_none() && !self.broken {
            let message = format!("{} needs `{key}`", self.known.noun());
            let start = self.span.start;
            self.reader.error("yaml.missing", start..start, message);
        }
        found
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let node = self.take(key)?;
        self.reader.text(node, key)
    }

    /// False where it is absent.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.take(key).and_then(|node| self.reader.flag(node, key)).unwrap_or_default()
    }

    pub(super) fn span(&mut self, key: &'static str) -> Option<Span> {
        let node = self.take(key)?;
        self.reader.span(node, key)
    }

    pub(super) fn count_to(&mut self, key: &'static str, most: u64) -> Option<u64> {
        let node = self.take(key)?;
        self.reader.count_to(node, key, most)
    }

    pub(super) fn expression(&mut self, key: &'static str, names: &[&str]) -> Option<Expression> {
        let node = self.take(key)?;
        self.reader.expression(node, key, names)
    }

    /// The first of `words` where it is absent.
    pub(super) fn word<T: Copy + Default>(&mut self, key: &'static str, words: &[(&str, T)]) -> T {
        let node = self.take(key);
        node.and_then(|node| self.reader.word(node, key, words)).unwrap_or_default()
    }

    /// One text or a list of them.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<(String, Range<usize>)> {
        let Some(node) = self.take(key) else {
            return Vec::new();
        };
        let items = self.reader.one_or_more(node).iter();
        items.filter_map(|item| Some((self.reader.text(item, key)?, item.span.clone()))).collect()
    }

    /// A map from names to expressions.
    pub(super) fn expressions(
        &mut self,
        key: &'static str,
        names: &[&str],
    ) -> Vec<(String, Expression)> {
        match self.take(key) {
            Some(node) => expressions(self.reader, node, key, names),
            None => Vec::new(),
        }
    }

    /// Every key that is not known is an error.
    pub(super) fn finish(self) {
        for Entry { key, inside, .. } in &self.entries {
            let known = self.known.names(*inside, &self.asked);
            let Some(name) = key.as_text().filter(|name| !known.contains(name)) else {
                continue;
            };
            let message = format!("{} has no field `{name}`", self.known.noun());
            let problem = Diagnostic::error(
                self.reader.source,
                "yaml.unknown_key",
                key.span.clone(),
                message,
            );
            let elsewhere = *inside && language::STEP.field(name).is_some();
            self.reader.push(match elsewhere {
                true => problem.hint(format!("`{name}` stands beside the step's word, not in it")),
                false => problem.suggest(name, known),
            });
        }
    }
}

/// A map from names to expressions.
pub(super) fn expressions(
    reader: &Reader<'_>,
    node: &Node,
    what: &'static str,
    names: &[&str],
) -> Vec<(String, Expression)> {
    let Kind::Map(entries) = &node.kind else {
        reader.wrong(node, what, "a map from names to expressions");
        return Vec::new();
    };
    let read = |(key, value): &(Node, Node)| {
        let name = reader.text(key, what)?;
        Some((name, reader.expression(value, what, names)?))
    };
    entries.iter().filter_map(read).collect()
}

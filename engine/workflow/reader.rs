//! Reading a file's values: every wrong one is reported, and reading goes on.

use std::cell::RefCell;
use std::ops::Range;

use crate::diagnostic::{Diagnostic, Kind, Node, Source};
use crate::expression::Expression;
use crate::model::Span;

/// One file being read, with its problems so far.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    problems: RefCell<Vec<Diagnostic>>,
}

/// A map's fields, taken one by one; what nobody took is unknown.
pub(super) struct Fields<'r, 'a> {
    pub(super) reader: &'r Reader<'a>,
    what: &'static str,
    entries: Vec<&'r (Node, Node)>,
    asked: Vec<&'static str>,
    pub(super) span: Range<usize>,
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
        what: &'static str,
    ) -> Option<Fields<'r, 'a>> {
        match &node.kind {
            Kind::Map(entries) => Some(Fields {
                reader: self,
                what,
                entries: entries.iter().collect(),
                asked: Vec::new(),
                span: node.span.clone(),
            }),
            _ => {
                self.wrong(node, what, "a map");
                None
            }
        }
    }

    pub(super) fn wrong(&self, node: &Node, what: &str, wanted: &str) {
        let message = format!("`{what}` must be {wanted}, not {}", node.noun());
        self.error("yaml.type", node.span.clone(), message);
    }

    pub(super) fn items<'r>(&self, node: &'r Node, what: &str) -> &'r [Node] {
        match &node.kind {
            Kind::List(items) => items,
            _ => {
                self.wrong(node, what, "a list");
                &[]
            }
        }
    }

    /// A list's items, or the one value that stands for a list of one.
    pub(super) fn one_or_more<'r>(&self, node: &'r Node) -> &'r [Node] {
        match &node.kind {
            Kind::List(items) => items,
            _ => std::slice::from_ref(node),
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

    pub(super) fn span(&self, node: &Node, what: &str) -> Option<Span> {
        let text = self.text(node, what)?;
        match text.parse() {
            Ok(span) => Some(span),
            Err(error) => {
                self.error("duration.syntax", node.span.clone(), format!("{error}"));
                None
            }
        }
    }

    pub(super) fn count(&self, node: &Node, what: &str) -> Option<u64> {
        let found = node.to_json().as_u64();
        if found.is_none() {
            self.wrong(node, what, "a whole number");
        }
        found
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
    /// Adds a further map's fields: a step's, beside those inside its kind.
    pub(super) fn join(mut self, other: &'r Node) -> Self {
        if let Kind::Map(entries) = &other.kind {
            self.entries.extend(entries);
        }
        self
    }

    /// The value of a key, which is known from now on. A null is as good as absent.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'r Node> {
        self.take_written(key).filter(|node| !node.is_null())
    }

    /// Like [`Self::take`], but a null is given.
    pub(super) fn take_written(&mut self, key: &'static str) -> Option<&'r Node> {
        self.asked.push(key);
        let mut found = self.entries.iter().filter(|(k, _)| k.as_text() == Some(key));
        let first = found.next().map(|(_, value)| value);
        if let Some((again, _)) = found.next() {
            let message = format!("`{key}` is here twice");
            self.reader.error("yaml.duplicate_key", again.span.clone(), message);
        }
        first
    }

    /// Like [`Self::take`]; its absence is a problem.
    pub(super) fn need(&mut self, key: &'static str) -> Option<&'r Node> {
        let found = self.take(key);
        if found.is_none() {
            let message = format!("{} needs `{key}`", self.what);
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

    /// Every key that nobody asked for is an error.
    pub(super) fn finish(self) {
        for (key, _) in &self.entries {
            let Some(name) = key.as_text().filter(|name| !self.asked.contains(name)) else {
                continue;
            };
            let message = format!("{} has no field `{name}`", self.what);
            let problem = Diagnostic::error(
                self.reader.source,
                "yaml.unknown_key",
                key.span.clone(),
                message,
            );
            self.reader.push(problem.suggest(name, self.asked.iter().copied()));
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

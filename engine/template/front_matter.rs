//! The fields at the top of a template, between two lines of `---`.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Document, Kind, Node, Source};

const CODE: &str = "template.front_matter";

/// A field as written: its value is itself a template.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) text: String,
    /// Of the value, in bytes of the file.
    pub(super) span: Range<usize>,
    /// `None` where the value stands in the file as it is.
    node: Option<Node>,
}

/// A file's fields and the byte at which its body begins.
pub(super) struct FrontMatter {
    pub(super) entries: Vec<Entry>,
    pub(super) body: usize,
}

impl FrontMatter {
    pub(super) fn read(source: &Source, problems: &mut Vec<Diagnostic>) -> Self {
        let text = source.text();
        let mut lines = lines(text);
        if lines.next().is_none_or(|(_, first)| first.trim_end() != "---") {
            return Self { entries: Vec::new(), body: 0 };
        }
        let Some((end, closing)) = lines.find(|(_, line)| line.trim_end() == "---") else {
            let message = "the front matter is not closed by a line of `---`";
            problems.push(Diagnostic::error(source, CODE, 0..3, message));
            return Self { entries: Vec::new(), body: text.len() };
        };
        let body = end + closing.len();
        Self { entries: entries(source, end, problems), body }
    }
}

impl Entry {
    /// Where a (line, column) of the value's text stands in the file.
    pub(super) fn place(&self, source: &Source, line: usize, column: usize) -> (usize, usize) {
        let index = Source::new("", self.text.as_str()).offset(line, column);
        let start = match &self.node {
            Some(node) => node.within(source, index..index).start,
            None => self.span.start + index,
        };
        source.position(start)
    }
}

/// Values that begin with `{{` are no YAML unless they are quoted, and nobody quotes them: such a
/// line is taken as it stands, and blanked for the YAML reader so that all places stay.
fn entries(source: &Source, end: usize, problems: &mut Vec<Diagnostic>) -> Vec<Entry> {
    let mut yaml = source.text()[..end].to_owned();
    let mut entries = Vec::new();
    for (start, line) in lines(&source.text()[..end]) {
        if let Some(entry) = bare(start, line.trim_end()) {
            let width = line.trim_end().len();
            yaml.replace_range(start..start + width, &" ".repeat(width));
            entries.push(entry);
        }
    }
    let yaml = Source::new(source.path_shared(), yaml);
    let (document, found) = Document::parse(&yaml);
    problems.extend(found.into_iter().map(|problem| Diagnostic { code: CODE, ..problem }));
    let root = document.map(|document| document.root);
    match root.as_ref().map(|root| &root.kind) {
        Some(Kind::Map(fields)) => {
            for (key, value) in fields {
                entries.extend(scalar(source, key, value, problems));
            }
        }
        Some(_) if root.as_ref().is_some_and(Node::is_null) => {}
        Some(_) => {
            let message = "the front matter is a map of names and texts";
            problems.push(Diagnostic::error(source, CODE, 0..3, message));
        }
        None => {}
    }
    entries.sort_by_key(|entry| entry.span.start);
    refuse_names(source, &mut entries, problems);
    entries
}

fn bare(start: usize, line: &str) -> Option<Entry> {
    let (key, value) = line.split_once(':')?;
    let text = value.trim_start();
    let plain_key = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !plain_key || key.is_empty() || !text.starts_with("{{") {
        return None;
    }
    let from = start + line.len() - text.len();
    let span = from..from + text.len();
    Some(Entry { key: key.to_owned(), text: text.to_owned(), span, node: None })
}

fn scalar(
    source: &Source,
    key: &Node,
    value: &Node,
    problems: &mut Vec<Diagnostic>,
) -> Option<Entry> {
    let key = key.as_text()?.to_owned();
    let Kind::Scalar(scalar) = &value.kind else {
        let message = format!("`{key}` must be a text, not {}", value.noun());
        let problem = Diagnostic::error(source, CODE, value.span.clone(), message);
        problems.push(problem.hint("a value that begins with `{` or `[` must be quoted"));
        return None;
    };
    let text = if value.is_null() { String::new() } else { scalar.text.clone() };
    Some(Entry { key, text, span: value.span.clone(), node: Some(value.clone()) })
}

/// A field must not hide a name of the context, nor stand twice.
fn refuse_names(source: &Source, entries: &mut Vec<Entry>, problems: &mut Vec<Diagnostic>) {
    let mut seen: Vec<String> = Vec::new();
    entries.retain(|entry| {
        let message = if seen.contains(&entry.key) {
            format!("`{}` is here twice", entry.key)
        } else if super::uses::is_reserved(&entry.key) {
            format!("`{}` is a name of its own and cannot be a field", entry.key)
        } else {
            seen.push(entry.key.clone());
            return true;
        };
        problems.push(Diagnostic::error(source, CODE, entry.span.clone(), message));
        false
    });
}

/// Lines with their ends, and the bytes at which they begin.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    })
}

//! A YAML file as written: a tree in which every value knows its place.
//!
//! Read with `granit-parser`, the event parser under serde-saphyr: decoding through serde stops at
//! the first wrong key, and a user wants to hear of all of them.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle};

use super::{Diagnostic, Source};

/// Bytes of one file.
const MAX_BYTES: usize = 1 << 20;
/// Values of one file, those that aliases repeat included.
const MAX_NODES: usize = 50_000;
const MAX_DEPTH: usize = 64;

/// A file and its root value.
#[derive(Clone, Debug)]
pub struct Document {
    pub source: Source,
    pub root: Node,
}

/// A value with its place (bytes of the file).
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    pub span: Range<usize>,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the file; keys are scalars and appear once.
    Map(Vec<(Node, Node)>),
}

#[derive(Clone, Debug)]
pub struct Scalar {
    /// After YAML's escapes and folding.
    pub text: String,
    pub style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// May mean null, a boolean or a number.
    Plain,
    /// Always text.
    Quoted,
    /// `|` or `>`: always text.
    Block,
}

impl Document {
    /// Reads a file. `None` where it is no YAML at all; what can be read of it is given beside
    /// its problems. An empty file is null.
    pub fn parse(source: &Source) -> (Option<Self>, Vec<Diagnostic>) {
        if source.text().len() > MAX_BYTES {
            let message = format!("the file is larger than {MAX_BYTES} bytes");
            return (None, vec![Diagnostic::error(source, "yaml.size", 0..0, message)]);
        }
        let mut builder = Builder::new(source);
        let root = builder.read();
        let document = root.map(|root| Self { source: source.clone(), root });
        (document, builder.problems)
    }
}

impl Node {
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.to_json(), serde_json::Value::Null)
    }

    /// What it is, for messages: `a list`, or a scalar's own text.
    pub fn noun(&self) -> String {
        const SHOWN: usize = 40;
        match &self.kind {
            Kind::Scalar(_) if self.is_null() => "nothing".to_owned(),
            Kind::Scalar(scalar) if scalar.text.chars().nth(SHOWN).is_some() => "text".to_owned(),
            Kind::Scalar(scalar) => format!("`{}`", scalar.text),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => {
                entries.iter().find(|(k, _)| k.as_text() == Some(key)).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Where a JSON pointer leads; a point where it ends before that.
    pub fn place_of(&self, pointer: &str) -> Range<usize> {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.kind {
                Kind::List(items) => part.parse().ok().and_then(|index: usize| items.get(index)),
                Kind::Map(_) => node.get(&part),
                Kind::Scalar(_) => None,
            };
            match next {
                Some(next) => node = next,
                None => return node.span.start..node.span.start,
            }
        }
        node.span.clone()
    }

    /// As JSON, plain scalars by YAML 1.2's core schema.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.style == Style::Plain => plain(&scalar.text),
            Kind::Scalar(scalar) => scalar.text.clone().into(),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => entries
                .iter()
                .filter_map(|(key, value)| Some((key.as_text()?.to_owned(), value.to_json())))
                .collect(),
        }
    }

    /// Where a part of a scalar's text stands in the file. Escapes and folded lines are followed,
    /// so that an error inside an expression points at the file.
    pub fn within(&self, source: &Source, part: Range<usize>) -> Range<usize> {
        let Kind::Scalar(scalar) = &self.kind else {
            return self.span.clone();
        };
        let start = self.offset_of(source, scalar, part.start);
        let end = self.offset_of(source, scalar, part.end);
        start..end.max(start)
    }

    fn offset_of(&self, source: &Source, scalar: &Scalar, index: usize) -> usize {
        let written = source.text().get(self.span.clone()).unwrap_or_default();
        let mut at = match scalar.style {
            Style::Plain => 0,
            Style::Quoted => 1,
            // The header line (`|`, `>-`) ends at its line break.
            Style::Block if written.starts_with(['|', '>']) => {
                written.find('\n').map_or(0, |line| line + 1)
            }
            Style::Block => 0,
        };
        let wanted = scalar.text.get(..index).unwrap_or(&scalar.text);
        for c in wanted.chars() {
            // Whatever the text does not have (escapes, indentation, a second quote) is passed.
            let rest = written.get(at..).unwrap_or_default();
            let target = if c == ' ' { rest.find([' ', '\n']) } else { rest.find(c) };
            at = match target {
                Some(found) => at + found + rest[found..].chars().next().map_or(0, char::len_utf8),
                None => at,
            };
        }
        let rest = written.get(at..).unwrap_or_default();
        let next = scalar.text[wanted.len()..].chars().next();
        match next.filter(|c| !c.is_whitespace()).and_then(|c| rest.find(c)) {
            Some(found) => self.span.start + at + found,
            None => (self.span.start + at).min(self.span.end),
        }
    }
}

fn plain(text: &str) -> serde_json::Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return serde_json::Value::Null,
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    let number_like = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match text.parse::<f64>() {
        Ok(number) if number_like && number.is_finite() => number.into(),
        _ => text.into(),
    }
}

/// Collects events into a tree.
struct Builder<'a> {
    source: &'a Source,
    problems: Vec<Diagnostic>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    open: Vec<Open>,
    root: Option<Node>,
}

struct Open {
    anchor: usize,
    start: usize,
    items: Vec<Node>,
    is_map: bool,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Source) -> Self {
        Self {
            source,
            problems: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            open: Vec::new(),
            root: None,
        }
    }

    fn read(&mut self) -> Option<Node> {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        let source = self.source;
        let mut documents = 0;
        for next in Parser::new_from_str_with_options(source.text(), options) {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    let mark = error.marker();
                    let at = source.offset(mark.line(), mark.col() + 1);
                    if error.info().contains("recursion limit") {
                        self.report("yaml.depth", at..at, too_deep());
                        return None;
                    }
                    self.report("yaml.syntax", at..at, error.info().to_string());
                    let indented =
                        |line| source.line(line).trim_start_matches(' ').starts_with('\t');
                    if (mark.line().saturating_sub(1)..=mark.line()).any(indented)
                        && let Some(problem) = self.problems.last_mut()
                    {
                        problem.hint = Some("YAML is indented with spaces, not tabs".into());
                    }
                    return None;
                }
            };
            let range = span.byte_range().unwrap_or(0..0);
            if let Some(tag) = span.tag_span() {
                self.refuse_tag(tag.byte_range().unwrap_or_else(|| range.clone()));
            }
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
                if documents > 1 {
                    self.report("yaml.documents", range, "a file holds one document".into());
                    break;
                }
                continue;
            }
            if !self.take(event, range) {
                return None;
            }
        }
        let nothing = Scalar { text: String::new(), style: Style::Plain };
        Some(self.root.take().unwrap_or(Node { kind: Kind::Scalar(nothing), span: 0..0 }))
    }

    /// `false`: a limit was passed, and reading on would be of no use.
    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> bool {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let kind = Kind::Scalar(Scalar { text: text.into_owned(), style });
                self.place(Node { kind, span }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(anchor, span, false),
            Event::MappingStart(_, anchor, _) => self.begin(anchor, span, true),
            Event::SequenceEnd | Event::MappingEnd => self.end(span.end),
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some(mut node) => {
                    self.nodes += count(&node);
                    node.span = span;
                    self.place(node, 0)
                }
                None => {
                    self.report("yaml.alias", span, "an alias inside its own anchor".into());
                    false
                }
            },
            _ => true,
        }
    }

    fn begin(&mut self, anchor: usize, span: Range<usize>, is_map: bool) -> bool {
        if self.open.len() >= MAX_DEPTH {
            self.report("yaml.depth", span, too_deep());
            return false;
        }
        self.open.push(Open { anchor, start: span.start, items: Vec::new(), is_map });
        true
    }

    fn end(&mut self, end: usize) -> bool {
        let Some(open) = self.open.pop() else {
            return true;
        };
        // The end event of a block collection lies behind the white space that follows it.
        let end = open.items.last().map_or(end, |last| last.span.end.max(open.start));
        let kind = if open.is_map { self.map(open.items) } else { Kind::List(open.items) };
        self.place(Node { kind, span: open.start..end }, open.anchor)
    }

    fn map(&mut self, items: Vec<Node>) -> Kind {
        let mut entries: Vec<(Node, Node)> = Vec::with_capacity(items.len() / 2);
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            let Some(text) = key.as_text() else {
                self.report("yaml.key", key.span.clone(), "a key must be a scalar".into());
                continue;
            };
            if let Some((first, _)) = entries.iter().find(|(k, _)| k.as_text() == Some(text)) {
                let (line, _) = self.source.position(first.span.start);
                let message = format!("`{text}` is here twice; the first is on line {line}");
                self.report("yaml.duplicate_key", key.span.clone(), message);
                continue;
            }
            entries.push((key, value));
        }
        Kind::Map(entries)
    }

    fn place(&mut self, node: Node, anchor: usize) -> bool {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values, those of aliases included");
            self.report("yaml.size", node.span, message);
            return false;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
        true
    }

    fn refuse_tag(&mut self, span: Range<usize>) {
        let message = "YAML tags have no meaning here";
        let problem = Diagnostic::error(self.source, "yaml.tag", span, message);
        let hint = "an expression that begins with `!` is quoted: `if: '!recipient.online'`";
        self.problems.push(problem.hint(hint));
    }

    fn report(&mut self, code: &'static str, span: Range<usize>, message: String) {
        self.problems.push(Diagnostic::error(self.source, code, span, message));
    }
}

fn too_deep() -> String {
    format!("nested more than {MAX_DEPTH} deep")
}

fn count(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar(_) => 0,
        Kind::List(items) => items.iter().map(count).sum(),
        Kind::Map(entries) => entries.iter().map(|(k, v)| count(k) + count(v)).sum(),
    }
}

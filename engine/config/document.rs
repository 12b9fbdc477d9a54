use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue, Deserializer};

use super::{Config, ConfigError, Origin};

/// What was written, from wherever, as one tree whose every node knows its place.
pub(super) struct Document<'t> {
    root: BTreeMap<String, Node<'t>>,
}

/// A value, and where it (and its key) stands.
#[derive(Clone)]
struct Node<'t> {
    key_at: Origin,
    at: Origin,
    value: Value<'t>,
    /// A variable's text, as long as it is tried as TOML.
    text: Option<&'t str>,
}

#[derive(Clone)]
enum Value<'t> {
    Table(BTreeMap<String, Node<'t>>),
    Array(Vec<Node<'t>>),
    Scalar(DeValue<'t>),
}

/// Why the document is no configuration: the first thing that serde stumbled over.
pub(super) struct Fault {
    pub path: Vec<String>,
    pub at: Origin,
    pub message: String,
}

impl<'t> Document<'t> {
    /// Reads a file's text; what is not TOML is told and left out.
    pub fn parse(path: &Path, text: &'t str) -> (Self, Vec<ConfigError>) {
        let lines = Lines::new(path, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        let errors = errors.iter().map(|error| ConfigError {
            code: "config.syntax",
            at: lines.origin(error.span().unwrap_or_default()),
            message: error.message().to_owned(),
            hint: None,
        });
        (Self { root: lines.table(table.into_inner()) }, errors.collect())
    }

    /// Sets one value from outside the file.
    pub fn set(&mut self, path: &[String], origin: &Origin, text: &'t str) {
        let (value, text) = match DeValue::parse(text).map(Spanned::into_inner) {
            Ok(DeValue::Datetime(_)) | Err(_) => {
                (Value::Scalar(DeValue::String(text.into())), None)
            }
            Ok(value) => (Value::placed(value, &|_| origin.clone()), Some(text)),
        };
        let node = Node { key_at: origin.clone(), at: origin.clone(), value, text };
        put(&mut self.root, path, origin, node);
    }

    /// Reads the tree as a configuration.
    pub fn deserialize(&self) -> Result<Config, Fault> {
        let mut places = Places(vec![(Vec::new(), Origin::Default)]);
        let table = places.table(&self.root, &mut Vec::new());
        let deserializer = Deserializer::from(Spanned::new(0..1, table));
        Config::deserialize(deserializer).map_err(|error| {
            let place = error.span().and_then(|span| places.0.get(span.start).cloned());
            let (path, at) = place.unwrap_or((Vec::new(), Origin::Default));
            Fault { path, at, message: error.message().to_owned() }
        })
    }

    /// Takes the value of a variable as text from now on. `false` if there is none at `path`, or
    /// it was taken so before.
    pub fn as_text(&mut self, path: &[String]) -> bool {
        let Some((last, tables)) = path.split_last() else { return false };
        let Some(node) = find(&mut self.root, tables).and_then(|table| table.get_mut(last)) else {
            return false;
        };
        let Some(text) = node.text.take() else { return false };
        node.value = Value::Scalar(DeValue::String(text.into()));
        true
    }

    pub fn remove(&mut self, path: &[String]) -> bool {
        let Some((last, tables)) = path.split_last() else { return false };
        find(&mut self.root, tables).and_then(|table| table.remove(last)).is_some()
    }

    /// Where each value that was written comes from.
    pub fn origins(&self) -> BTreeMap<Vec<String>, Origin> {
        fn collect(
            table: &BTreeMap<String, Node>,
            path: &mut Vec<String>,
            origins: &mut BTreeMap<Vec<String>, Origin>,
        ) {
            for (key, node) in table {
                path.push(key.clone());
                origins.insert(path.clone(), node.key_at.clone());
                if let Value::Table(table) = &node.value {
                    collect(table, path, origins);
                }
                path.pop();
            }
        }
        let mut origins = BTreeMap::new();
        collect(&self.root, &mut Vec::new(), &mut origins);
        origins
    }
}

impl<'t> Value<'t> {
    fn placed(value: DeValue<'t>, origin: &dyn Fn(Range<usize>) -> Origin) -> Self {
        match value {
            DeValue::Table(table) => Self::Table(placed(table, origin)),
            DeValue::Array(array) => {
                let nodes = array.into_iter().map(|item| {
                    let at = origin(item.span());
                    let value = Self::placed(item.into_inner(), origin);
                    Node { key_at: at.clone(), at, value, text: None }
                });
                Self::Array(nodes.collect())
            }
            scalar => Self::Scalar(scalar),
        }
    }
}

fn placed<'t>(
    table: DeTable<'t>,
    origin: &dyn Fn(Range<usize>) -> Origin,
) -> BTreeMap<String, Node<'t>> {
    let nodes = table.into_iter().map(|(key, value)| {
        let (key_at, at) = (origin(key.span()), origin(value.span()));
        let value = Value::placed(value.into_inner(), origin);
        (key.into_inner().into_owned(), Node { key_at, at, value, text: None })
    });
    nodes.collect()
}

fn put<'t>(
    table: &mut BTreeMap<String, Node<'t>>,
    path: &[String],
    origin: &Origin,
    node: Node<'t>,
) {
    let Some((first, rest)) = path.split_first() else { return };
    let key = written_key(table, first);
    if rest.is_empty() {
        table.insert(key, node);
        return;
    }
    let empty = || Node {
        key_at: origin.clone(),
        at: origin.clone(),
        value: Value::Table(BTreeMap::new()),
        text: None,
    };
    let child = table.entry(key).or_insert_with(empty);
    if !matches!(child.value, Value::Table(_)) {
        *child = empty();
    }
    if let Value::Table(table) = &mut child.value {
        put(table, rest, origin, node);
    }
}

/// A variable's name has neither small letters nor hyphens: it means the key that the file wrote
/// with them.
fn written_key(table: &BTreeMap<String, Node>, name: &str) -> String {
    let plain = |key: &str| key.to_ascii_lowercase().replace('-', "_");
    let written = table.keys().find(|key| *key == name);
    let written = written.or_else(|| table.keys().find(|key| plain(key) == plain(name)));
    written.cloned().unwrap_or_else(|| name.to_owned())
}

fn find<'d, 't>(
    table: &'d mut BTreeMap<String, Node<'t>>,
    path: &[String],
) -> Option<&'d mut BTreeMap<String, Node<'t>>> {
    let Some((first, rest)) = path.split_first() else { return Some(table) };
    match &mut table.get_mut(first)?.value {
        Value::Table(table) => find(table, rest),
        _ => None,
    }
}

/// Gives each node a number for a span, by which an error finds it again.
struct Places(Vec<(Vec<String>, Origin)>);

impl Places {
    fn number(&mut self, path: &[String], at: &Origin) -> Range<usize> {
        self.0.push((path.to_vec(), at.clone()));
        self.0.len() - 1..self.0.len()
    }

    fn table<'t>(
        &mut self,
        table: &BTreeMap<String, Node<'t>>,
        path: &mut Vec<String>,
    ) -> DeTable<'t> {
        let mut numbered = DeTable::new();
        for (key, node) in table {
            path.push(key.clone());
            let span = self.number(path, &node.key_at);
            let key = Spanned::new(span, DeString::Owned(key.clone()));
            let value = self.value(node, path);
            numbered.insert(key, value);
            path.pop();
        }
        numbered
    }

    fn value<'t>(&mut self, node: &Node<'t>, path: &mut Vec<String>) -> Spanned<DeValue<'t>> {
        let span = self.number(path, &node.at);
        let value = match &node.value {
            Value::Table(table) => DeValue::Table(self.table(table, path)),
            Value::Array(nodes) => {
                let items: DeArray = nodes.iter().map(|node| self.value(node, path)).collect();
                DeValue::Array(items)
            }
            Value::Scalar(scalar) => scalar.clone(),
        };
        Spanned::new(span, value)
    }
}

/// Turns offsets of a file into lines and columns.
struct Lines<'t> {
    path: PathBuf,
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(path: &Path, text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { path: path.into(), text, starts }
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let line = self.starts.partition_point(|&start| start <= span.start).max(1);
        let before = self.text.get(self.starts[line - 1]..span.start).unwrap_or_default();
        Origin::File { path: self.path.clone(), line, column: before.chars().count() + 1 }
    }

    fn table(&self, table: DeTable<'t>) -> BTreeMap<String, Node<'t>> {
        placed(table, &|span| self.origin(span))
    }
}

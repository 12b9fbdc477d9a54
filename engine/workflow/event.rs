use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use super::Pattern;
use crate::diagnostic::{Diagnostic, Document, Kind, Node, Source};

/// The events that packs declare, with the JSON Schemas of their data.
#[derive(Clone, Debug, Default)]
pub struct EventSchemas(BTreeMap<String, Arc<Schema>>);

#[derive(Debug)]
struct Schema {
    json: Value,
    validator: Validator,
}

/// One way in which data does not fit its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// A JSON pointer into the data; empty for the whole.
    pub pointer: String,
    /// Holds no value of the data.
    pub message: String,
}

impl EventSchemas {
    pub fn is_declared(&self, event: &str) -> bool {
        self.0.contains_key(event)
    }

    /// By name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The events that a pattern names, as far as files know them: a glob's are the declared ones.
    pub fn named_by<'a>(&'a self, pattern: &'a Pattern) -> Vec<&'a str> {
        match pattern.is_glob() {
            true => self.names().filter(|name| pattern.matches(name)).collect(),
            false => vec![pattern.as_str()],
        }
    }

    pub fn schema(&self, event: &str) -> Option<&Value> {
        self.0.get(event).map(|schema| &schema.json)
    }

    /// Every misfit of an event's data. None for an event that nobody declared.
    pub fn misfits(&self, event: &str, data: &Value) -> Vec<Misfit> {
        let Some(schema) = self.0.get(event) else {
            return Vec::new();
        };
        let misfit = |error: jsonschema::ValidationError<'_>| Misfit {
            pointer: error.instance_path().to_string(),
            message: error.masked().to_string(),
        };
        schema.validator.iter_errors(data).map(misfit).collect()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Adds an `events.yaml`: a map from event names to the JSON Schemas (2020-12) of their data,
/// alone or under `events:`; an event may say `data:` or `schema:` before its schema. `format` is
/// checked.
pub fn read_events(source: &Source, into: &mut EventSchemas) -> Vec<Diagnostic> {
    let (document, mut problems) = Document::parse(source);
    let Some(document) = document else {
        return problems;
    };
    let root = document.root.get("events").unwrap_or(&document.root);
    let Kind::Map(entries) = &root.kind else {
        if !root.is_null() {
            let message = "events.yaml must be a map from event names to JSON Schemas";
            let span = root.span.clone();
            problems.push(Diagnostic::error(source, "yaml.type", span, message));
        }
        return problems;
    };
    for (key, value) in entries {
        let name = key.as_text().unwrap_or_default();
        let value = schema_of(value);
        let json = value.to_json();
        let span = key.span.clone();
        if into.is_declared(name) {
            let message = format!("the event `{name}` is declared twice");
            problems.push(Diagnostic::error(source, "events.duplicate", span, message));
            continue;
        }
        match jsonschema::options().should_validate_formats(true).build(&json) {
            Ok(validator) => {
                into.0.insert(name.to_owned(), Arc::new(Schema { json, validator }));
            }
            Err(error) => {
                let at = place(value, error.instance_path().as_str()).unwrap_or(span);
                let message = format!("the schema of `{name}` is no JSON Schema: {error}");
                problems.push(Diagnostic::error(source, "events.schema", at, message));
            }
        }
    }
    problems
}

/// The schema itself, where words stand around it that are no schema's.
fn schema_of(declared: &Node) -> &Node {
    let is_schema = |node: &Node| {
        ["type", "properties", "required", "$ref", "allOf", "anyOf", "oneOf", "$schema"]
            .iter()
            .any(|word| node.get(word).is_some())
    };
    if is_schema(declared) {
        return declared;
    }
    let inside = declared.get("data").or_else(|| declared.get("schema"));
    inside.filter(|inside| matches!(inside.kind, Kind::Map(_))).unwrap_or(declared)
}

/// Where a JSON pointer leads in a file.
fn place(node: &Node, pointer: &str) -> Option<std::ops::Range<usize>> {
    let mut node = node;
    for part in pointer.split('/').skip(1) {
        node = match &node.kind {
            Kind::List(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => node.get(&part.replace("~1", "/").replace("~0", "~"))?,
        };
    }
    Some(node.span.clone())
}

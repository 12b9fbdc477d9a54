//! Fields that an event's schema does not have, found before midnight.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Source, did_you_mean};
use crate::expression::Names;
use crate::template::Field;
use crate::workflow::step::Send;
use crate::workflow::{EventSchemas, Workflow};

/// Whether data that fits a schema has a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
    Maybe,
    Never,
    /// The schema does not say.
    Unknown,
}

/// What a template is given by one step of one workflow.
pub(super) struct Given<'a> {
    pub(super) workflow: &'a Workflow,
    pub(super) send: &'a Send,
    pub(super) events: &'a EventSchemas,
}

/// Every path of a template, against what a workflow gives it.
pub(super) fn of_template(
    given: &Given<'_>,
    used: &[Field],
    templates: &[Source],
    problems: &mut Vec<Diagnostic>,
) {
    for field in used {
        let source = templates.iter().find(|source| source.path() == &*field.place.path);
        // One `{{#if x}}` in the file stands for all readings of `x` in it.
        let guards = |other: &Field| {
            other.optional && other.path == field.path && other.place.path == field.place.path
        };
        let guarded = used.iter().any(guards);
        problems.extend(source.and_then(|source| given.one_field(source, field, guarded)));
    }
}

/// What a template sees of an event that a batch collected, beside its data.
const ITEM_FIELDS: [&str; 4] = ["id", "name", "at", "actor"];

impl Given<'_> {
    fn of_data(
        &self,
        source: &Source,
        written: &str,
        path: &[&str],
        span: std::ops::Range<usize>,
        guarded: bool,
    ) -> Option<Diagnostic> {
        let Self { workflow, events, .. } = *self;
        let names = started_by(workflow, events);
        match presence(&names, events, path) {
            Presence::Never => {
                let message = format!("{} has no field `{written}`", subject(workflow));
                let problem = Diagnostic::error(source, "template.field", span, message);
                Some(suggest(problem, &names, events, path))
            }
            Presence::Maybe if !guarded => {
                let message = format!("`{written}` may be missing");
                let problem = Diagnostic::warning(source, "template.optional", span, message);
                Some(problem.hint(format!(
                    "guard it with `{{{{#if {written}}}}}` or `{{{{default {written} \"…\"}}}}`"
                )))
            }
            _ => None,
        }
    }

    fn one_field(&self, source: &Source, field: &Field, guarded: bool) -> Option<Diagnostic> {
        let send = self.send;
        let path: Vec<&str> = field.path.split('.').collect();
        let start = source.offset(field.place.line, field.place.column);
        let span = start..start + field.path.len();
        let error =
            |message: String| Diagnostic::error(source, "template.field", span.clone(), message);
        match path.as_slice() {
            ["event", "data", rest @ ..] if !rest.is_empty() => {
                self.of_data(source, &field.path, rest, span, guarded)
            }
            // An item is its event, with the fields of its data beside its own.
            ["items", "*", "data"] => None,
            ["items", "*", name] if ITEM_FIELDS.contains(name) => None,
            ["items", "*", "data", rest @ ..] | ["items", "*", rest @ ..] => {
                let written = field.path.trim_start_matches("items.*.");
                self.of_data(source, written, rest, span, guarded)
            }
            ["data", name, ..] if !guarded && !send.data.iter().any(|(given, _)| given == name) => {
                let names = send.data.iter().map(|(name, _)| name.as_str());
                let message = format!("the step in {} gives no `data.{name}`", send.place);
                Some(error(message).suggest(name, names))
            }
            [root, name, ..] => {
                let known = Names::fields(root)?;
                let message = format!("`{root}` has no field `{name}`");
                (!known.contains(name)).then(|| error(message).suggest(name, known.iter().copied()))
            }
            _ => None,
        }
    }
}

/// The best that any of these events can offer.
pub(super) fn presence(names: &[&str], events: &EventSchemas, path: &[&str]) -> Presence {
    let mut best = None;
    for name in names {
        let Some(schema) = events.schema(name) else {
            return Presence::Unknown;
        };
        let here = in_schema(schema, schema, path);
        best = Some(match (best, here) {
            (None, here) => here,
            (Some(Presence::Unknown), _) | (_, Presence::Unknown) => Presence::Unknown,
            (Some(before), here) if before == here => here,
            // One event has it and another has not.
            _ => Presence::Maybe,
        });
    }
    best.unwrap_or(Presence::Unknown)
}

/// The events that start a workflow, as far as files know them.
pub(super) fn started_by<'a>(workflow: &'a Workflow, events: &'a EventSchemas) -> Vec<&'a str> {
    workflow.starters().flat_map(|pattern| events.named_by(pattern)).collect()
}

fn in_schema(root: &Value, schema: &Value, path: &[&str]) -> Presence {
    let Some((name, rest)) = path.split_first() else {
        return Presence::Always;
    };
    let schema = resolve(root, schema);
    let combined = ["allOf", "anyOf", "oneOf", "if", "$ref", "$dynamicRef"];
    if combined.iter().any(|keyword| schema.get(keyword).is_some()) {
        return Presence::Unknown;
    }
    if let (Some(items), Ok(_)) = (schema.get("items"), name.parse::<usize>()) {
        return match in_schema(root, items, rest) {
            Presence::Always => Presence::Maybe,
            other => other,
        };
    }
    let Some(properties) = schema.get("properties") else {
        return Presence::Unknown;
    };
    let Some(property) = properties.get(name) else {
        let open = schema.get("patternProperties").is_some()
            || schema.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false));
        return if open { Presence::Unknown } else { Presence::Never };
    };
    let required = schema.get("required").and_then(Value::as_array);
    let required = required.is_some_and(|names| names.iter().any(|other| other == name));
    match in_schema(root, property, rest) {
        Presence::Always if !required => Presence::Maybe,
        other => other,
    }
}

/// A local `$ref` followed, once.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
    pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

pub(super) fn suggest(
    problem: Diagnostic,
    started_by: &[&str],
    events: &EventSchemas,
    path: &[&str],
) -> Diagnostic {
    let mut names: Vec<&str> = Vec::new();
    for event in started_by {
        let Some(root) = events.schema(event) else {
            continue;
        };
        let mut schema = resolve(root, root);
        for (index, name) in path.iter().enumerate() {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                break;
            };
            match properties.get(*name) {
                Some(deeper) => schema = resolve(root, deeper),
                None => {
                    let keys = properties.keys().map(String::as_str);
                    if let Some(near) = did_you_mean(path[index], keys) {
                        names.push(near);
                    }
                    break;
                }
            }
        }
    }
    match names.first() {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}

pub(super) fn subject(workflow: &Workflow) -> String {
    let names: Vec<String> = workflow.on.iter().map(|on| format!("`{on}`")).collect();
    names.join(", ")
}

//! JSON Schemas for editors, draft 7: what yaml-language-server completes from.

use serde_json::{Map, Value, json};

use super::{Construct, Field, Kind, RECIPIENT, ROUTE, STEP, STEPS, TYPE, WORKFLOW};

/// The files that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    Workflow,
    Events,
    Types,
    Routes,
}

impl Schema {
    pub const ALL: [Self; 4] = [Self::Workflow, Self::Events, Self::Types, Self::Routes];

    /// Of its file, `docs/reference/<name>.schema.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Events => "events",
            Self::Types => "types",
            Self::Routes => "routes",
        }
    }

    pub fn to_json(self) -> Value {
        let mut schema = match self {
            Self::Workflow => workflow(),
            Self::Events => events(),
            Self::Types => types(),
            Self::Routes => json!({ "type": "array", "items": route() }),
        };
        schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
        schema["title"] = format!("Nuncio: {}", self.name()).into();
        schema
    }
}

fn workflow() -> Value {
    let mut schema = map(&WORKFLOW);
    let choices: Vec<Value> = STEPS.iter().map(|step| json!({ "required": [step.name] })).collect();
    let rules: Vec<Value> = STEPS
        .iter()
        .map(|step| {
            let then = json!({ "$ref": format!("#/definitions/{}", step.name) });
            json!({ "if": { "required": [step.name] }, "then": then })
        })
        .collect();
    let mut definitions = Map::new();
    definitions.insert(
        "steps".into(),
        json!({ "type": "array", "items": { "type": "object", "oneOf": choices, "allOf": rules } }),
    );
    for step in &STEPS {
        definitions.insert(step.name.into(), of_step(step));
    }
    schema["definitions"] = definitions.into();
    // One of these says who it is for.
    schema["properties"]["recipients"]["$comment"] = RECIPIENT.about.into();
    schema
}

/// A step: its own fields stand inside its word's map or beside the word.
fn of_step(step: &Construct) -> Value {
    let mut properties = properties(STEP.fields);
    properties.extend(properties_of(step));
    let mut word = of_kind(step.value, step);
    word["description"] = step.about.into();
    properties.insert(step.name.into(), word);
    let required = step.fields.iter().filter(|field| field.required);
    let somewhere: Vec<Value> = required
        .map(|field| {
            let inside = json!({ "type": "object", "required": [field.name] });
            json!({ "anyOf": [
                { "required": [field.name] },
                { "properties": { step.name: inside } },
            ] })
        })
        .collect();
    let mut schema = json!({ "properties": properties, "additionalProperties": false });
    if !somewhere.is_empty() {
        schema["allOf"] = somewhere.into();
    }
    schema
}

fn events() -> Value {
    let schema = json!({
        "description": "A JSON Schema (2020-12) of the event's data, alone or under `data` or `schema`.",
        "type": "object",
    });
    json!({
        "description": "Event names with the JSON Schemas of their data, alone or under `events`.",
        "type": ["object", "null"],
        "additionalProperties": schema,
    })
}

fn types() -> Value {
    let item = json!({ "anyOf": [{ "type": "string", "minLength": 1 }, map(&TYPE)] });
    let list = json!({ "type": "array", "items": item });
    let named = json!({
        "type": "object",
        "properties": { "types": list },
        "required": ["types"],
    });
    json!({ "anyOf": [list, named] })
}

fn route() -> Value {
    let mut route = map(&ROUTE);
    route["oneOf"] = json!([{ "required": ["topics"] }, { "required": ["room"] }]);
    route
}

/// A map with exactly these fields.
fn map(construct: &Construct) -> Value {
    let required: Vec<&str> =
        construct.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties_of(construct),
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if construct.name == RECIPIENT.name {
        let kinds = ["user", "topic", "role", "everyone", "list", "contact"];
        schema["oneOf"] = kinds.map(|kind| json!({ "required": [kind] })).to_vec().into();
    }
    if !construct.about.is_empty() {
        schema["description"] = construct.about.into();
    }
    schema
}

fn properties_of(construct: &Construct) -> Map<String, Value> {
    properties(construct.fields)
}

fn properties(fields: &[Field]) -> Map<String, Value> {
    let property = |field: &Field| {
        let mut schema = of_kind(field.kind, &STEP);
        let mut about = field.about.to_owned();
        if !field.default.is_empty() {
            about = format!("{about}. Default: {}", field.default);
        }
        schema["description"] = about.into();
        (field.name.to_owned(), schema)
    };
    fields.iter().map(property).collect()
}

/// `own` is the construct that [`Kind::Own`] means.
fn of_kind(kind: Kind, own: &Construct) -> Value {
    match kind {
        Kind::Text | Kind::Event => json!({ "type": ["string", "number"], "minLength": 1 }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Yes => json!({ "enum": [true, null] }),
        Kind::Count => json!({ "type": "integer", "minimum": 1 }),
        Kind::Duration => json!({ "type": "string", "pattern": "^\\s*\\+?[Pp0-9]" }),
        Kind::Expression => json!({ "type": ["string", "boolean", "number"], "minLength": 1 }),
        Kind::Expressions => {
            let value = of_kind(Kind::Expression, own);
            json!({ "type": "object", "additionalProperties": value })
        }
        Kind::Switches => {
            json!({ "type": "object", "additionalProperties": { "type": "boolean" } })
        }
        Kind::Cron | Kind::Zone => json!({ "type": "string", "minLength": 1 }),
        Kind::Words(words) => json!({ "enum": words }),
        Kind::Rule(words) => {
            let expression = of_kind(Kind::Expression, own);
            let rules: Map<_, _> =
                words.iter().map(|word| ((*word).to_owned(), expression.clone())).collect();
            json!({ "type": "object", "properties": rules, "additionalProperties": false, "minProperties": 1 })
        }
        Kind::Many(one) => {
            let one = of_kind(*one, own);
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Kind::List(one) => json!({ "type": "array", "items": of_kind(*one, own) }),
        Kind::Either(kinds) => {
            let kinds: Vec<Value> = kinds.iter().map(|kind| of_kind(*kind, own)).collect();
            json!({ "anyOf": kinds })
        }
        Kind::Map(construct) => map(construct),
        Kind::Own => json!({
            "type": ["object", "null"],
            "properties": properties_of(own),
            "additionalProperties": false,
        }),
        Kind::Steps => json!({ "allOf": [{ "$ref": "#/definitions/steps" }] }),
    }
}

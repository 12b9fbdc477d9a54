//! The table is what readers read: each field is asked for, with its kind, and no other is known.

use super::*;
use crate::diagnostic::{Diagnostic, Document, Source};
use crate::workflow::{compile, read_routes, read_types};

/// A value that a kind takes.
fn right(kind: Kind) -> String {
    match kind {
        Kind::Text => "x".into(),
        Kind::Flag | Kind::Yes => "true".into(),
        Kind::Count => "2".into(),
        Kind::Duration => "1h30m".into(),
        Kind::Expression => "now".into(),
        Kind::Expressions => "{ a: now }".into(),
        Kind::Switches => "{ email: true }".into(),
        Kind::Cron => "'@daily'".into(),
        Kind::Zone => "Africa/Tunis".into(),
        Kind::Event => "'a.*'".into(),
        Kind::Words(words) => words[0].into(),
        Kind::Rule(words) => format!("{{ {}: now }}", words[0]),
        Kind::Many(one) | Kind::List(one) => format!("[ {} ]", right(*one)),
        Kind::Either(kinds) => right(kinds[0]),
        Kind::Map(construct) => {
            let mut fields: Vec<&Field> =
                construct.fields.iter().filter(|field| field.required).collect();
            if construct.name == RECIPIENT.name {
                fields.extend(construct.field("user"));
            }
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{}: {}", field.name, right(field.kind)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Kind::Own => "{}".into(),
        Kind::Steps => "[ { stop: true } ]".into(),
    }
}

/// A value that it does not take.
fn wrong(kind: Kind) -> String {
    match kind {
        Kind::Text => "[ [ x ] ]".into(),
        Kind::Event => "'a b'".into(),
        Kind::Expression => "'now +'".into(),
        Kind::Zone => "Nowhere/Atall".into(),
        Kind::Either(_) | Kind::Map(_) => "{ zz: 1 }".into(),
        Kind::Many(one) => wrong(*one),
        Kind::Flag
        | Kind::Yes
        | Kind::Count
        | Kind::Duration
        | Kind::Expressions
        | Kind::Switches
        | Kind::Cron
        | Kind::Words(_)
        | Kind::Rule(_)
        | Kind::List(_)
        | Kind::Own
        | Kind::Steps => "zz".into(),
    }
}

/// A file in which a construct says one thing more.
fn file(construct: &Construct, more: &str) -> String {
    let needed = |except: &str| {
        let needed = construct.fields.iter().filter(|field| field.required && field.name != except);
        needed.map(|field| format!("{}: {}, ", field.name, right(field.kind))).collect::<String>()
    };
    let name = more.split(':').next().unwrap_or_default();
    let body = format!("{}{more}", needed(name));
    let step = |step: String| format!("workflow: w\non: a\nsteps:\n  - {{ {step} }}\n");
    match construct.name {
        "workflow" => format!("{{ {} }}", body.replace("workflow: x,", "workflow: w,")),
        "dedupe" => format!("workflow: w\non: a\nsteps: []\ndedupe: {{ {body} }}\n"),
        "recipient" => format!("workflow: w\non: a\nsteps: []\nrecipients: [ {{ {body} }} ]\n"),
        "moment" => step(format!("delay: {{ before: {{ {body} }} }}")),
        "message" => step(format!("wait_for: {{ message: {{ {body} }} }}")),
        "arm" => step(format!("branch: [ {{ {body} }} ]")),
        "stop" if construct.fields.len() == 1 => step(format!("stop: {{ {body} }}")),
        "types" | "routes" => format!("- {{ {body} }}"),
        word => {
            let value = match construct.value {
                Kind::Own => String::new(),
                value => right(value).replace("1h30m", ""),
            };
            step(format!("{word}: {value}, {body}"))
        }
    }
}

fn problems(construct: &Construct, text: &str) -> Vec<Diagnostic> {
    let source = Source::new("w.yaml", text);
    match construct.name {
        "types" => read_types(&source).1,
        "routes" => read_routes(&source).1,
        _ => compile(&source).1,
    }
}

fn every_construct() -> impl Iterator<Item = &'static Construct> {
    let maps = [&WORKFLOW, &DEDUPE, &RECIPIENT, &MOMENT, &MESSAGE, &ARM, &STOP, &TYPE, &ROUTE];
    maps.into_iter().chain(&STEPS)
}

fn fields(construct: &Construct) -> Vec<Field> {
    let common = STEPS.iter().any(|step| std::ptr::eq(step, construct));
    construct.fields.iter().chain(STEP.fields.iter().filter(|_| common)).copied().collect()
}

#[test]
fn every_field_is_read_as_the_kind_that_it_says() {
    for construct in every_construct() {
        for field in fields(construct) {
            let at = |value: &str| {
                let text = file(construct, &format!("{}: {value}", field.name));
                let at = text.rfind(value).unwrap();
                (problems(construct, &text), at, text)
            };
            let (found, start, text) = at(&right(field.kind));
            let refused = found.iter().find(|one| {
                ["yaml.type", "yaml.unknown_key", "yaml.word", "yaml.syntax"].contains(&one.code)
                    && one.span.start >= start.saturating_sub(field.name.len() + 2)
            });
            assert_eq!(refused, None, "{text}");
            let (found, start, text) = at(&wrong(field.kind));
            assert!(found.iter().any(|one| one.span.start >= start), "{text}\n{found:?}");
        }
    }
}

#[test]
fn every_other_field_is_unknown_and_the_nearest_is_proposed() {
    for construct in every_construct() {
        let unknown = |text: String| {
            let found = problems(construct, &text);
            let unknown = found.into_iter().find(|one| one.code == "yaml.unknown_key");
            unknown.unwrap_or_else(|| panic!("{text}"))
        };
        unknown(file(construct, "zz: 1"));
        for field in fields(construct) {
            let text = file(construct, &format!("{}zq: 1", field.name));
            let found = unknown(text.clone());
            assert!(found.message.contains("zq"), "{text}: {found:?}");
        }
    }
}

#[test]
fn what_every_step_may_say_stands_beside_its_word() {
    let text = "workflow: w\non: a\nsteps:\n  - batch: { window: 1h, if: now }\n";
    let found = problems(&WORKFLOW, text);
    let inside = found.iter().find(|one| one.code == "yaml.unknown_key").unwrap();
    assert_eq!(inside.hint.as_deref(), Some("`if` stands beside the step's word, not in it"));
}

#[test]
fn the_schema_takes_what_the_table_takes_and_nothing_else() {
    let validator = |schema: Schema| jsonschema::validator_for(&schema.to_json()).unwrap();
    let [workflow, types, routes] =
        [Schema::Workflow, Schema::Types, Schema::Routes].map(validator);
    for construct in every_construct() {
        let fits = |text: &str| {
            let document = Document::parse(&Source::new("w.yaml", text)).0.unwrap();
            let json = document.root.to_json();
            match construct.name {
                "types" => types.is_valid(&json),
                "routes" => routes.is_valid(&json),
                _ => workflow.is_valid(&json),
            }
        };
        assert!(!fits(&file(construct, "zz: 1")), "{}", construct.name);
        for field in fields(construct) {
            // Alone it is not all that a route or a recipient needs; the wrong value is wrong.
            let text = file(construct, &format!("{}: {}", field.name, right(field.kind)));
            let partial = ["routes", "recipient"].contains(&construct.name);
            assert!(fits(&text) || partial, "{text}");
            let checked_by_the_reader_alone =
                matches!(field.kind, Kind::Expression | Kind::Cron | Kind::Zone | Kind::Event)
                    || matches!(field.kind, Kind::Many(Kind::Event));
            let text = file(construct, &format!("{}: {}", field.name, wrong(field.kind)));
            assert!(!fits(&text) || checked_by_the_reader_alone, "{text}");
        }
    }
}

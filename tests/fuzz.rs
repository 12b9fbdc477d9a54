//! What nobody meant to write: files from random bytes, from words of the languages, and from the
//! packs' own files, torn and mended anew.
//!
//! Some seconds by default, `NUNCIO_FUZZ_SECONDS` for longer. What fails names its seed, and
//! `NUNCIO_FUZZ_SEED` begins with it.

mod input;
mod run;

use nuncio::diagnostic::{Diagnostic, Source};
use nuncio::expression::{Expression, Names, Scope};
use nuncio::{template, workflow};
use serde_json::json;

use input::Input;
use run::fuzz;

/// Every problem lies inside its file, and can be shown.
fn placed(problems: &[Diagnostic], text: &str) {
    for one in problems {
        assert!(one.line >= 1 && one.column >= 1, "{one:?}");
        assert!(one.span.start <= one.span.end && one.span.end <= text.len(), "{one:?}");
        assert!(one.line <= text.lines().count() + 1, "{one:?}");
        nuncio::diagnostic::render(one, false);
    }
}

#[test]
fn workflow_files() {
    let seeds = Input::of_files("workflows", ".yaml");
    fuzz("workflow files", &seeds, |text| {
        let source = Source::new("workflows/w.yaml", text);
        let (first, problems) = workflow::compile(&source);
        placed(&problems, text);
        let (again, same) = workflow::compile(&source);
        assert_eq!((&first, &problems), (&again, &same), "the same file reads the same");
        if let Some(workflow) = first {
            workflow.graph();
        }
        placed(&workflow::read_types(&source).1, text);
        placed(&workflow::read_routes(&source).1, text);
        placed(&workflow::read_events(&source, &mut workflow::EventSchemas::default()), text);
    });
}

#[test]
fn expressions() {
    let seeds = Input::of_expressions();
    let at = "2030-05-01T12:00:00Z".parse().expect("a moment");
    let names = json!({
        "event": {"name": "a", "data": {"x": [1, 2], "t": "2030-05-01T12:00:00Z"}},
        "vars": {"a": "b"},
    });
    let names = names.as_object().expect("a map");
    fuzz("expressions", &seeds, |text| match Expression::compile(text, "w.yaml:1", Names::STEP) {
        Ok(expression) => {
            let scope = Scope::values(names, at);
            let _ = expression.evaluate_bool(&scope);
            let _ = expression.evaluate_time(&scope);
            let value = expression.evaluate_value(&scope).ok();
            assert_eq!(value, expression.evaluate_value(&scope).ok());
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for one in problems {
                assert!(one.span.start <= one.span.end && one.span.end <= text.len());
                assert!(text.is_char_boundary(one.span.start), "{one:?}");
                assert!(text.is_char_boundary(one.span.end), "{one:?}");
            }
        }
    });
}

#[test]
fn templates() {
    let seeds = Input::of_files("templates", ".hbs");
    let names = json!({
        "event": {"name": "a", "data": {"x": [1, 2], "at": "2030-05-01T12:00:00Z"}},
        "recipient": {"first_name": "Ada", "time_zone": "Africa/Tunis", "locale": "fr"},
        "count": 2,
        "items": [{"a": 1}, {"a": 2}],
    });
    fuzz("templates", &seeds, |text| {
        for path in ["templates/a/email.hbs", "templates/a/in_app.hbs", "templates/a/webhook.hbs"] {
            let (set, problems) = template::Set::build(vec![(path.to_owned(), text.to_owned())]);
            placed(&problems, text);
            if problems.iter().any(Diagnostic::is_error) {
                continue;
            }
            let channel = path.trim_start_matches("templates/a/").trim_end_matches(".hbs");
            let mut context = template::Context::from(names.clone());
            if let Ok(content) = set.render("a", channel, Some("fr"), &mut context) {
                assert!(content.body.len() <= template::MAX_OUTPUT);
                let breaks = |field: &Option<String>| {
                    field.as_ref().is_some_and(|text| text.contains(['\r', '\n']))
                };
                assert!(!breaks(&content.subject));
            }
        }
    });
}

//! Workflow files and templates, from the text to the words that somebody reads.

use std::path::Path;

use insta::{Settings, assert_snapshot};
use nuncio::diagnostic::{Format, Source, render_all};
use nuncio::workflow;
use proptest::prelude::*;

use super::check::{folder, load, text};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/workflows").join(name)
}

#[test]
fn a_broken_set_tells_everything_at_once() {
    let loaded = load(&fixture("broken"));
    assert!(loaded.catalog.is_none(), "a set with an error is refused whole");
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        assert_snapshot!("language_broken_set", text(&loaded));
    });
}

#[test]
fn machines_read_the_same_problems() {
    let files =
        [("workflows/w.yaml", "workflow: w\non: a.b\nstep: []\nsteps:\n  - send: in_app\n")];
    let loaded = load(folder(&files).path());
    let github = render_all(&loaded.diagnostics, Format::Github);
    assert_eq!(
        github,
        "::error file=workflows/w.yaml,line=3,col=1,title=yaml.unknown_key::a workflow has no field `step`%0Adid you mean `steps`?\n\
         ::error file=workflows/w.yaml,line=5,col=5,title=recipients.missing::`send` needs somebody to speak to: there are no `recipients`\n\
         ::error file=workflows/w.yaml,line=5,col=11,title=template.missing::`in_app` needs a `template`\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&render_all(&loaded.diagnostics, Format::Json)).unwrap();
    assert_eq!(json[0]["code"], "yaml.unknown_key");
    assert_eq!(json[0]["path"], "workflows/w.yaml");
    assert_eq!((&json[0]["line"], &json[0]["column"]), (&3.into(), &1.into()));
    assert_eq!(json[0]["hint"], "did you mean `steps`?");
}

#[test]
fn an_error_inside_an_expression_points_into_the_file_however_it_is_written() {
    let place = |condition: &str| {
        let text = format!("workflow: w\non: a\nif: {condition}\nsteps: []\n");
        let (_, problems) = workflow::compile(&Source::new("w.yaml", text));
        assert_eq!(problems.len(), 1, "{problems:?}");
        (problems[0].code, problems[0].line, problems[0].column)
    };
    assert_eq!(place("event.name == nme"), ("expression.name", 3, 19));
    assert_eq!(place("'event.name == nme'"), ("expression.name", 3, 20));
    assert_eq!(place("\"'\\\"' == nme\""), ("expression.name", 3, 14));
    assert_eq!(place("|\n  event.name ==\n    nme"), ("expression.name", 5, 5));
    assert_eq!(place(">-\n  event.name ==\n  nme"), ("expression.name", 5, 3));
    assert_eq!(place("event.name ==\n  nme"), ("expression.name", 4, 3));
}

#[test]
fn every_kind_of_step_is_read() {
    let text = "workflow: w
on: [a.b, 'c.*']
recipients: [{user: event.data.u}]
steps:
  - publish: { topic: '\"t\"', type: moved, data: { x: event.data.x } }
  - route: { channels: [push, email], success: seen, within: 10m }
    template: x/y
    id: s
  - schedule: { before: event.data.at, by: [24h, 2h] }
    steps: [{ send: in_app, template: x/y }]
  - batch: { window: 10m, max_items: 5 }
  - digest: { cron: '0 9 * * *', time_zone: Africa/Tunis }
  - throttle: { limit: 3, window: 1h, excess: defer }
  - wait_for: { event: paid, match: incoming.data.id == run.key, timeout: 3d, on_timeout: [{ stop: true }] }
  - wait_for: { message: { step: s, state: read }, on_match: stop }
  - fetch: { url: '\"https://x.example\"', into: answer, cache: 1m }
  - emit: { event: c.d, data: { x: '1' } }
  - cancel: { key: event.data.u }
";
    let (workflow, problems) = workflow::compile(&Source::new("w.yaml", text));
    assert_eq!(problems, []);
    let workflow = workflow.expect("all of it was understood");
    let paths: Vec<_> = workflow.all_steps().iter().map(|step| step.path.to_string()).collect();
    assert_eq!(paths, ["0", "1", "2", "2.0.0", "3", "4", "5", "6", "6.1.0", "7", "8", "9", "10"]);
    assert!(workflow.starts_on("c.anything") && !workflow.starts_on("a.b.c"));
}

#[test]
fn files_that_mean_harm_are_refused_and_read_quickly() {
    let codes = |text: &str| {
        let (_, problems) = workflow::compile(&Source::new("w.yaml", text));
        problems.into_iter().map(|one| one.code).collect::<Vec<_>>()
    };
    let bomb = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
        let before = format!("*a{}", level - 1);
        text + &format!("a{level}: &a{level} [{}]\n", vec![before; 9].join(","))
    });
    assert_eq!(codes(&bomb), ["yaml.size"]);
    assert_eq!(codes(&format!("a: {}", "[".repeat(10_000))), ["yaml.depth"]);
    assert_eq!(codes(&" ".repeat((1 << 20) + 1)), ["yaml.size"]);
    assert_eq!(codes("a: 1\n---\nb: 2\n")[0], "yaml.documents");
    assert_eq!(codes("a: &x [*x]\n")[0], "yaml.alias");
    assert_eq!(codes("\u{0}")[0], "yaml.syntax");
    let deep = (0..40).fold("steps: []".to_owned(), |inner, _| {
        format!("steps: [{{branch: [{{else: , {inner}}}]}}]")
    });
    assert!(codes(&deep).iter().all(|code| *code != "steps.size"));
}

#[test]
fn two_packs_cannot_share_a_name_and_other_files_are_no_workflows() {
    let flow = "workflow: w\non: a\nsteps: []\n";
    let files = [
        ("workflows/one/w.yaml", flow),
        ("workflows/two/w.yaml", flow),
        ("workflows/two/w.test.yaml", "anything"),
        ("workflows/two/samples/s.yaml", "anything"),
        ("workflows/two/README.md", "anything"),
        ("templates/two/sample.json", "{"),
    ];
    let loaded = load(folder(&files).path());
    let codes: Vec<_> = loaded.diagnostics.iter().map(|one| (one.code, &*one.path)).collect();
    assert_eq!(codes, [("workflow.duplicate", "workflows/two/w.yaml")]);
    assert_eq!(loaded.counts.workflows, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_parser_never_panics(text in "\\PC{0,120}") {
        let _ = workflow::compile(&Source::new("workflows/w.yaml", text));
    }

    #[test]
    fn nor_on_what_looks_like_a_workflow(lines in prop::collection::vec(
        prop::sample::select(vec![
            "workflow: w", "on: [a, 'b.*']", "steps:", "  - send: email", "  - delay: 1h",
            "  - branch:", "      - if: event.x", "        steps: [", "]", "    if: !x",
            "key: event.data.", "recipients: {user: 1}", "  - set: {a: *b}", "x: &b [1, *b]",
            "\t- tab", "? complex", "- - -", "{", "|", "on: !!str x", "priority: [high: x, low]",
        ]), 0..14)) {
        let _ = workflow::compile(&Source::new("workflows/w.yaml", lines.join("\n")));
    }
}

#[test]
fn what_stops_runs_needs_a_key_and_once_comes_before_whom_it_is_said_to() {
    let codes = |text: &str| -> Vec<(&str, usize)> {
        let (_, problems) = workflow::compile(&Source::new("w.yaml", text.to_owned()));
        problems.iter().map(|problem| (problem.code, problem.line)).collect()
    };
    let stops = "workflow: w\non: a\ncancel_on: b\nsteps: []\n";
    assert_eq!(codes(stops), [("key.missing", 3)]);
    assert_eq!(codes(&stops.replace("cancel_on: b", "key: event.data.k\ncancel_on: b")), []);
    let late = "workflow: w\non: a\nrecipients: {everyone: true}\nsteps:\n  - emit: {event: b, \
                once: true}\n  - send: in_app\n    template: t\n  - emit: {event: b, once: true}\n";
    assert_eq!(codes(late), [("step.once", 8)]);
}

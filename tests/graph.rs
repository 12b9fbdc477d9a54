//! Workflows as pictures.

use std::path::{Path, PathBuf};

use insta::{Settings, assert_snapshot};
use nuncio::diagnostic::Source;
use nuncio::workflow;

use crate::harness::node::Installation;

const EVERY_KIND: &str = r#"workflow: w
on: [a.b, 'c.*']
if: event.data.total > 10 && event.name != "x"
key: event.data.u
cancel_on: a.stopped
restart_on: a.moved
recipients:
  - { user: event.data.u, as: buyer, if: recipient.locale != "" }
  - { role: admin }
steps:
  - set: { plan: 'event.data.items[0] == "a|b"' }
  - { id: first, send: [in_app, email], template: x/y, on_error: continue }
  - publish: { topic: '"t"', type: moved, data: { x: event.data.x } }
  - route: { channels: [push, email], success: seen, within: 10m, template: x/y }
  - delay: { before: { at: event.data.at, by: 2h } }
  - schedule: { before: event.data.at, by: [24h, 2h] }
    steps: [{ send: in_app, template: x/y }]
  - batch: { window: 10m, max_window: 1h }
  - digest: { cron: '0 9 * * mon-fri' }
  - throttle: { limit: 3, window: 1h, excess: defer }
  - wait_for: { event: paid, timeout: 3d, on_timeout: [{ emit: c.late }], on_match: stop }
  - wait_for: { message: { step: first, state: read } }
  - branch:
      - { if: event.data.a, steps: [{ send: email, template: x/y, if: recipient.online }] }
      - { if: event.data.b, steps: [] }
  - branch:
      - { if: event.data.c, steps: [{ fetch: { url: '"https://x.example/?a=[1]"', into: answer } }] }
      - { else: [{ stop: { if: vars.plan } }, { cancel: { workflow: other, key: event.data.u } }] }
  - stop: true
"#;

#[test]
fn every_kind_of_step_has_its_place_and_its_ways_on() {
    let (workflow, problems) = workflow::compile(&Source::new("w.yaml", EVERY_KIND));
    assert_eq!(problems, []);
    let graph = workflow.expect("it was understood").graph();
    well_formed(&graph);
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| assert_snapshot!("graph_every_kind", graph));
}

#[test]
fn the_packs_workflows_can_be_drawn() {
    let workflows = packs();
    assert!(workflows.len() > 8);
    for path in workflows {
        let text = std::fs::read_to_string(&path).expect("a file");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let (workflow, _) = workflow::compile(&Source::new(name, text));
        well_formed(&workflow.expect("it is sound").graph());
    }
}

#[test]
fn nothing_of_a_file_can_break_the_picture() {
    let text = "workflow: w\non: 'a\"]b'\nif: 'event.name == \"`#<>{}()|%%;end\"'\nsteps: []\n";
    let (workflow, problems) = workflow::compile(&Source::new("w.yaml", text));
    assert_eq!(problems, []);
    let graph = workflow.expect("it is sound").graph();
    well_formed(&graph);
    assert!(graph.contains("a#34;#93;b"), "{graph}");
}

#[tokio::test]
async fn the_command_draws_a_file_or_says_what_is_wrong_with_it() {
    let sound = "workflow: w\non: a\nsteps:\n  - delay: 1h\n";
    let installation = Installation::empty()
        .file("workflows/w.yaml", sound)
        .file("workflows/v.yaml", "workflow: v\non: a\nstesp: []\n");

    let drawn = installation.command(&["graph", "workflows/w.yaml"]).await;
    assert_eq!(drawn.code, Some(0), "{drawn:?}");
    well_formed(&drawn.stdout);
    assert!(drawn.stdout.contains("delay"), "{}", drawn.stdout);

    let refused = installation.command(&["graph", "workflows/v.yaml"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(refused.stderr.contains("workflows/v.yaml:3:1"), "{}", refused.stderr);
    assert_eq!(installation.command(&["graph", "workflows/u.yaml"]).await.code, Some(1));
}

/// Every line is a node or an arrow, every label stands between quotes and holds none of the
/// signs of the language, and every arrow joins nodes that are there.
fn well_formed(graph: &str) {
    let mut lines = graph.lines();
    assert_eq!(lines.next(), Some("flowchart TD"));
    let (mut nodes, mut joined) = (Vec::new(), Vec::new());
    for line in lines {
        let parts: Vec<&str> = line.trim().split('"').collect();
        let (before, label, after) = match parts.as_slice() {
            [all] => (*all, "", ""),
            [before, label, after] => (*before, *label, *after),
            _ => panic!("one label a line: {line}"),
        };
        let text = label.replace("<br/>", " ");
        assert!(!text.contains(['[', ']', '{', '}', '(', ')', '<', '>', '|', '`']), "{line}");
        if let Some((from, _)) = before.split_once(" -->").or(before.split_once(" -.->")) {
            let to = line.rsplit(' ').next().expect("it leads somewhere");
            joined.extend([from.to_owned(), to.to_owned()]);
            continue;
        }
        let id = before.trim_end_matches(['[', '(', '{']);
        let open = &before[id.len()..];
        let close = match open {
            "[" => "]",
            "([" => "])",
            "{" => "}",
            "{{" => "}}",
            _ => panic!("no shape: {line}"),
        };
        assert_eq!(after, close, "{line}");
        nodes.push(id.to_owned());
    }
    let lost: Vec<_> = joined.iter().filter(|id| !nodes.contains(id)).collect();
    assert!(lost.is_empty(), "{lost:?} in\n{graph}");
}

fn packs() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows");
    let packs = std::fs::read_dir(root).expect("packs").flatten();
    let files = packs.flat_map(|pack| std::fs::read_dir(pack.path()).into_iter().flatten());
    let is_workflow = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".yaml")
            && !name.ends_with(".test.yaml")
            && !["events.yaml", "types.yaml", "routes.yaml"].contains(&name)
    };
    files.flatten().map(|file| file.path()).filter(is_workflow).collect()
}

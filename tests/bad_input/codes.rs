//! One of each: every code that a file's problem may have, met by a small set of files.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use insta::{Settings, assert_snapshot};
use nuncio::diagnostic::{Diagnostic, render};
use tempfile::TempDir;

use crate::check::{folder, load};

const SCHEMA: &str = "a:\n  type: object\n  required: [id]\n  properties: { id: { type: string }, note: { type: string } }\n";

/// A workflow of one step.
fn step(step: &str) -> TempDir {
    workflow(&format!("workflow: w\non: a\nsteps:\n  - {step}\n"))
}

fn workflow(text: &str) -> TempDir {
    folder(&[("workflows/events.yaml", SCHEMA), ("workflows/w.yaml", text)])
}

fn asked(expression: &str) -> TempDir {
    step(&format!("{{ stop: true, if: \"{expression}\" }}"))
}

/// A workflow that sends a mail, and its template.
fn mail(path: &str, text: &str) -> TempDir {
    let flow = "workflow: w\non: a\nrecipients: { user: event.data.id }\nsteps:\n  - { send: email, template: m }\n";
    folder(&[("workflows/events.yaml", SCHEMA), ("workflows/w.yaml", flow), (path, text)])
}

fn body(text: &str) -> TempDir {
    mail("templates/m/email.hbs", &format!("---\nsubject: Hello\n---\n{text}\n"))
}

fn steps_in_steps() -> String {
    let deeper = |inner: String, _| {
        ["[{ schedule: { before: now, by: 1h }, steps: ", &inner, " }]"].concat()
    };
    let steps = (0..18).fold("[]".to_owned(), deeper);
    format!("workflow: w\non: a\nsteps: {steps}\n")
}

fn two_of(first: (&str, &str), second: (&str, &str)) -> TempDir {
    folder(&[first, second])
}

fn of_steps() -> Vec<(&'static str, TempDir)> {
    vec![
        ("branch.arm", step("branch: [{ steps: [] }]")),
        ("branch.order", step("branch: [{ else: [] }, { if: 'true', steps: [] }]")),
        ("cancel.self", workflow("workflow: w\non: a\nkey: event.id\ncancel_on: a\nsteps: []\n")),
        ("batch.max_window", step("batch: { window: 1h, max_window: 1m }")),
        ("count.large", step("throttle: { limit: 1000000, window: 1h }")),
        ("count.zero", step("throttle: { limit: 0, window: 1h }")),
        ("cron.never", step("digest: { cron: 0 0 31 6 * }")),
        ("cron.syntax", step("digest: { cron: 0 24 * * * }")),
        ("delay.kind", step("delay: { for: 1h, until: now }")),
        ("duration.long", step("delay: 20000w")),
        ("duration.negative", step("delay: -1h")),
        ("duration.syntax", step("delay: soon")),
        ("duration.zero", step("delay: 0s")),
        ("emit.cycle", step("emit: a")),
        ("expression.depth", asked(&format!("{}1 == 1{}", "(".repeat(40), ")".repeat(40)))),
        ("expression.field", asked("event.data.idd == '1'")),
        ("expression.function", asked("sise(event.name) == 1")),
        ("expression.name", asked("evnet.name == 'a'")),
        ("expression.nesting", asked("[1].all(a, [1].all(b, [1].all(c, a < b)))")),
        ("expression.optional", asked("event.data.note == 'x'")),
        ("expression.size", asked(&"1 + ".repeat(1_100))),
        ("expression.syntax", asked("event.name ==")),
        ("key.missing", workflow("workflow: w\non: a\ncancel_on: b\nsteps: []\n")),
        (
            "list.long",
            step(&format!("schedule: {{ before: now, by: [{}] }}", "1h, ".repeat(1_001))),
        ),
        ("publish.target", step("publish: { type: x }")),
        ("recipients.kind", workflow("workflow: w\non: a\nrecipients: { as: buyer }\nsteps: []\n")),
        ("recipients.missing", step("{ send: in_app, template: x }")),
        ("schedule.kind", step("{ schedule: { by: 1h }, steps: [] }")),
        ("send.channel", step("send: []")),
        (
            "step.id",
            workflow(
                "workflow: w\non: a\nsteps:\n  - { id: x, delay: 1h }\n  - { id: x, delay: 1h }\n",
            ),
        ),
        ("step.kind", step("dealy: 1h")),
        (
            "step.once",
            workflow(
                "workflow: w\non: a\nrecipients: { everyone: true }\nsteps:\n  - { send: in_app, \
                 template: m }\n  - emit: { event: b, once: true }\n",
            ),
        ),
        ("step.unknown", asked("steps.first.status == 'done'")),
        ("steps.depth", workflow(&steps_in_steps())),
        (
            "steps.size",
            workflow(&format!("workflow: w\non: a\nsteps:\n{}", "  - delay: 1h\n".repeat(501))),
        ),
        ("time_zone.unknown", step("digest: { cron: '@daily', time_zone: Europe/Pari }")),
        ("variable.unknown", asked("vars.total == 1")),
        ("wait_for.key", step("wait_for: { event: b }")),
        ("wait_for.kind", step("wait_for: { timeout: 1h }")),
        (
            "wait_for.step",
            workflow(
                "workflow: w\non: a\nsteps:\n  - { id: x, delay: 1h }\n  - wait_for: { message: { \
                 step: x } }\n",
            ),
        ),
        ("workflow.unknown", step("cancel: { workflow: ww, key: event.id }")),
    ]
}

fn of_heads() -> Vec<(&'static str, TempDir)> {
    let flow = "workflow: w\non: a\nsteps: []\n";
    let cancel = |name: &str, other: &str| {
        format!(
            "workflow: {name}\non: a\nsteps:\n  - cancel: {{ workflow: {other}, key: event.id }}\n"
        )
    };
    let head = |line: &str| workflow(&format!("workflow: w\non: a\n{line}\nsteps: []\n"));
    vec![
        (
            "cancel.cycle",
            two_of(
                ("workflows/v.yaml", &cancel("v", "w")),
                ("workflows/w.yaml", &cancel("w", "v")),
            ),
        ),
        (
            "category.undeclared",
            two_of(
                ("workflows/types.yaml", "- orders\n"),
                ("workflows/w.yaml", "workflow: w\non: a\ncategory: order\nsteps: []\n"),
            ),
        ),
        ("channel.unknown", head("required: [emial]")),
        ("event.name", workflow("workflow: w\non: order paid\nsteps: []\n")),
        (
            "event.undeclared",
            two_of(
                ("workflows/events.yaml", "order.paid: {}\n"),
                ("workflows/w.yaml", "workflow: w\non: order.payd\nsteps: []\n"),
            ),
        ),
        (
            "events.duplicate",
            two_of(("workflows/one/events.yaml", SCHEMA), ("workflows/two/events.yaml", SCHEMA)),
        ),
        ("events.schema", folder(&[("workflows/events.yaml", "a: { type: objekt }\n")])),
        ("priority.order", head("priority: [high, low]")),
        (
            "routes.parameter",
            folder(&[(
                "workflows/routes.yaml",
                "- { path: /ws/a/, topics: ['t_{x}'], who: 'true' }\n",
            )]),
        ),
        (
            "routes.path",
            folder(&[("workflows/routes.yaml", "- { path: a/b, topics: [t], who: 'true' }\n")]),
        ),
        ("routes.kind", folder(&[("workflows/routes.yaml", "- { path: /a/ }\n")])),
        (
            "workflow.duplicate",
            two_of(("workflows/one/w.yaml", flow), ("workflows/two/w.yaml", flow)),
        ),
        ("workflow.name", folder(&[("workflows/v.yaml", flow)])),
        ("yaml.alias", head("key: &x [*x]")),
        ("yaml.depth", workflow(&format!("workflow: {}", "[".repeat(100)))),
        ("yaml.documents", head("---")),
        ("yaml.duplicate_key", head("on: b")),
        ("yaml.key", head("? [a]\n: b")),
        ("yaml.missing", workflow("workflow: w\non: a\n")),
        ("yaml.size", workflow(&"# long\n".repeat(200_000))),
        ("yaml.syntax", workflow("workflow: w\non: [a\nsteps: []\n")),
        ("yaml.tag", head("if: !recipient.online")),
        ("yaml.type", head("critical: perhaps")),
        ("yaml.unknown_key", head("prority: high")),
        ("yaml.word", head("priority: urgent")),
    ]
}

fn of_templates() -> Vec<(&'static str, TempDir)> {
    vec![
        ("template.default_missing", mail("templates/m/email.fr.hbs", "---\nsubject: S\n---\n")),
        ("template.field", body("{{event.data.idd}}")),
        ("template.front_matter", mail("templates/m/email.hbs", "---\nsubject\n---\n")),
        ("template.helper_unknown", body("{{upprr event.name}}")),
        (
            "template.layout_unknown",
            mail("templates/m/email.hbs", "---\nsubject: S\nlayout: l\n---\n"),
        ),
        ("template.missing", mail("templates/mm/email.hbs", "---\nsubject: S\n---\n")),
        ("template.name", mail("templates/email.hbs", "x")),
        ("template.name_unknown", body("{{evnt}}")),
        ("template.optional", body("{{event.data.note}}")),
        ("template.part_unused", mail("templates/m/email.fr.txt.hbs", "x")),
        ("template.partial_cycle", mail("templates/_partials/p.hbs", "{{> p}}")),
        ("template.partial_unknown", body("{{> p}}")),
        ("template.argument", body("{{truncate event.name}}")),
        (
            "template.inline",
            body("<style>.x { color: red }</style><p class=\"{{event.name}}\">x</p>"),
        ),
        ("template.subject", mail("templates/m/email.hbs", "x")),
        ("template.syntax", body("{{#if event.name}}")),
    ]
}

fn of_files() -> Vec<(&'static str, TempDir)> {
    let written = |bytes: &[u8]| {
        let folder = folder(&[("workflows/keep.md", "")]);
        std::fs::write(folder.path().join("workflows/w.yaml"), bytes).expect("written");
        folder
    };
    let unreadable = folder(&[("workflows/keep.md", "")]);
    std::os::unix::fs::symlink("nowhere", unreadable.path().join("workflows/w.yaml"))
        .expect("a link");
    let many = folder(&[("workflows/keep.md", "")]);
    std::fs::create_dir(many.path().join("workflows/all")).expect("made");
    for index in 0..100 {
        let written = std::fs::write(many.path().join(format!("workflows/all/{index}.md")), "");
        written.expect("written");
        let link = many.path().join(format!("workflows/{index}"));
        std::os::unix::fs::symlink("all", link).expect("a link to all of them");
    }
    let deep = format!("workflows/{}keep.md", "a/".repeat(18));
    vec![
        ("file.depth", folder(&[(&deep, "")])),
        ("file.encoding", written(b"workflow: w\non: \xe9\n")),
        ("file.many", many),
        ("file.size", written(&vec![b'a'; 10 << 20])),
        ("file.unreadable", unreadable),
    ]
}

fn sets() -> Vec<(&'static str, TempDir)> {
    let mut sets = of_steps();
    sets.extend(of_heads());
    sets.extend(of_templates());
    sets.extend(of_files());
    sets.sort_by_key(|(code, _)| *code);
    sets
}

#[test]
fn each_code_is_met_and_says_where_and_what() {
    let mut shown = String::new();
    for (code, folder) in sets() {
        let found: Vec<Diagnostic> = load(folder.path()).diagnostics;
        let one = found.iter().find(|one| one.code == code);
        let one = one.unwrap_or_else(|| panic!("{code}: {found:?}"));
        assert!(one.line >= 1 && !one.message.is_empty());
        let cut = |line: &str| line.chars().take(120).collect::<String>();
        for line in render(one, false).lines() {
            writeln!(shown, "{}", cut(line)).expect("a text");
        }
        shown.push('\n');
    }
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("../snapshots");
    settings.bind(|| assert_snapshot!("one_of_each_code", shown));
}

#[test]
fn every_code_of_the_engine_is_listed_and_met() {
    let met: BTreeSet<String> = sets().iter().map(|(code, _)| (*code).to_owned()).collect();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/check.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let listed: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .flat_map(|line| line.split(" | ").next().unwrap_or_default().split('`'))
        .filter(|word| word.contains('.'))
        .map(str::to_owned)
        .collect();
    let families: BTreeSet<&str> = met.iter().filter_map(|code| code.split('.').next()).collect();
    let mut written = BTreeSet::new();
    for source in crate::tidy::engine_sources() {
        let files = ["workflow", "check", "template", "expression", "diagnostic"];
        let ours = |folder: &&str| source.path.starts_with(&format!("engine/{folder}"));
        if !files.iter().any(ours) || source.path.ends_with("tests.rs") {
            continue;
        }
        let code = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (at, _) in code.match_indices('"') {
            let word = code[at + 1..].split('"').next().unwrap_or_default();
            let parts: Vec<&str> = word.split('.').collect();
            let [family, rest] = parts.as_slice() else { continue };
            let plain = rest.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if families.contains(family) && plain && *rest != "yaml" {
                written.insert(word.to_owned());
            }
        }
    }
    let apart = |other: &BTreeSet<String>| met.symmetric_difference(other).cloned().collect();
    let none: [&str; 0] = [];
    let unmet: Vec<String> = apart(&written);
    assert_eq!(unmet, none, "met here alone, or written in the engine alone");
    let unlisted: Vec<String> = apart(&listed);
    assert_eq!(unlisted, none, "met here alone, or listed in docs/reference/check.md alone");
}

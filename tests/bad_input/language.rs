//! Files that mean well and are wrong: each mistake has a code, a place and, where one is known, a
//! hint.

use std::time::{Duration, Instant};

use nuncio::diagnostic::Diagnostic;

use crate::check::{folder, load};

/// Code, line and column of every problem of a set.
fn found(files: &[(&str, &str)]) -> Vec<(&'static str, usize, usize)> {
    told(files).iter().map(|one| (one.code, one.line, one.column)).collect()
}

fn told(files: &[(&str, &str)]) -> Vec<Diagnostic> {
    load(folder(files).path()).diagnostics
}

/// A workflow with one step.
fn step(step: &str) -> Vec<(&'static str, usize, usize)> {
    let text = format!("workflow: w\non: a\nsteps:\n  - {step}\n");
    found(&[("workflows/w.yaml", &text)])
}

#[test]
fn lengths_of_time_that_cannot_be_meant() {
    assert_eq!(step("delay: 0s"), [("duration.zero", 4, 12)]);
    assert_eq!(step("delay: -5m"), [("duration.negative", 4, 12)]);
    assert_eq!(step("delay: 3654d"), [("duration.long", 4, 12)]);
    assert_eq!(step("delay: soon"), [("duration.syntax", 4, 12)]);
    assert_eq!(step("delay: P1M"), [("duration.syntax", 4, 12)], "a month has no length");
    assert_eq!(step("delay: 3653d"), []);
    assert_eq!(step("batch: { window: 0m }"), [("duration.zero", 4, 22)]);
    assert_eq!(step("throttle: { limit: 0, window: 1h }"), [("count.zero", 4, 24)]);
    assert_eq!(step("throttle: { limit: -1, window: 1h }"), [("yaml.type", 4, 24)]);
    assert_eq!(
        step("wait_for: { event: b, match: 'true', timeout: 0s }"),
        [("duration.zero", 4, 51)]
    );
    assert_eq!(step("schedule: { before: now, by: [1h, 0s], steps: [] }"), [], "at the moment");
}

#[test]
fn moments_that_never_come_and_zones_that_are_nowhere() {
    assert_eq!(step("digest: { cron: 0 0 30 2 * }"), [("cron.never", 4, 21)]);
    assert_eq!(step("digest: { cron: '0 25 * * *' }"), [("cron.syntax", 4, 24)]);
    assert_eq!(step("digest: { cron: '0 9 * *' }"), [("cron.syntax", 4, 22)]);
    let zone = "digest: { cron: '@daily', time_zone: Africa/Tunsi }";
    assert_eq!(step(zone), [("time_zone.unknown", 4, 42)]);
    let text = format!("workflow: w\non: a\nsteps:\n  - {zone}\n");
    let hint = told(&[("workflows/w.yaml", &text)])[0].hint.clone();
    assert_eq!(hint.as_deref(), Some("did you mean `Africa/Tunis`?"));
}

fn emitter(name: &str, on: &str, emits: &str, condition: &str) -> (String, String) {
    let path = format!("workflows/{name}.yaml");
    let text =
        format!("workflow: {name}\non: {on}\nsteps:\n  - emit: {{ event: {emits} }}\n{condition}");
    (path, text)
}

fn set(files: &[(String, String)]) -> Vec<Diagnostic> {
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    told(&files)
}

#[test]
fn workflows_that_start_one_another_without_end() {
    let asked = "    if: has(event.data.again)\n";
    let circle = |last: &str| {
        set(&[
            emitter("one", "a.b", "b.c", asked),
            emitter("two", "'b.*'", "c.d", last),
            emitter("three", "c.d", "a.b", asked),
            emitter("apart", "x", "a.b", ""),
        ])
    };
    let errors = circle("");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((errors[0].code, errors[0].line), ("emit.cycle", 4));
    assert!(errors[0].is_error());
    assert_eq!(
        errors[0].message,
        "`two` emits `c.d`, `three` emits `a.b`, `one` emits `b.c`, and `two` starts again"
    );
    // Each can stop it: it may be meant.
    let warnings = circle(asked);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(!warnings[0].is_error() && warnings[0].code == "emit.cycle");
    let alone = set(&[emitter("own", "a", "a", "")]);
    assert_eq!(alone.len(), 1);
    assert_eq!(alone[0].message, "`own` emits `a`, and `own` starts again");
    let line = set(&[emitter("one", "a", "b", ""), emitter("two", "b", "c", "")]);
    assert_eq!(line, []);
}

#[test]
fn workflows_that_stop_one_another() {
    let canceller = |name: &str, other: &str| {
        let text = format!(
            "workflow: {name}\non: a\nkey: event.id\nsteps:\n  - cancel: {{ workflow: {other}, key: event.id }}\n"
        );
        (format!("workflows/{name}.yaml"), text)
    };
    let both = set(&[canceller("one", "two"), canceller("two", "one")]);
    let codes: Vec<_> = both.iter().map(|one| (one.code, one.line)).collect();
    assert_eq!(codes, [("cancel.cycle", 5)], "{both:?}");
    assert_eq!(set(&[canceller("one", "two"), canceller("two", "two")]), []);
    let lost = set(&[canceller("one", "tow"), canceller("two", "two")]);
    assert_eq!(
        (lost[0].code, lost[0].hint.as_deref()),
        ("workflow.unknown", Some("did you mean `two`?"))
    );
    let own = "workflow: w\non: [a, b]\nkey: event.id\ncancel_on: b\nsteps: []\n";
    assert_eq!(found(&[("workflows/w.yaml", own)]), [("cancel.self", 4, 1)]);
}

#[test]
fn names_that_nothing_has() {
    let text = "workflow: w
on: a
priority: urgent
required: [in_ap]
defaults: { emial: true }
steps:
  - set: { total: '1' }
  - id: first
    delay: 1h
  - stop:
    if: vars.totl == '1' || steps.frist.status == 'done'
  - wait_for: { message: { step: fisrt, state: seen } }
";
    let problems = told(&[("workflows/w.yaml", text)]);
    let seen: Vec<_> = problems
        .iter()
        .map(|one| (one.code, one.line, one.column, one.hint.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        seen,
        [
            ("yaml.word", 3, 11, ""),
            ("channel.unknown", 4, 12, "did you mean `in_app`?"),
            ("channel.unknown", 5, 13, "did you mean `email`?"),
            ("variable.unknown", 11, 9, "did you mean `total`?"),
            ("step.unknown", 11, 29, "did you mean `first`?"),
            ("step.unknown", 12, 34, "did you mean `first`?"),
        ]
    );
}

#[test]
fn what_is_there_twice() {
    let twice =
        "workflow: w\non: a\non: b\nsteps:\n  - { id: x, delay: 1h }\n  - { id: x, delay: 1h }\n";
    assert_eq!(
        found(&[("workflows/w.yaml", twice)]),
        [("yaml.duplicate_key", 3, 1), ("step.id", 6, 14)]
    );
    assert_eq!(step("{ emit: b, event: c }"), [("yaml.duplicate_key", 4, 23)]);
    assert_eq!(step("{ delay: 1h, for: 2h }"), [("delay.kind", 4, 23)]);
    let beside = "batch: { window: 1h }, window: 2h";
    assert_eq!(step(&format!("{{ {beside} }}")), [("yaml.duplicate_key", 4, 16)]);
}

#[test]
fn fields_that_an_event_does_not_promise_are_asked_for() {
    let events = "order.paid:
  type: object
  required: [id]
  properties: { id: { type: string }, note: { type: string }, gift: { type: boolean } }
order.sent:
  type: object
  properties: { id: { type: string } }
";
    let text = "workflow: w
on: order.paid
recipients:
  - { user: event.data.note, if: has(event.data.note) }
  - { user: event.data.note }
steps:
  - branch:
      - if: has(event.data.gift)
        steps:
          - { stop: true, if: event.data.gift }
      - if: has(event.data.gift) && event.data.gift
        steps: []
      - else:
          - { stop: true, if: event.data.gift }
  - wait_for: { event: order.sent, match: incoming.data.idd == event.data.id }
";
    let seen = found(&[("workflows/events.yaml", events), ("workflows/w.yaml", text)]);
    assert_eq!(
        seen,
        [
            ("expression.optional", 5, 13),
            ("expression.optional", 14, 31),
            ("expression.field", 15, 43),
        ]
    );
}

#[test]
fn texts_that_are_none() {
    let bytes = |bytes: &[u8]| {
        let folder = folder(&[("workflows/keep.md", "")]);
        std::fs::write(folder.path().join("workflows/w.yaml"), bytes).expect("written");
        let problems = load(folder.path()).diagnostics;
        problems.iter().map(|one| (one.code, one.line, one.column)).collect::<Vec<_>>()
    };
    let sound = "workflow: w\non: a\nsteps: []\n";
    assert_eq!(bytes(b"workflow: w\non: \xff\xfe\n"), [("file.encoding", 2, 5)]);
    assert_eq!(bytes(b"workflow: w\non: a\0b\n"), [("file.encoding", 2, 6)]);
    assert_eq!(bytes(format!("\u{feff}{sound}").as_bytes()), []);
    assert_eq!(bytes(sound.replace('\n', "\r\n").as_bytes()), []);
    let began = Instant::now();
    assert_eq!(bytes(&vec![b'a'; 10 << 20]), [("file.size", 1, 1)]);
    assert_eq!(bytes("- x\n".repeat(500_000).as_bytes()), [("yaml.size", 1, 1)]);
    assert!(began.elapsed() < Duration::from_secs(5), "they are refused without being read");
    let tabs = found(&[("workflows/w.yaml", "workflow: w\non: a\nsteps:\n\t- delay: 1h\n")]);
    assert_eq!(tabs.iter().map(|one| one.0).collect::<Vec<_>>(), ["yaml.syntax"]);
    let hint = told(&[("workflows/w.yaml", "workflow: w\non: a\nsteps:\n\t- delay: 1h\n")]);
    assert_eq!(hint[0].hint.as_deref(), Some("YAML is indented with spaces, not tabs"));
}

#[test]
fn templates_are_read_whatever_ends_their_lines() {
    let flow = "workflow: w\non: a\nrecipients: [{ user: event.data.u }]\nsteps:\n  - { send: email, template: x }\n";
    for text in
        ["---\r\nsubject: Hello\r\n---\r\n<p>Hi</p>\r\n", "\u{feff}---\nsubject: Hello\n---\nHi\n"]
    {
        assert_eq!(found(&[("workflows/w.yaml", flow), ("templates/x/email.hbs", text)]), []);
    }
    let circle =
        [("templates/_partials/a.hbs", "{{> b}}"), ("templates/_partials/b.hbs", "{{> a}}")];
    let codes: Vec<_> = found(&circle).iter().map(|one| one.0).collect();
    assert_eq!(codes, ["template.partial_cycle", "template.partial_cycle"]);
}

#[test]
fn more_than_anybody_writes() {
    let many = (0..1_001).map(|index| format!("e{index}, ")).collect::<String>();
    let text = format!("workflow: w\non: [{many}]\nsteps: []\n");
    assert_eq!(found(&[("workflows/w.yaml", &text)]), [("list.long", 2, 5)]);
    let steps = "  - delay: 1h\n".repeat(501);
    let text = format!("workflow: w\non: a\nsteps:\n{steps}");
    assert_eq!(found(&[("workflows/w.yaml", &text)]), [("steps.size", 1, 1)]);
    let long = |expression: &str| step(&format!("{{ stop: true, if: \"{expression}\" }}"));
    assert_eq!(long(&"1 + ".repeat(1_000)).len(), 1);
    assert_eq!(
        long(&format!("{}1{} == 1", "(".repeat(40), ")".repeat(40)))[0].0,
        "expression.depth"
    );
    let nested = "[1].all(a, [1].all(b, [1].all(c, a < b)))";
    assert_eq!(long(nested)[0].0, "expression.nesting");
    let nested = |levels| {
        let deeper = |inner: String, _| ["[{ branch: [{ else: ", &inner, " }] }]"].concat();
        let steps = (0..levels).fold("[]".to_owned(), deeper);
        found(&[("workflows/w.yaml", &format!("workflow: w\non: a\nsteps: {steps}\n"))])
    };
    assert_eq!(nested(8), []);
    assert_eq!(nested(40).iter().map(|one| one.0).collect::<Vec<_>>(), ["yaml.depth"]);
}

use std::path::Path;

use serde_json::Value;

use super::Shop;

const TEST: &str = "workflows/shop/order-paid.test.yaml";

const GIVEN: &str = "given:
  clock: 2026-03-01T09:00:00Z
  users:
    - { id: 42, email: ada@example.com }
";

/// The cases with a `given` before them.
fn shop(cases: &str) -> Shop {
    Shop::open().write(TEST, &format!("{GIVEN}cases:\n{cases}"))
}

fn passes(cases: &str) {
    let ended = shop(cases).run(&["test"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains(" 0 failed"), "{}", ended.stderr);
}

fn fails(cases: &str) -> String {
    let ended = shop(cases).run(&["test"]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    ended.stdout
}

#[test]
fn the_example_of_the_reference_passes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/workflow-tests.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let file = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let shop = Shop::open().write(TEST, file.expect("it has an example"));
    let ended = shop.run(&["test"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("2 passed, 0 failed"), "{}", ended.stderr);
}

#[test]
fn time_passes_only_where_the_case_says_so() {
    passes(
        "  - name: not yet
    when: [{ event: { name: order.paid, data: { buyer: 42 } } }, { wait: 47h }]
    then: [{ send: in_app }, { none: { send: email } }]
  - name: now
    when: [{ event: { name: order.paid, data: { buyer: 42 } } }, { until: 2026-03-03T09:00:00Z }]
    then: [{ none: { send: sms } }, { send: in_app }, { send: email }, { none: true }]
",
    );
}

#[test]
fn what_happens_meanwhile_counts() {
    passes(
        "  - name: a failure, then another mind
    when:
      - event: { name: order.paid, data: { buyer: 42 } }
      - fail: { channel: email, outcome: retry, after: 1h, times: 1 }
      - read: { user: 42, workflow: order-paid }
      - wait: 2d
      - preferences: { user: 42, notification_types: { order: { email: false } } }
      - wait: 1h
    then:
      - send: { channel: in_app, recipient: 42, title: Paid, body_contains: thank you }
      - send: { channel: email, outcome: retry, to: 42, subject: Order paid }
      - { decision: retry, until: 2026-03-03T10:00:00Z }
      - { decision: drop, code: preference.channel_off, at: 2026-03-03T10:00:00Z }
      - none: true
  - name: somebody comes online
    when:
      - event: { name: order.paid, data: { buyer: 42 } }
      - user: { id: 42, email: ada@example.com, online: true }
      - wait: 2d
    then: [{ send: in_app }, { decision: skip, code: condition.false }, { none: true }]
  - name: nobody is known
    when: [{ event: { name: order.paid, data: { buyer: 7 } } }]
    then: [{ decision: skip, code: recipient.unknown, recipient: 7 }]
  - name: an event that does not fit
    when: [{ event: { name: order.paid } }]
    then: [{ refused: event.schema }, { none: true }]
",
    );
}

#[test]
fn a_failed_case_is_shown_with_what_came_nearest() {
    let said = fails(
        "  - name: a title
    when: [{ event: { name: order.paid, sample: samples/order_paid.json } }]
    then:
      - send: { channel: in_app, title: Payed, recipient: 42 }
",
    );
    for line in [
        "FAILED workflows/shop/order-paid.test.yaml:6: a title",
        "expected, and not there, workflows/shop/order-paid.test.yaml:9",
        "    channel: in_app",
        "  - title: Payed",
        "  + title: Paid",
        "order-paid#0 user 42 in_app send attempt 1 by inbox: accepted",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
}

#[test]
fn expectations_have_an_order_and_none_means_none() {
    let event = "when: [{ event: { name: order.paid, data: { buyer: 42 } } }, { wait: 2d }]";
    let case = |then: &str| format!("  - name: x\n    {event}\n    then: {then}\n");
    assert!(fails(&case("[{ send: email }, { send: in_app }]")).contains("not there"));
    assert!(fails(&case("[{ send: in_app }, { none: true }]")).contains("not expected"));
    assert!(fails(&case("[{ send: in_app }, { send: in_app }]")).contains("not there"));
    assert!(fails(&case("[{ refused: event.schema }]")).contains("expected to be refused"));
    let refused = "  - name: x\n    when: [{ event: { name: order.paid } }]\n    then: []\n";
    assert!(fails(refused).contains("event `order.paid` was refused [event.schema]"));
}

#[test]
fn machines_read_the_same() {
    let shop = shop(
        "  - name: good
    when: [{ event: { name: order.paid, data: { buyer: 42 } } }]
    then: [{ send: in_app }]
  - name: bad
    when: [{ event: { name: order.paid, data: { buyer: 42 } } }]
    then: [{ send: email }]
",
    );
    let ended = shop.run(&["test", "--format", "json"]);
    assert_eq!(ended.code, Some(1));
    let told: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&told["passed"], &told["failed"]), (&1.into(), &1.into()));
    let bad = &told["cases"][1];
    assert_eq!((&bad["name"], &bad["passed"]), (&"bad".into(), &false.into()));
    assert_eq!(bad["failure"]["expected"]["channel"], "email");
    assert_eq!(bad["failure"]["rows"][0]["channel"], "in_app");
    let only = shop.run(&["test", "--only", "good"]);
    assert_eq!(only.code, Some(0), "{}", only.stdout);
}

#[test]
fn a_wrong_test_file_has_codes_places_and_hints() {
    let rows = [
        ("  - nam: x\n    when: []\n    then: []\n", "yaml.unknown_key", "6:5"),
        ("  - name: x\n    when: [{ wiat: 2d }]\n    then: []\n", "case.when", "7:12"),
        ("  - name: x\n    when: [{ wait: later }]\n    then: []\n", "duration.syntax", "7:20"),
        ("  - name: x\n    when: []\n    then: [{ sned: email }]\n", "yaml.unknown_key", "8:14"),
        ("  - name: x\n    when: []\n    then: [{ decision: no }]\n", "yaml.word", "8:24"),
        (
            "  - name: x\n    when: [{ event: { name: ordr.paid } }]\n    then: []\n",
            "case.event",
            "7",
        ),
        (
            "  - name: x\n    when: [{ event: { name: order.paid, sample: no.json } }]\n    then: []\n",
            "case.sample",
            "7:49",
        ),
        ("  - name: x\n    when: [{ event: { nam: x } }]\n    then: []\n", "event.shape", "7"),
        (
            "  - name: x\n    when: [{ fail: { channel: fax, outcome: retry } }]\n    then: []\n",
            "channel.unknown",
            "7:31",
        ),
        (
            "  - name: x\n    when: [{ read: { user: 1, workflow: x } }]\n    then: []\n",
            "case.workflow",
            "7",
        ),
        (
            "  - name: x\n    given: { users: [{ id: 1, phone: x }] }\n    when: []\n    then: []\n",
            "user.invalid",
            "7:38",
        ),
    ];
    for (cases, code, place) in rows {
        let shop = shop(cases);
        for command in ["test", "check"] {
            let ended = shop.run(&[command]);
            let said = ended.stdout + &ended.stderr;
            assert_eq!(ended.code, Some(1), "{command} {cases}: {said}");
            assert!(said.contains(&format!("error[{code}]")), "{command} {cases}: {said}");
            assert!(said.contains(&format!("{TEST}:{place}")), "{command} {cases}: {said}");
        }
    }
}

#[test]
fn a_test_file_belongs_to_a_workflow() {
    let cases = "given: { clock: 2026-03-01T09:00:00Z }\ncases: []\n";
    let shop = Shop::open().write("workflows/shop/order-piad.test.yaml", cases);
    let ended = shop.run(&["test"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("error[case.workflow]"), "{}", ended.stderr);
    assert!(ended.stderr.contains("did you mean `order-paid`?"), "{}", ended.stderr);
    let named = format!("workflow: order-paid\n{cases}");
    let shop = shop.write("workflows/shop/order-piad.test.yaml", &named);
    assert_eq!(shop.run(&["test"]).code, Some(0));
}

#[test]
fn a_wrong_test_keeps_no_workflow_from_running() {
    let shop = Shop::open().write(TEST, "cases: 7\n");
    assert_eq!(shop.messages(&[]).len(), 2);
    assert_eq!(shop.run(&["check"]).code, Some(1));
}

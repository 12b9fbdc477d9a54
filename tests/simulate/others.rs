//! What one event brings about in other workflows and runs.

use super::{EVENT, NOON, Shop, USER, WORKFLOW, told};

#[test]
fn what_a_workflow_emits_is_told_with_it() {
    let emits = WORKFLOW.to_owned()
        + "  - emit: { event: order.settled, data: { buyer: event.data.buyer } }\n";
    let settled = WORKFLOW
        .replace("workflow: order-paid\non: order.paid", "workflow: settled\non: order.settled");
    let shop = Shop::open()
        .write("workflows/shop/order-paid.yaml", &emits)
        .write("workflows/shop/settled.yaml", &settled);
    let rows = shop.messages(&["--at", NOON]);
    assert_eq!(
        told(&rows, &["at", "workflow", "channel"]),
        [
            "2026-03-01T12:00:00.000Z order-paid in_app",
            "2026-03-03T12:00:00.000Z order-paid email",
            "2026-03-03T12:00:00.000Z settled in_app",
            "2026-03-05T12:00:00.000Z settled email",
        ]
    );
}

#[test]
fn what_another_workflow_emits_is_not() {
    let emits = "workflow: stock\non: order.paid\nsteps:\n  - emit: { event: order.settled, \
                 data: { buyer: event.data.buyer } }\n";
    let settled = WORKFLOW
        .replace("workflow: order-paid\non: order.paid", "workflow: settled\non: order.settled");
    let shop = Shop::open()
        .write("workflows/shop/stock.yaml", emits)
        .write("workflows/shop/settled.yaml", &settled);
    let rows = shop.messages(&["--at", NOON]);
    let workflows = told(&rows, &["workflow"]);
    assert_eq!(workflows, ["order-paid", "order-paid"]);
}

#[test]
fn a_later_event_stops_what_an_earlier_one_planned() {
    let workflow = WORKFLOW
        .replace("category: order\n", "key: event.data.order\ncancel_on: order.cancelled\n");
    let events = [
        r#"{"name": "order.cancelled", "at": "2026-03-02T08:00:00Z", "data": {"order": "a"}}"#,
        r#"{"name": "order.paid", "at": "2026-03-01T08:00:00Z", "data": {"order": "a", "buyer": 42}}"#,
        r#"{"name": "order.paid", "at": "2026-03-01T09:00:00Z", "data": {"order": "b", "buyer": 42}}"#,
    ];
    let shop = Shop::open()
        .write("workflows/shop/order-paid.yaml", &workflow)
        .write("event.json", &events.join("\n"));
    let rows = shop.rows(&[]);
    let cancelled: Vec<_> = rows.iter().filter(|row| row["decision"] == "cancel").collect();
    assert_eq!(cancelled.len(), 1, "{rows:#?}");
    assert_eq!(cancelled[0]["at"], "2026-03-02T08:00:00.000Z");
    let mails: Vec<_> = rows.iter().filter(|row| row["channel"] == "email").collect();
    assert_eq!(mails.len(), 1, "only the other order's");
    assert_eq!(mails[0]["at"], "2026-03-03T09:00:00.000Z");
}

#[test]
fn a_push_goes_to_a_device() {
    let workflow = WORKFLOW.replace("send: email", "send: push");
    let with_device = |devices: &str| {
        let user = USER.replace("\"id\": 42", &format!("\"id\": 42, \"devices\": {devices}"));
        let shop = Shop::open()
            .write("workflows/shop/order-paid.yaml", &workflow)
            .write("templates/order_paid/push.hbs", "---\ntitle: Paid\n---\nThank you.\n")
            .write("user.json", &user)
            .write("event.json", EVENT);
        let rows = shop.messages(&["--at", NOON]);
        told(&rows, &["channel", "decision", "code"]).remove(1)
    };
    assert_eq!(with_device("[]"), "push drop reachable.no_device");
    let device = r#"[{"device_token": "t-1", "device_type": "android"}]"#;
    assert_eq!(with_device(device), "push send accepted");
}

const SLEEPER: &str = r#"{"id": 42, "email": "ada@example.com", "time_zone": "Africa/Tunis",
    "preferences": {"quiet_hours": {"enabled": true, "start_time": "22:00", "end_time": "08:00"}}}"#;

#[test]
fn what_is_held_over_night_leaves_in_the_morning() {
    let shop = Shop::open()
        .write("workflows/shop/order-paid.yaml", &WORKFLOW.replace("  - delay: 2d\n", ""))
        .write("user.json", SLEEPER);
    let night = "2026-03-01T22:30:00Z";
    let rows = shop.messages(&["--at", night]);
    let mails: Vec<_> = rows.into_iter().filter(|row| row["channel"] == "email").collect();
    let expected = [
        "2026-03-01T22:30:00.000Z hold quiet_hours.held",
        "2026-03-02T07:00:00.000Z send accepted",
    ];
    assert_eq!(told(&mails, &["at", "decision", "code"]), expected);
    assert_eq!(mails[0]["until"], "2026-03-02T07:00:00.000Z");
    let text = shop.simulate(&["--at", night]).stdout;
    assert!(text.contains("held until 08:00 Africa/Tunis"), "{text}");
    assert!(text.contains("quiet hours of user 42"), "{text}");
}

#[test]
fn a_change_of_mind_moves_what_is_held() {
    let cases = format!(
        "cases:
  - name: the night is over at once
    given: {{ clock: 2026-03-01T22:30:00Z, users: [{SLEEPER}] }}
    when:
      - event: {{ name: order.paid, data: {{ buyer: 42 }} }}
      - wait: 30m
      - preferences: {{ user: 42, quiet_hours: {{ enabled: false }} }}
    then:
      - {{ decision: hold, code: quiet_hours.held, until: 2026-03-02T07:00:00Z }}
      - send: {{ channel: email, at: 2026-03-01T23:00:00Z }}
      - none: true
"
    );
    let shop = Shop::open()
        .write("workflows/shop/order-paid.yaml", &WORKFLOW.replace("  - delay: 2d\n", ""))
        .write("workflows/shop/order-paid.test.yaml", &cases);
    let ended = shop.run(&["test"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

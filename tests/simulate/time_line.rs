use super::{EVENT, NOON, Shop, USER, WORKFLOW, told};

#[test]
fn a_delay_of_days_is_over_at_once() {
    let rows = Shop::open().messages(&["--at", NOON]);
    let fields = ["at", "recipient", "channel", "decision", "code"];
    assert_eq!(
        told(&rows, &fields),
        [
            "2026-03-01T12:00:00.000Z 42 in_app send accepted",
            "2026-03-03T12:00:00.000Z 42 email send accepted",
        ],
        "{rows:#?}"
    );
}

#[test]
fn a_row_has_the_keys_of_the_contract() {
    let rows = Shop::open().rows(&["--at", NOON]);
    let keys = ["at", "event", "run", "recipient", "step", "channel", "decision", "code"];
    for row in &rows {
        for key in keys.iter().chain(&["reason", "rule"]) {
            assert!(row.get(key).is_some(), "{key} of {row:#}");
        }
        assert_eq!(row["message"].is_string(), row["channel"].is_string());
        assert_eq!(row.get("until").is_some(), row["decision"] == "wait", "{row:#}");
    }
}

#[test]
fn only_the_files_own_workflow_is_told() {
    let rows = Shop::open().messages(&["--at", NOON]);
    assert!(rows.iter().all(|row| row["workflow"] == "order-paid"), "{rows:#?}");
}

#[test]
fn two_runs_with_one_seed_are_equal_to_the_byte() {
    let script = "providers: [{ channel: email, outcome: retry, times: 3 }]";
    let shop = Shop::open().write("script.yaml", script);
    let run = |seed: &str| {
        shop.simulate(&[
            "--at",
            NOON,
            "--script",
            "script.yaml",
            "--seed",
            seed,
            "--format",
            "json",
        ])
    };
    let first = run("7").stdout;
    assert!(first.contains("provider.retry"), "{first}");
    assert_eq!(first, run("7").stdout);
    assert_ne!(first, run("8").stdout);
}

#[test]
fn nothing_is_done_after_until() {
    let shop = Shop::open();
    let rows = |until| shop.messages(&["--at", NOON, "--until", until]).len();
    assert_eq!(rows("2026-03-03T11:59:59Z"), 1);
    assert_eq!(rows("2026-03-03T12:00:00Z"), 2);
    assert_eq!(rows("2026-03-01T11:00:00Z"), 0);
}

#[test]
fn many_events_happen_each_at_its_own_moment() {
    let event = |at: &str| EVENT.replace("{\"name\"", &format!("{{\"at\": \"{at}\", \"name\""));
    let lines = ["2026-03-02T10:00:00Z", "2026-03-01T10:00:00.0005Z", "2026-03-04T10:00:00Z"];
    let shop = Shop::open().write("event.json", &lines.map(event).join("\n"));
    let rows = shop.messages(&[]);
    assert_eq!(
        told(&rows, &["at", "channel"]),
        [
            // The clock stands at whole milliseconds, never before the event.
            "2026-03-01T10:00:00.001Z in_app",
            "2026-03-02T10:00:00.000Z in_app",
            "2026-03-03T10:00:00.001Z email",
            "2026-03-04T10:00:00.000Z email",
            "2026-03-04T10:00:00.000Z in_app",
            "2026-03-06T10:00:00.000Z email",
        ]
    );
    let events: std::collections::BTreeSet<_> =
        rows.iter().map(|row| row["event"].to_string()).collect();
    assert_eq!(events.len(), 3);
}

#[test]
fn the_same_idempotency_key_counts_once() {
    let event = r#"{"name": "order.paid", "data": {"buyer": 42}, "idempotency_key": "k"}"#;
    let shop = Shop::open().write("event.json", &format!("[{event}, {event}]"));
    assert_eq!(shop.messages(&["--at", NOON]).len(), 2);
}

#[test]
fn events_may_come_by_the_standard_input() {
    let shop = Shop::open();
    let file = std::fs::File::open(shop.path().join("event.json")).expect("it is there");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nuncio"));
    command.args(["simulate", "workflows/shop/order-paid.yaml", "--event", "-", "--at", NOON]);
    let output = command.current_dir(shop.path()).stdin(file).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("recipient.unknown"));
}

#[test]
fn a_user_whom_nobody_described_is_unknown_and_a_hint_says_so() {
    let shop = Shop::open();
    let arguments = ["simulate", "workflows/shop/order-paid.yaml", "--event", "event.json"];
    let ended = shop.run(&arguments);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("[recipient.unknown, workflows/shop/order-paid.yaml:5]"));
    assert!(ended.stderr.contains("unknown here: user 42; describe them with --recipient"));
}

#[test]
fn people_come_with_all_that_is_known_of_them() {
    let user = USER.replace(
        "\"id\": 42",
        "\"id\": 42, \"preferences\": {\"notification_types\": {\"order\": {\"in_app\": false}}}, \
         \"online\": true, \"topics\": [\"shop:1\"], \"devices\": [{\"device_token\": \"t\", \
         \"device_type\": \"ios\"}]",
    );
    let shop = Shop::open().write("user.json", &format!("[{user}]"));
    let rows = shop.messages(&["--at", NOON]);
    let codes = told(&rows, &["channel", "decision", "code"]);
    let expected = ["in_app drop preference.channel_off", "email skip condition.false"];
    assert_eq!(codes, expected);
}

#[test]
fn topics_have_their_subscribers() {
    let workflow = WORKFLOW.replace("user: event.data.buyer", "topic: '\"shop:1\"'");
    let user = USER.replace("\"id\": 42", "\"id\": 42, \"topics\": [\"shop:1\"]");
    let shop =
        Shop::open().write("workflows/shop/order-paid.yaml", &workflow).write("user.json", &user);
    assert_eq!(shop.messages(&["--at", NOON]).len(), 2);
}

#[test]
fn text_shows_the_recipients_own_time() {
    let ended = Shop::open().simulate(&["--at", NOON]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ended.stdout);
    let [sent, waits] = ["user 42 in_app send", "user 42 -      wait waiting until"];
    assert!(ended.stdout.contains(&format!("2026-03-01 13:00 Africa/Tunis order-paid#0 {sent}")));
    assert!(ended.stdout.contains(waits), "{}", ended.stdout);
    // A pipe is no terminal.
    assert!(!ended.stdout.contains('\x1b'));
}

#[test]
fn a_file_that_lies_elsewhere_takes_part_too() {
    let shop = Shop::open()
        .write("drafts/thanks.yaml", &WORKFLOW.replace("workflow: order-paid", "workflow: thanks"));
    let arguments = ["simulate", "drafts/thanks.yaml", "--event", "event.json"];
    let more = ["--recipient", "user.json", "--at", NOON, "--format", "json"];
    let ended = shop.run(&[&arguments[..], &more].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout).expect("rows");
    let expected = ["thanks send", "thanks wait", "thanks send"];
    assert_eq!(told(&rows, &["workflow", "decision"]), expected);
}

#[test]
fn an_event_that_starts_nothing_is_said_to() {
    let other = EVENT.replace("order.paid", "order.lost");
    let ended = Shop::open().write("event.json", &other).simulate(&["--at", NOON]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    assert!(ended.stderr.contains("no event starts `order-paid`"), "{}", ended.stderr);
}

#[test]
fn a_year_of_work_ends() {
    let workflow = WORKFLOW.replace("delay: 2d", "delay: 365d");
    let shop = Shop::open().write("workflows/shop/order-paid.yaml", &workflow);
    let rows = shop.messages(&["--at", NOON]);
    assert_eq!(told(&rows, &["at"])[1], "2027-03-01T12:00:00.000Z");
}

use jiff::Timestamp;
use serde_json::Value;

use super::{NOON, Shop, WORKFLOW, told};

fn rows(script: &str) -> Vec<Value> {
    let workflow = WORKFLOW.replace("  - delay: 2d\n", "");
    let shop =
        Shop::open().write("workflows/shop/order-paid.yaml", &workflow).write("s.yaml", script);
    let rows = shop.rows(&["--at", NOON, "--script", "s.yaml"]);
    rows.into_iter().filter(|row| row["channel"] == "email").collect()
}

fn seconds(row: &Value) -> i64 {
    let at: Timestamp = row["at"].as_str().expect("text").parse().expect("an instant");
    at.as_second() - NOON.parse::<Timestamp>().expect("an instant").as_second()
}

#[test]
fn failures_are_tried_again_by_the_schedule() {
    let rows = rows("providers: [{ channel: email, outcome: retry, code: smtp.421, times: 2 }]");
    let codes = told(&rows, &["decision", "code"]);
    let expected = [
        "send retry",
        "retry provider.retry",
        "send retry",
        "retry provider.retry",
        "send accepted",
    ];
    assert_eq!(codes, expected);
    // 1m, then 5m, each with its jitter of a tenth.
    assert!((54..=66).contains(&seconds(&rows[2])));
    assert!((54 + 270..=66 + 330).contains(&seconds(&rows[4])));
    assert_eq!(rows[1]["until"], rows[2]["at"]);
    assert!(rows[0]["reason"].as_str().is_some_and(|reason| reason.contains("smtp.421")));
}

#[test]
fn a_provider_that_never_takes_it_makes_a_dead_letter() {
    let rows = rows("providers: [{ outcome: retry }]");
    let sends = rows.iter().filter(|row| row["decision"] == "send").count();
    assert_eq!(sends, 6, "the first attempt and five more");
    let last = rows.last().expect("there are rows");
    assert_eq!((&last["decision"], &last["code"]), (&"fail".into(), &"attempts.exhausted".into()));
}

#[test]
fn what_the_provider_asks_for_counts() {
    let rows = rows("providers: [{ outcome: rate_limited, after: 7s, times: 1 }]");
    let line = told(&rows, &["decision", "code"]).join(", ");
    assert_eq!(line, "send rate_limited, retry provider.rate_limited, send accepted");
    assert_eq!(seconds(&rows[2]), 7);
}

#[test]
fn a_failure_may_have_its_hours() {
    let rows = rows(
        "providers:\n  - outcome: retry\n    after: 10m\n    \
         from: 2026-03-01T12:00:00Z\n    until: 2026-03-01T12:30:00Z\n",
    );
    let sends: Vec<_> = rows.iter().filter(|row| row["decision"] == "send").collect();
    assert_eq!(sends.iter().map(|row| seconds(row)).collect::<Vec<_>>(), [0, 600, 1200, 1800]);
    assert_eq!(sends[3]["code"], "accepted");
}

#[test]
fn other_outcomes_end_as_they_would() {
    let last = |outcome: &str| {
        let rows = rows(&format!("providers: [{{ channel: email, outcome: {outcome} }}]"));
        told(&rows, &["decision"]).join(" ")
    };
    assert_eq!(last("rejected"), "send fail");
    assert_eq!(last("invalid_recipient"), "send fail");
}

#[test]
fn a_provider_that_a_step_names_can_fail_by_its_name() {
    let workflow = WORKFLOW.replace("    if: '!recipient.online'\n", "    providers: [first]\n");
    let script =
        |provider: &str| format!("providers: [{{ provider: {provider}, outcome: rejected }}]");
    let ended = |provider: &str| {
        let shop = Shop::open()
            .write("workflows/shop/order-paid.yaml", &workflow)
            .write("s.yaml", &script(provider));
        let rows = shop.rows(&["--at", NOON, "--script", "s.yaml"]);
        let mails: Vec<_> = rows.into_iter().filter(|row| row["channel"] == "email").collect();
        told(&mails, &["provider", "code"])[0].clone()
    };
    assert_eq!(ended("first"), "first rejected");
    assert_eq!(ended("capture"), "first accepted");
}

#[test]
fn a_configured_provider_is_faked_under_its_name() {
    let config = "[channels.email]\nproviders = [\"mx\"]\n[providers.mx]\nplugin = \"email\"\n\
                  settings = { host = \"mail.example\", port = 25, from = \"a@example.com\" }\n\
                  [engine]\nretry = [\"1s\"]\n";
    let shop = Shop::open()
        .write("nuncio.toml", config)
        .write("s.yaml", "providers: [{ provider: mx, outcome: retry }]");
    let rows = shop.rows(&["--at", NOON, "--script", "s.yaml"]);
    let mails: Vec<_> = rows.into_iter().filter(|row| row["channel"] == "email").collect();
    let line = told(&mails, &["decision", "code"]).join(", ");
    assert_eq!(line, "send retry, retry provider.retry, send retry, fail attempts.exhausted");
    assert_eq!(mails[0]["provider"], "mx");
}

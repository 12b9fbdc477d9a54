use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::model::{Event, Presence, Recipient};

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn event(data: Value) -> Event {
    Event {
        id: Clock::manual(now(), 1).id(),
        tenant: String::new(),
        name: "order.paid".to_owned(),
        actor: Some("9".into()),
        data,
        at: now(),
        received_at: now(),
        idempotency_key: None,
        depth: 0,
        told: Vec::new(),
        sensitive: false,
        trace: None,
    }
}

fn recipient() -> Recipient {
    Recipient {
        contact: Some(json!({"name": "Ada", "time_zone": "Africa/Tunis"})),
        role: "buyer".to_owned(),
        presence: Presence {
            online: false,
            last_seen: Some("2026-03-01T11:00:00Z".parse().unwrap()),
        },
        ..Recipient::default()
    }
}

fn evaluate(text: &str, data: Value) -> Result<Value, String> {
    let expression = Expression::compile(text, "w.yaml:3", Names::STEP).map_err(|problems| {
        problems.iter().map(|one| format!("{}: {}", one.code, one.message)).collect::<String>()
    })?;
    let (event, recipient) = (event(data), recipient());
    let scope = Scope::new(&event, now()).recipient(&recipient);
    expression.evaluate_value(&scope).map_err(|error| error.message)
}

#[track_caller]
fn holds(text: &str, data: Value) {
    assert_eq!(evaluate(text, data), Ok(true.into()), "{text}");
}

#[test]
fn data_is_read_in_place() {
    holds("event.data.a.b[1] == 'x' && event.name == 'order.paid'", json!({"a": {"b": [1, "x"]}}));
    holds("size(event.data.list) == 3 && 2 in event.data.list", json!({"list": [1, 2, 3]}));
    holds("event.data.list.exists(i, i.price > 9.5)", json!({"list": [{"price": 10}]}));
    holds("event.data.all(key, key != 'c') && 'a' in event.data", json!({"a": 1, "b": 2}));
    holds("event.data.a == {'x': 1, 'y': [null]}", json!({"a": {"x": 1, "y": [null]}}));
    holds("'k' + string(event.data.n) == 'k12' && event.actor == '9'", json!({"n": 12}));
    holds("recipient.as == 'buyer' && recipient.name == 'Ada'", json!({}));
    holds("event.data.size() == 1 && event.data.n > 9223372036854775807u", json!({"n": u64::MAX}));
    assert_eq!(evaluate("event.data", json!({"a": [1.5, {}]})), Ok(json!({"a": [1.5, {}]})));
}

#[test]
fn a_missing_field_is_an_error_unless_it_is_asked_for() {
    let missing = "there is no field `b`; ask `has(…)` where it may be missing";
    assert_eq!(evaluate("event.data.b == 1", json!({"a": 1})), Err(missing.to_owned()));
    holds("!has(event.data.b) && has(event.data.a)", json!({"a": null}));
    holds("!has(recipient.email)", json!({}));
    holds("!has(vars.x) && size(steps) == 0", json!({}));
}

#[test]
fn text_stands_for_a_timestamp_where_one_is_expected() {
    let data = json!({"at": "2026-03-02T12:00:00Z", "list": ["2026-01-01T00:00:00+01:00"]});
    holds("event.data.at > now", data.clone());
    holds("now < event.data.at && event.at <= now", data.clone());
    holds("event.data.at - now == duration('24h')", data.clone());
    holds("event.data.at - duration('36h') < now", data.clone());
    holds("now + duration('24h') == event.data.at", data.clone());
    holds("event.data.list[0] < recipient.last_seen", data.clone());
    holds(
        "event.data.at.getHours() == 12 && event.data.at.getHours('Africa/Tunis') == 13",
        data.clone(),
    );
    holds("event.data.at == '2026-03-02T12:00:00Z'", data);
    let wrong = evaluate("event.data.at > now", json!({"at": "tomorrow"}));
    assert_eq!(wrong, Err("`>` does not take (string, google.protobuf.Timestamp)".to_owned()));
}

#[test]
fn local_time_is_the_recipients() {
    let expression =
        Expression::compile("event.data.at", "w.yaml:3", Names::STEP).expect("it is sound");
    let (event, recipient) = (event(json!({"at": "2026-03-01T09:30:00"})), recipient());
    let utc = expression.evaluate_time(&Scope::new(&event, now())).unwrap();
    assert_eq!(utc.to_string(), "2026-03-01T09:30:00Z");
    let tunis = expression.evaluate_time(&Scope::new(&event, now()).recipient(&recipient)).unwrap();
    assert_eq!(tunis.to_string(), "2026-03-01T08:30:00Z");
}

#[test]
fn ids_may_be_text_or_integers() {
    let expression = Expression::compile("event.data.id", "w.yaml:3", Names::STEP).unwrap();
    for (id, wanted) in [(json!(42), Some("42")), (json!("a-1"), Some("a-1")), (json!(true), None)]
    {
        let event = event(json!({"id": id}));
        let text = expression.evaluate_text(&Scope::new(&event, now())).ok();
        assert_eq!(text.as_deref(), wanted);
    }
}

fn problem(text: &str) -> (&'static str, String, String) {
    let problems = Expression::compile(text, "w.yaml:3", Names::EVENT).expect_err(text);
    let first = &problems[0];
    (first.code, first.message.clone(), text[first.span.clone()].to_owned())
}

#[test]
fn unknown_names_are_found_when_compiling_and_where_they_stand() {
    let (code, message, at) = problem("evnt.data.x == 1");
    assert_eq!(
        (code, message.as_str(), at.as_str()),
        ("expression.name", "unknown name `evnt`", "evnt")
    );
    let (code, message, at) = problem("1 == 1 && event.dta.x == 1");
    assert_eq!((code, message.as_str()), ("expression.field", "`event` has no field `dta`"));
    assert_eq!(at, "event.dta.x");
    let (code, message, _) = problem("recipient.id == '1'");
    assert_eq!((code, message.as_str()), ("expression.name", "`recipient` is not known here"));
    let (code, message, _) = problem("event.data.x.startWith('a')");
    assert_eq!((code, message.as_str()), ("expression.function", "unknown function `startWith`"));
    let (code, _, at) = problem("event.data.list.exists(i, j > 1)");
    assert_eq!((code, at.as_str()), ("expression.name", "j"));
}

#[test]
fn a_syntax_error_has_its_place() {
    let problems = Expression::compile("event.data.x ==", "w.yaml:3", Names::EVENT).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].code, problems[0].span.start), ("expression.syntax", 15));
    let problems = Expression::compile("a b", "w.yaml:3", Names::EVENT).unwrap_err();
    assert_eq!((problems[0].code, problems[0].span.start), ("expression.syntax", 2));
}

#[test]
fn limits_are_by_shape() {
    let code = |text: &str| problem(text).0;
    assert_eq!(code(&vec!["1"; 1_001].join(" == 1 || ")), "expression.size");
    assert_eq!(code(&format!("[{}]", vec!["1"; 1_001].join(","))), "expression.size");
    assert_eq!(code(&vec!["1"; 40].join(" + ")), "expression.depth");
    assert_eq!(code(&format!("{}1{}", "(".repeat(200), ")".repeat(200))), "expression.depth");
    assert_eq!(code(&"x".repeat(MAX_TEXT + 1)), "expression.size");
    let nested = "event.data.a.all(x, event.data.b.all(y, event.data.c.all(z, x == y && y == z)))";
    assert_eq!(code(nested), "expression.nesting");
    let two = "event.data.a.all(x, event.data.b.all(y, x != y))";
    assert!(Expression::compile(two, "w.yaml:3", Names::EVENT).is_ok());
    let long: Vec<u32> = (0..10_001).collect();
    let error = evaluate("size(event.data.l) > 1", json!({"l": long})).unwrap_err();
    assert_eq!(error, "a list of 10001 items; at most 10000");
}

#[test]
fn errors_hold_no_value_of_the_data() {
    for text in ["event.data.s > 1", "event.data.s + 1", "int(event.data.s)", "event.data.s[0]"] {
        let error = evaluate(text, json!({"s": "secret@mail.example"})).unwrap_err();
        assert!(!error.contains("secret"), "{text}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn nothing_that_is_written_makes_the_compiler_panic(text in "[a-z0-9 .()\\[\\]{}<>=!&|?:\"'+*/%,-]{0,60}") {
        let _ = Expression::compile(&text, "w.yaml:1", Names::STEP);
    }

    #[test]
    fn nor_does_what_is_no_ascii(text in "\\PC{0,30}") {
        let _ = Expression::compile(&text, "w.yaml:1", Names::STEP);
    }
}

#[test]
fn a_long_chain_is_refused_before_it_is_a_deep_tree() {
    for link in ["1+", "1 in ", "a.", "true ? 1 : ", "!", "-", "x[0] == "] {
        let refused = |length: usize| {
            let text = format!("{}a", link.repeat(length));
            Expression::compile(&text, "w.yaml:1", Names::STEP).unwrap_err()
        };
        assert!(!refused(200).is_empty());
        assert_eq!(refused(1_400)[0].code, "expression.size", "{link}");
    }
    let text = format!("'{}' == 'a'", "+.".repeat(1_000));
    Expression::compile(&text, "w.yaml:1", Names::STEP).unwrap();
}

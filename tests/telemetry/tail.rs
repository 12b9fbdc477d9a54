//! `nuncio tail`, at a real node.

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::shop;
use crate::harness::node::{Node, PATIENCE};
use crate::harness::smtp::{Options, SmtpServer};

async fn node(smtp: &SmtpServer) -> Node {
    let node = shop(smtp.address.port()).dev().await;
    node.put_user("42", json!({"email": "nadia@example.com"})).await;
    node.put_user("43", json!({"email": "omar@example.com"})).await;
    node
}

/// What a command prints while events come, one after the other, until it ends.
async fn told(node: &Node, arguments: &[&str]) -> Vec<Value> {
    let command = node.command(arguments);
    let emitting = async {
        loop {
            for customer in [42, 43] {
                node.emit("order.placed", json!({"customer": customer})).await;
            }
        }
    };
    let ended = tokio::select! {
        ended = command => ended,
        () = emitting => unreachable!("it goes on"),
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens() {
    let smtp = SmtpServer::start(Options::default()).await;
    let node = node(&smtp).await;
    let all = ["--format", "json", "tail", "--count", "40"];
    let happenings = told(&node, &all).await;
    assert_eq!(happenings.len(), 40);
    let is = |kind: &str, channel: Value, status: Value| {
        happenings
            .iter()
            .any(|one| one["kind"] == kind && one["channel"] == channel && one["status"] == status)
    };
    assert!(is("event", Value::Null, Value::Null), "{happenings:?}");
    assert!(is("message", json!("in_app"), json!("sent")), "{happenings:?}");
    assert!(is("message", json!("email"), json!("sent")), "{happenings:?}");
    let text = serde_json::to_string(&happenings).expect("JSON");
    assert!(!text.contains("example.com"), "addresses are not told: {text}");
}

#[tokio::test]
async fn filters_let_through_what_was_asked_for() {
    let smtp = SmtpServer::start(Options::default()).await;
    let node = node(&smtp).await;
    let mut asked = vec!["--format", "json", "tail", "--count", "5", "--user", "42"];
    asked.extend(["--channel", "email", "--status", "sent", "--workflow", "order"]);
    asked.extend(["--event", "order.*"]);
    let happenings = told(&node, &asked).await;
    assert_eq!(happenings.len(), 5);
    for one in &happenings {
        assert_eq!((&one["user"], &one["channel"]), (&json!("42"), &json!("email")), "{one}");
        assert_eq!((&one["status"], &one["provider"]), (&json!("sent"), &json!("smtp")), "{one}");
        assert_eq!((&one["outcome"], &one["name"]), (&json!("accepted"), &json!("order.placed")));
    }
}

#[tokio::test]
async fn text_is_a_line_each_without_colours_in_a_pipe() {
    let smtp = SmtpServer::start(Options::default()).await;
    let node = node(&smtp).await;
    let command = node.command(&["tail", "--count", "2", "--channel", "email"]);
    let emitting = async {
        loop {
            node.emit("order.placed", json!({"customer": 42})).await;
        }
    };
    let ended = tokio::select! {
        ended = command => ended,
        () = emitting => unreachable!("it goes on"),
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 2, "{}", ended.stdout);
    assert!(!ended.stdout.contains('\x1b'), "{}", ended.stdout);
    for line in ended.stdout.lines() {
        assert!(line.contains("sent") && line.contains("order.placed"), "{line}");
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed_and_a_stop_ends_the_stream() {
    let smtp = SmtpServer::start(Options::default()).await;
    let node = node(&smtp).await;
    let answer = reqwest::Client::new()
        .get(format!("{}/v1/tail?channel=in_app", node.url))
        .bearer_auth(&node.api_key)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut pieces = answer.bytes_stream();
    let first = pieces.next().await.expect("a beginning").expect("it is open");
    assert!(first.starts_with(b":"), "{first:?}");
    // Nobody reads while more happens than the connection and the node hold.
    let events = |count: usize| {
        json!(vec![json!({"name": "order.placed", "data": {"customer": 42}}); count])
    };
    for _ in 0..40 {
        let (status, answer) = node.call("POST", "/v1/events", Some(events(1000))).await;
        assert_eq!(status, 202, "{answer}");
    }
    let mut text = String::new();
    let reading = tokio::time::timeout(PATIENCE, async {
        while !text.contains("event: dropped") {
            let piece = pieces.next().await.expect("it goes on").expect("it is open");
            text.push_str(&String::from_utf8_lossy(&piece));
        }
    });
    reading.await.expect("it is told");
    let (_, rest) = text.split_once("event: dropped\ndata: ").expect("what was missed");
    assert!(rest.starts_with("{\"dropped\":"), "{rest}");
    let ending = tokio::time::timeout(PATIENCE, async { while pieces.next().await.is_some() {} });
    let (stopped, ended) = tokio::join!(node.stop(), ending);
    assert_eq!(stopped, Some(0));
    ended.expect("the stream ends with the node");
}

#[tokio::test]
async fn a_filter_that_is_none_is_refused() {
    let smtp = SmtpServer::start(Options::default()).await;
    let node = node(&smtp).await;
    let (status, problem) = node.call("GET", "/v1/tail?chanel=email", None).await;
    assert_eq!((status, &problem["code"]), (400, &json!("query.invalid")));
}

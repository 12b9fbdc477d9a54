//! `fetch`: data from a server, over real sockets.

use std::sync::Arc;

use nuncio::egress::{AllowPrivate, Egress, Policy};
use nuncio::model::{RunStatus, Verdict};
use serde_json::json;

use super::stage::{Ground, Stage};
use crate::harness::sink::{Answer, Sink};

async fn stage(workflow: &str, allow_private: AllowPrivate, rough: bool) -> Stage {
    let files = [("workflows/priced.yaml", workflow)];
    let policy = Policy { allow_private, ..Policy::default() };
    let egress = Egress::new(&policy).expect("a client can be made");
    let ground = if rough { Ground::Sqlite } else { Ground::Memory };
    let stage = Stage::with(ground, rough, &files, |pipeline| pipeline.fetching(Arc::new(egress)));
    let stage = stage.await;
    for user in ["1", "2", "3"] {
        stage.user(user, true).await;
    }
    stage
}

fn json_answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
        body: body.as_bytes().to_vec(),
        after: None,
    }
}

fn workflow(fetch: &str) -> String {
    format!(
        "workflow: priced
on: order.placed
category: billing
recipients: [{{ list: event.data.users }}]
steps:
  - id: price
    fetch: {fetch}
  - set: {{ doubled: vars.price.net * 2 }}
"
    )
}

#[tokio::test]
async fn an_answer_is_there_for_later_steps() {
    for rough in [false, true] {
        let sink = Sink::start().await;
        sink.answer_always(json_answer(200, r#"{"net": 21}"#));
        let fetch = "{ url: event.data.url, method: POST, into: price, \
                     headers: { X-Order: event.data.order }, body: '{\"order\": event.data.order}' }";
        let stage = stage(&workflow(fetch), AllowPrivate::All, rough).await;
        let data = json!({"url": sink.url("/p"), "order": "a", "users": ["1"]});
        let event = stage.emit("order.placed", data).await;
        let run = stage.run(event).await;
        assert_eq!(run.status, RunStatus::Finished, "{:?}", stage.rows(event).await);
        assert_eq!(run.state["vars"]["doubled"], 42);
        let step = stage.step(event, "price").await;
        let expected = json!({"status": "done", "result": {"status": 200, "body": {"net": 21}}});
        assert_eq!(step, expected);
        let requests = sink.requests();
        let key = format!("{}-0-0", run.id);
        for request in &requests {
            assert_eq!(request.headers["idempotency-key"], key.as_str(), "however often");
            assert_eq!(request.headers["x-order"], "a");
            assert_eq!(request.headers["content-type"], "application/json");
            assert_eq!(&request.body[..], br#"{"order":"a"}"#);
        }
        assert!(!requests.is_empty());
    }
}

#[tokio::test]
async fn a_server_that_fails_fails_the_step() {
    let sink = Sink::start().await;
    let priced = workflow("{ url: event.data.url, into: price }");
    let stage = stage(&priced, AllowPrivate::All, false).await;
    let emit = async || {
        let event = stage.emit("order.placed", json!({"url": sink.url("/p"), "users": ["1"]}));
        event.await
    };
    sink.answer(json_answer(503, "{}"));
    let event = emit().await;
    assert_eq!(stage.status(event).await, RunStatus::Failed);
    assert_eq!(stage.codes(event, Verdict::Fail).await, ["fetch.failed"]);
    let too_large = format!("\"{}\"", "x".repeat(300 << 10));
    sink.answer(json_answer(200, &too_large));
    let event = emit().await;
    assert_eq!(stage.codes(event, Verdict::Fail).await, ["fetch.too_large"]);
    // No reason says where: addresses may hold secrets.
    for row in stage.rows(event).await {
        assert!(!row.reason.contains("127.0.0.1"), "{}", row.reason);
    }
}

#[tokio::test]
async fn private_addresses_are_refused_by_whatever_way() {
    let sink = Sink::start().await;
    let fetch = "{ url: event.data.url, into: price }";
    let closed = stage(&workflow(fetch), AllowPrivate::None, false).await;
    for url in [sink.url("/p"), format!("http://localhost:{}/p", sink.address.port())] {
        let event = closed.emit("order.placed", json!({"url": url, "users": ["1"]})).await;
        assert_eq!(closed.codes(event, Verdict::Fail).await, ["fetch.refused"], "{url}");
    }
    assert!(sink.requests().is_empty());
    // What a redirect names is asked the same.
    let named = AllowPrivate::some(&["127.0.0.1".to_owned()]).expect("it is an address");
    let open = stage(&workflow(fetch), named, false).await;
    sink.answer(Answer {
        status: 302,
        headers: vec![("location", "http://169.254.169.254/latest/".to_owned())],
        body: Vec::new(),
        after: None,
    });
    let event = open.emit("order.placed", json!({"url": sink.url("/p"), "users": ["1"]})).await;
    assert_eq!(open.codes(event, Verdict::Fail).await, ["fetch.refused"]);
}

#[tokio::test]
async fn a_get_follows_redirects_and_tells_others_no_secrets() {
    let (sink, other) = (Sink::start().await, Sink::start().await);
    let to = |url: String| Answer {
        status: 307,
        headers: vec![("location", url)],
        body: Vec::new(),
        after: None,
    };
    sink.answer(to("/q".to_owned()));
    sink.answer(to(other.url("/r")));
    other.answer(json_answer(200, r#"{"net": 1}"#));
    let fetch = "{ url: event.data.url, into: price, headers: { Authorization: '\"Bearer x\"' } }";
    let stage = stage(&workflow(fetch), AllowPrivate::All, false).await;
    let event = stage.emit("order.placed", json!({"url": sink.url("/p"), "users": ["1"]})).await;
    assert_eq!(stage.run(event).await.state["vars"]["doubled"], 2);
    let asked: Vec<_> = sink.requests().iter().map(|one| one.uri.path().to_owned()).collect();
    assert_eq!(asked, ["/p", "/q"]);
    assert!(sink.requests().iter().all(|one| one.headers.contains_key("authorization")));
    assert!(!other.requests()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn an_answer_may_be_shared_for_a_while() {
    let sink = Sink::start().await;
    sink.answer(json_answer(500, "{}"));
    sink.answer_always(json_answer(200, r#"{"net": 1}"#));
    let fetch = "{ url: event.data.url, into: price, cache: 10m }";
    let stage = stage(&workflow(fetch), AllowPrivate::All, false).await;
    let data = json!({"url": sink.url("/p"), "users": ["1"]});
    // A failure is nobody else's.
    for (asked, pass) in [(1, "0s"), (2, "9m"), (2, "2m"), (3, "0s")] {
        stage.emit("order.placed", data.clone()).await;
        assert_eq!(sink.requests().len(), asked);
        stage.pass(pass).await;
    }
}

#[tokio::test]
async fn once_is_once_for_all_recipients_of_an_event() {
    for rough in [false, true] {
        let sink = Sink::start().await;
        sink.answer_always(json_answer(200, r#"{"net": 4}"#));
        let fetch = "{ url: event.data.url, into: price, once: true }";
        let stage = stage(&workflow(fetch), AllowPrivate::All, rough).await;
        let data = json!({"url": sink.url("/p"), "users": ["1", "2", "3"]});
        let event = stage.emit("order.placed", data.clone()).await;
        let runs = stage.store.event(event).await.expect("reads").expect("is there").runs;
        assert_eq!(runs.len(), 3);
        assert!(runs.iter().all(|run| run.state["vars"]["doubled"] == 8));
        assert_eq!(sink.requests().len(), 1);
        stage.emit("order.placed", data).await;
        assert_eq!(sink.requests().len(), 2, "another event asks anew");
    }
}

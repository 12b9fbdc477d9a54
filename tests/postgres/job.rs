//! The real command, twice, on one database.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::harness::node::{Installation, Node};
use crate::harness::postgres::Postgres;
use crate::harness::sink::Sink;

const WORKFLOW: &str = "workflow: order
on: order.placed
category: order
recipients:
  - user: event.data.customer
steps:
  - send: webhook
    template: order
  - send: in_app
    template: order
";
/// A run stands still until it is paid; whichever node hears of it ends the wait.
const WAITING: &str = "workflow: reminder
on: bill.sent
category: order
key: event.data.bill
recipients:
  - user: event.data.customer
steps:
  - wait_for:
      event: bill.paid
      timeout: 1d
  - send: webhook
    template: order
";
const USERS: usize = 5;
const EVENTS: usize = 60;

fn folder(database: &str, sink: &Sink) -> Installation {
    let config = format!(
        "[store]\nurl = \"{database}\"\n\
         [auth]\nsecret = \"a secret that only tests know\"\n\
         [channels.webhook]\nproviders = [\"hook\"]\n\
         [providers.hook]\nplugin = \"webhook\"\nsettings = {{ url = \"{}\" }}\n\
         secrets = {{ signing = \"c2VjcmV0IG9mIHRoZSBqb2Igb24gdHdvIG5vZGVzISE=\" }}\n",
        sink.url("/hook")
    );
    Installation::empty()
        .file("workflows/order.yaml", WORKFLOW)
        .file("workflows/reminder.yaml", WAITING)
        .file("templates/order/in_app.hbs", "---\ntitle: Order\n---\nThank you.\n")
        .file("templates/order/webhook.hbs", "{\"customer\": \"{{event.data.customer}}\"}\n")
        .file("nuncio.toml", &config)
}

/// Two nodes of one installation, each from a folder of its own.
async fn two(sink: &Sink) -> (Node, Node) {
    let database = Postgres::shared().await.database().await;
    let here = folder(&database, sink).run().await;
    let there = folder(&database, sink).run_with(&here.api_key).await;
    (here, there)
}

async fn with_users(node: &Node) {
    for user in 0..USERS {
        node.put_user(&format!("u{user}"), json!({"email": format!("u{user}@example.org")})).await;
    }
}

async fn place(node: &Node, n: usize) -> String {
    let event = json!({
        "name": "order.placed", "idempotency_key": format!("order-{n}"),
        "data": {"customer": format!("u{}", n % USERS), "order": n},
    });
    let (status, answer) = node.call("POST", "/v1/events", Some(event)).await;
    assert!(status == 202 || status == 200, "{status}: {answer}");
    answer["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_the_work_and_send_everything_once() {
    let sink = Sink::start().await;
    let (here, there) = two(&sink).await;
    with_users(&here).await;
    // Every event is told to both at once: it is one.
    join_all((0..EVENTS).map(async |n| {
        let (one, other) = join(place(&here, n), place(&there, n)).await;
        assert_eq!(one, other);
    }))
    .await;
    sink.reached(EVENTS).await;
    for user in 0..USERS {
        for node in [&here, &there] {
            let (_socket, first) = node.connect(&format!("u{user}")).await;
            assert_eq!(first["data"]["unread_count"], json!(EVENTS / USERS));
        }
    }
    let sent = sink.by_id();
    assert_eq!(sent.len(), EVENTS);
    assert!(sent.values().all(|times| *times == 1), "{sent:?}");
    for node in [here, there] {
        assert_eq!(node.stop().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_is_told_the_other_goes_by() {
    let sink = Sink::start().await;
    let (here, there) = two(&sink).await;
    with_users(&here).await;
    // A run that began to wait here goes on by what comes there.
    let bill = json!({"customer": "u0", "bill": 7});
    here.emit("bill.sent", bill.clone()).await;
    there.emit("bill.paid", bill).await;
    sink.reached(1).await;

    let off = json!({"notification_types": {"order": {"webhook": false}}});
    let token = here.token("u1").await;
    let path = "/api/notifications/preferences/";
    let (status, said) = here.send("PATCH", path, &token, Some(off.to_string())).await;
    assert_eq!(status, 200, "{said}");
    let event = place(&there, 1).await;
    let decided = |rows: &[Value]| rows.iter().any(|row| row["channel"] == "webhook");
    let rows = there.explained(&event, decided).await;
    let hook = rows.iter().find(|row| row["channel"] == "webhook").expect("a row");
    assert_eq!(hook["code"], "preference.channel_off", "{hook}");
    assert_eq!(sink.count(), 1);
}

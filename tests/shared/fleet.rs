//! Two nodes as people run them: one PostgreSQL, one Redis.

use serde_json::{Value, json};

use crate::harness::node::{Installation, Node, Socket};
use crate::harness::postgres::Postgres;
use crate::harness::redis::Redis;
use crate::harness::sink::Sink;

const WORKFLOW: &str = "
workflow: thing-done
on: thing.done
category: things
recipients:
  - user: event.data.user
steps:
  - send: webhook
    template: thing/done
";

struct Fleet {
    a: Node,
    b: Node,
    redis: Redis,
    sink: Sink,
}

impl Fleet {
    async fn start() -> Self {
        let (redis, sink) = (Redis::start().await, Sink::start().await);
        let database = Postgres::shared().await.database().await;
        let toml = format!(
            "[store]\nurl = \"{database}\"\n[redis]\nurl = \"{}\"\n\
             [auth]\nsecret = \"a secret that only tests know\"\n\
             [channels.webhook]\nproviders = [\"hook\"]\n\
             [providers.hook]\nplugin = \"webhook\"\nsettings = {{ url = \"{}\" }}\n\
             rate = \"1/h\"\n",
            redis.url(),
            sink.url("/"),
        );
        let installation = Installation::empty()
            .file("nuncio.toml", &toml)
            .file("workflows/thing-done.yaml", WORKFLOW)
            .file("templates/thing/done/webhook.hbs", "{\"done\": true}\n");
        let a = installation.run().await;
        let b = installation.run_with(&a.api_key).await;
        for node in [&a, &b] {
            healthy(node, "up").await;
        }
        Self { a, b, redis, sink }
    }
}

/// Returns once a node shows its Redis so.
async fn healthy(node: &Node, redis: &str) {
    node.asked("/readyz", |health| health["redis"] == redis).await;
}

async fn publish(node: &Node, n: u64) {
    let frame = json!({"user": "42", "type": "note", "data": {"n": n}});
    let (status, answer) = node.call("POST", "/v1/relay/publish", Some(frame)).await;
    assert_eq!((status, &answer["seq"]), (202, &json!(n)), "{answer}");
}

async fn comes(socket: &mut Socket, n: u64) {
    let frame = socket.frame().await;
    assert_eq!((&frame["seq"], &frame["data"]["n"]), (&json!(n), &json!(n)));
}

#[tokio::test]
async fn clients_of_one_node_hear_the_other_with_redis_and_without() {
    let fleet = Fleet::start().await;
    let (mut socket, _) = fleet.b.connect("42").await;
    publish(&fleet.a, 1).await;
    comes(&mut socket, 1).await;
    fleet.redis.crash();
    for n in 2..=20 {
        publish(if n % 4 == 0 { &fleet.b } else { &fleet.a }, n).await;
    }
    for n in 2..=20 {
        comes(&mut socket, n).await;
    }
    healthy(&fleet.b, "down").await;
    fleet.redis.resume().await;
    healthy(&fleet.a, "up").await;
    healthy(&fleet.b, "up").await;
    publish(&fleet.a, 21).await;
    comes(&mut socket, 21).await;
}

#[tokio::test]
async fn a_providers_rate_holds_for_both_nodes_together() {
    let fleet = Fleet::start().await;
    fleet.a.put_user("42", json!({})).await;
    for node in [&fleet.a, &fleet.b, &fleet.a, &fleet.b] {
        node.emit("thing.done", json!({"user": "42"})).await;
    }
    // One may be sent this hour. The others have been asked about, and put off.
    let sent = |message: &Value| message["status"] == "sent";
    let put_off = |message: &Value| {
        let times = (message["created_at"].as_str(), message["due_at"].as_str());
        message["status"] == "pending" && later(times.0, times.1)
    };
    let settled = |answer: &Value| {
        let messages = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        messages.len() == 4 && messages.iter().all(|one| sent(one) || put_off(one))
    };
    let messages = fleet.a.asked("/v1/messages", settled).await;
    let messages = messages["results"].as_array().expect("a list");
    assert_eq!(messages.iter().filter(|one| sent(one)).count(), 1, "{messages:#?}");
    assert_eq!(fleet.sink.count(), 1);
}

/// Whether the second is many minutes after the first.
fn later(first: Option<&str>, second: Option<&str>) -> bool {
    let at = |text: Option<&str>| text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    at(first).zip(at(second)).is_some_and(|(first, second)| {
        second.duration_since(first) > jiff::SignedDuration::from_mins(10)
    })
}

//! Two nodes as people run them: one PostgreSQL, one Redis.

use serde_json::json;

use crate::harness::node::{Installation, Node, Socket};
use crate::harness::postgres::Postgres;
use crate::harness::redis::Redis;

struct Fleet {
    a: Node,
    b: Node,
    redis: Redis,
}

impl Fleet {
    async fn start() -> Self {
        let redis = Redis::start().await;
        let database = Postgres::shared().await.database().await;
        let toml = format!(
            "[store]\nurl = \"{database}\"\n[redis]\nurl = \"{}\"\n\
             [auth]\nsecret = \"a secret that only tests know\"\n",
            redis.url(),
        );
        let installation = Installation::empty().file("nuncio.toml", &toml);
        let a = installation.run().await;
        let b = installation.run_with(&a.api_key).await;
        for node in [&a, &b] {
            healthy(node, "up").await;
        }
        Self { a, b, redis }
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

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio::sync::Notify;

use super::cluster::{Cluster, TAKEOVER};
use crate::harness::sink::Answer;

/// Events of one test: more than one node works on at once.
const EVENTS: usize = 40;

#[tokio::test]
async fn the_work_of_a_killed_node_is_taken_over() {
    let cluster = Cluster::found().await;
    let never = Arc::new(Notify::new());
    cluster.sink.answer_always(Answer::status(200).after(&never));
    let lost = cluster.node_as("api,worker").await;
    cluster.person(&lost).await;
    for n in 0..EVENTS {
        lost.emit("order.placed", json!({"user_id": 42, "n": n})).await;
    }
    cluster.sink.reached(1).await;
    cluster.sink.clear();
    lost.kill().await;
    let killed = Instant::now();

    let heir = cluster.node().await;
    cluster.sent(&heir, EVENTS).await;

    let took = killed.elapsed();
    // A start in a build without optimisation, beside other tests, takes its seconds too.
    assert!(took < TAKEOVER * 3, "{took:?}");
    assert_eq!(cluster.sink.by_id().len(), EVENTS);
    let (_, unknown) = heir.call("GET", "/v1/messages?status=unknown", None).await;
    assert_eq!(unknown["results"], json!([]), "a webhook tells repetitions apart");
}

#[tokio::test]
async fn a_node_that_stood_still_past_its_lease_does_no_harm() {
    let cluster = Cluster::found().await;
    let (still, other) = tokio::join!(cluster.node_as("worker"), cluster.node_as("api,worker"));
    cluster.person(&other).await;
    let held = Arc::new(Notify::new());
    cluster.sink.answer_always(Answer::status(200).after(&held));
    for n in 0..EVENTS {
        other.emit("order.placed", json!({"user_id": 42, "n": n})).await;
    }
    // Both have taken what they can work on at once.
    cluster.sink.reached(EVENTS / 2).await;
    still.stand_still().await;
    cluster.sink.clear();
    held.notify_waiters();

    cluster.sent(&other, EVENTS).await;
    still.go_on().await;
    assert_eq!(still.stop().await, Some(0), "it ends in order");

    cluster.sent(&other, EVENTS).await;
    let by_id = cluster.sink.by_id();
    assert_eq!(by_id.len(), EVENTS);
    for (id, times) in by_id.iter().filter(|(_, times)| **times > 1) {
        let (_, message) = other.call("GET", &format!("/v1/messages/{id}"), None).await;
        let attempts = message["attempts"].as_array().expect("a list");
        let unknown = attempts.iter().filter(|each| each["outcome"] == "unknown").count();
        assert!(unknown + 1 >= *times, "{times} times, and no journal of it: {message:#}");
    }
}

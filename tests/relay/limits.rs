use std::time::Duration;

use nuncio::channel::Publish;
use nuncio::config;
use serde_json::json;

use super::client::{Client, refused, request};
use crate::server::{Options, Server};

async fn server(relay: config::Relay) -> Server {
    Server::with(Options { relay, ..Options::default() }).await
}

#[tokio::test]
async fn a_flood_is_answered_and_then_ended() {
    let server = server(config::Relay::default()).await;
    let mut client = Client::connect(&server, "42").await;
    for _ in 0..20 {
        client.settle().await;
    }
    for _ in 0..10 {
        client.send(json!({"type": "ping"})).await;
        assert_eq!(client.next().await["data"]["code"], "NOTIF_007");
    }
    assert_eq!(client.closed().await, Some(1008));
}

#[tokio::test]
async fn a_frame_past_the_limit_is_answered_and_one_far_past_it_ends() {
    let server = server(config::Relay::default()).await;
    let mut client = Client::connect(&server, "42").await;
    client.text(&"x".repeat((64 << 10) + 1)).await;
    assert_eq!(client.next().await["data"]["code"], "TOO_LARGE");
    client.settle().await;
    client.text(&"x".repeat((1 << 20) + 1)).await;
    assert_eq!(client.next().await["data"]["code"], "TOO_LARGE");
    assert_eq!(client.closed().await, Some(1009));
}

#[tokio::test]
async fn mistakes_end_a_connection_that_does_not_learn() {
    let server = server(config::Relay::default()).await;
    let mut client = Client::connect(&server, "42").await;
    for _ in 0..10 {
        client.text("nope").await;
        assert_eq!(client.next().await["type"], "error");
    }
    assert_eq!(client.closed().await, Some(1008));
}

#[tokio::test]
async fn a_slow_reader_is_let_go_and_resumes() {
    let limits = config::Relay { buffer_frames: 8, ..config::Relay::default() };
    let server = server(limits).await;
    let mut slow = Client::connect(&server, "42").await;
    let mut other = Client::connect(&server, "43").await;
    // On one thread the session does not run between these publications: its buffer fills.
    let mut frames = Vec::new();
    for _ in 0..9 {
        let (_, new) = server.store_entry("42", "billing", "x", nuncio::model::Priority::Low).await;
        frames.extend(new);
    }
    server.hub.publish(&frames);
    assert_eq!(slow.closed().await, Some(4008));
    server.deliver("43", "billing", "x").await;
    assert_eq!(other.next().await["seq"], 1);

    let mut again = Client::connect(&server, "42").await;
    again.send(json!({"type": "resume", "epoch": &*server.store.epoch(), "seq": 0})).await;
    for seq in 1..=9 {
        assert_eq!(again.next().await["seq"], seq);
    }
}

#[tokio::test]
async fn a_reader_that_stops_reading_costs_no_more_than_its_buffer() {
    let server = server(config::Relay::default()).await;
    let mut stuck = Client::connect(&server, "42").await;
    let mut other = Client::connect(&server, "43").await;
    // Past the sockets' own buffers, then past ours: the connection is given up.
    let large = "x".repeat(100 << 10);
    let mut sent = 0;
    while server.hub.presence(&"42".into()).online {
        server.deliver("42", "billing", &large).await;
        sent += 1;
        // What nobody reads any more is given up by the clock, too.
        if sent > 300 {
            server.clock.advance(Duration::from_secs(1));
        }
        tokio::task::yield_now().await;
    }
    server.deliver("43", "billing", "x").await;
    assert_eq!(other.next().await["seq"], 1);
    let mut known = 0;
    while let Ok(frame) = stuck.event().await {
        known += 1;
        assert_eq!(frame["seq"], known, "what arrived is without gaps");
    }
    let mut again = Client::connect(&server, "42").await;
    again.send(json!({"type": "resume", "epoch": &*server.store.epoch(), "seq": sent - 1})).await;
    assert_eq!(again.next().await["seq"], sent);
}

#[tokio::test]
async fn silence_ends_a_connection_and_signs_of_life_keep_it() {
    let server = server(config::Relay::default()).await;
    let mut client = Client::open(&server, "42", &day(&server, "42")).await;
    // The client answers pings while it reads.
    for _ in 0..30 {
        server.clock.advance(Duration::from_secs(30));
        client.settle().await;
    }
    // One that does not read is silent, and five minutes of silence are allowed.
    for _ in 0..10 {
        assert_eq!(server.hub.connections(), 1);
        server.clock.advance(Duration::from_secs(30));
        tokio::task::yield_now().await;
    }
    assert_eq!(client.closed().await, Some(1001));
}

#[tokio::test]
async fn an_expired_token_is_given_time_to_be_replaced() {
    let server = server(config::Relay::default()).await;
    let short = || server.token_for("42", None, Duration::from_secs(60));
    let mut client = Client::open(&server, "42", &short()).await;
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(client.next().await["data"]["code"], "NOTIF_008");
    client.send(json!({"type": "authenticate", "token": server.token("43", None)})).await;
    assert_eq!(client.next().await["data"]["code"], "NOTIF_008");
    client.send(json!({"type": "authenticate", "token": short()})).await;
    let fresh = client.next().await;
    assert_eq!(fresh["data"]["expires_at"], "2026-01-01T12:02:00Z", "{fresh}");

    server.clock.advance(Duration::from_secs(60));
    assert_eq!(client.next().await["data"]["code"], "NOTIF_008");
    client.settle().await;
    server.clock.advance(Duration::from_secs(30));
    assert_eq!(client.closed().await, Some(4401));
}

#[tokio::test]
async fn a_restart_sends_everybody_away_over_some_seconds() {
    let server = server(config::Relay::default()).await;
    let mut clients = Vec::new();
    for user in ["42", "43", "44"] {
        clients.push(Client::connect(&server, user).await);
    }
    let hub = server.hub.clone();
    let closing = tokio::spawn(async move { hub.close(Duration::from_secs(5)).await });
    while !closing.is_finished() {
        server.clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
    for client in &mut clients {
        assert_eq!(client.closed().await, Some(1012));
    }
    let (status, _) = refused(request(&server, "42", &server.token("42", None))).await;
    assert_eq!(status, 503);
}

/// A token that does not end during the test.
fn day(server: &Server, user: &str) -> String {
    server.token_for(user, None, Duration::from_secs(24 * 3600))
}

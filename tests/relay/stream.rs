use nuncio::channel::Publish;
use nuncio::model::{Frame, Priority};
use serde_json::{Value, json};

use super::client::Client;
use crate::server::Server;

fn seq(frame: &Value) -> u64 {
    frame["seq"].as_u64().unwrap_or_else(|| panic!("{frame} has a seq"))
}

async fn seqs(client: &mut Client, count: usize) -> Vec<u64> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(seq(&client.next().await));
    }
    all
}

async fn resume(client: &mut Client, server: &Server, seq: u64) {
    client.send(json!({"type": "resume", "epoch": &*server.store.epoch(), "seq": seq})).await;
}

#[tokio::test]
async fn a_resume_gives_what_was_missed_in_order_once() {
    let server = Server::start().await;
    let client = Client::connect(&server, "42").await;
    client.close().await;
    for title in ["One", "Two", "Three"] {
        server.deliver("42", "billing", title).await;
    }
    let mut client = Client::connect(&server, "42").await;
    assert_eq!(client.status["seq"], 3);
    resume(&mut client, &server, 1).await;
    assert_eq!(seqs(&mut client, 2).await, [2, 3]);
    // Nothing is missing now, and nothing comes twice.
    resume(&mut client, &server, 1).await;
    resume(&mut client, &server, 3).await;
    server.deliver("42", "billing", "Four").await;
    assert_eq!(seqs(&mut client, 1).await, [4]);
}

#[tokio::test]
async fn a_gap_that_cannot_be_filled_is_told() {
    let server = Server::start().await;
    for _ in 0..1100 {
        server.deliver("42", "billing", "Many").await;
    }
    let mut client = Client::connect(&server, "42").await;
    for (epoch, seq) in
        [("another", 1099), (&*server.store.epoch(), 1), (&*server.store.epoch(), 9999)]
    {
        client.send(json!({"type": "resume", "epoch": epoch, "seq": seq})).await;
        let frame = client.next().await;
        assert_eq!((&frame["type"], &frame["data"]["seq"]), (&json!("resync"), &json!(1100)));
        assert!(frame["data"]["reason"].is_string());
    }
    server.deliver("42", "billing", "After").await;
    assert_eq!(seqs(&mut client, 1).await, [1101]);
}

/// Commits happen in the order of `seq`; their frames may be published in any order, late, or not
/// at all by a process that died in between.
#[tokio::test]
async fn frames_published_in_any_order_arrive_in_theirs() {
    let server = Server::start().await;
    let mut client = Client::connect(&server, "42").await;
    let mut frames: Vec<Frame> = Vec::new();
    for _ in 0..6 {
        frames.extend(server.store_entry("42", "billing", "x", Priority::Low).await.1);
    }
    let hub = server.hub.clone();
    for place in [2, 0, 1, 5, 3] {
        hub.publish(&frames[place..=place]);
    }
    assert_eq!(seqs(&mut client, 6).await, [1, 2, 3, 4, 5, 6]);
    hub.publish(&frames);
    server.deliver("42", "billing", "Next").await;
    assert_eq!(seqs(&mut client, 1).await, [7]);
}

/// Connecting, resuming and publishing at the same time, over and over: each frame after the one
/// that the client knows comes exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_while_others_publish() {
    const TOTAL: u64 = 2000;

    let server = std::sync::Arc::new(Server::start().await);
    let publisher = server.clone();
    let publishing = tokio::spawn(async move {
        for _ in 0..TOTAL {
            publisher.deliver("42", "billing", "x").await;
            tokio::task::yield_now().await;
        }
    });
    let mut known = 0;
    while known < TOTAL {
        let mut client = Client::connect(&server, "42").await;
        let head = client.status["seq"].as_u64().expect("it is a number");
        resume(&mut client, &server, known).await;
        // At least what the status spoke of; then the connection is dropped at some point.
        let mut got = Vec::new();
        while got.len() < 150 && known + (got.len() as u64) < head.max(known + 1).min(TOTAL) {
            let frame = client.next().await;
            assert_eq!(frame["type"], "new_notification", "{frame}");
            got.push(seq(&frame));
        }
        let mut sorted = got.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), got.len(), "nothing twice: {got:?}");
        // A frame that came live before the resume was read may stand before the missed ones; the
        // client knows all up to its first gap.
        known +=
            sorted.iter().zip(known + 1..).take_while(|(seq, next)| **seq == *next).count() as u64;
    }
    publishing.await.expect("it published");
}

//! The relay's inbox route (docs/reference/relay.md), over real sockets.

mod client;
mod handshake;
mod limits;
mod nodes;
mod room;
mod stream;
mod topic;

use std::time::Duration;

use nuncio::channel::Publish;
use nuncio::store::Inbox;
use serde_json::json;

use crate::server::{Server, answer};
use client::Client;

#[tokio::test]
async fn what_happens_is_told_to_the_connected() {
    let server = Server::start().await;
    server.deliver("42", "billing", "Before").await;
    let mut client = Client::connect(&server, "42").await;
    let status = client.status.clone();
    let expected = json!({"status": "connected", "unread_count": 1,
        "last_sync": "2026-01-01T12:00:00Z", "epoch": &*server.store.epoch(), "seq": 1});
    assert_eq!(status, expected);

    let id = server.deliver("42", "billing", "An invoice").await;
    let expected = json!({"type": "new_notification", "seq": 2, "data": {
        "id": id, "notification_type": "billing", "title": "An invoice",
        "message": "about An invoice", "priority": "medium",
        "created_at": "2026-01-01T12:00:00Z", "metadata": {"action_url": "/orders/1"},
    }});
    assert_eq!(client.next().await, expected);
    server.deliver("43", "billing", "Not yours").await;
    client.send(json!({"type": "ping", "ref": 5})).await;
    assert_eq!(client.next().await, json!({"type": "pong", "data": {"ref": 5}}));
}

#[tokio::test]
async fn every_connection_of_a_user_hears_what_one_of_them_does() {
    let server = Server::start().await;
    let first = server.deliver("42", "billing", "One").await;
    server.deliver("42", "system", "Two").await;
    let mut phone = Client::connect(&server, "42").await;
    let mut laptop = Client::connect(&server, "42").await;

    phone.send(json!({"type": "mark_read", "notification_id": first})).await;
    let read = json!({"type": "notification_read", "seq": 3,
        "data": {"notification_id": first, "read_at": "2026-01-01T12:00:00Z"}});
    assert_eq!((phone.next().await, laptop.next().await), (read.clone(), read.clone()));
    // Nothing changes the second time: the asker alone is answered, without a place in the stream.
    phone.send(json!({"type": "mark_read", "notification_id": first})).await;
    let again = phone.next().await;
    assert_eq!((&again["data"], again.get("seq")), (&read["data"], None));

    laptop.send(json!({"type": "mark_all_read", "notification_type": "system"})).await;
    let bulk = json!({"type": "bulk_update", "seq": 4, "data": {"action": "mark_all_read",
        "affected_count": 1, "notification_type": "system"}});
    assert_eq!((phone.next().await, laptop.next().await), (bulk.clone(), bulk));
    phone.send(json!({"type": "mark_all_read"})).await;
    assert_eq!(phone.next().await["data"]["affected_count"], 0);

    let patch = server.user("42", "PATCH", &format!("/api/notifications/{first}/"));
    answer(patch.json(&json!({"is_read": false}))).await;
    let unread = laptop.next().await;
    assert_eq!((&unread["data"]["read_at"], &unread["seq"]), (&json!(null), &json!(5)));
    assert_eq!(server.store.unread(&"42".into()).await.expect("the store answers"), 1);
}

#[tokio::test]
async fn a_frame_that_cannot_be_taken_is_answered_with_its_ref() {
    let server = Server::start().await;
    let id = server.deliver("43", "billing", "Not yours").await;
    let mut client = Client::connect(&server, "42").await;
    let rows = [
        (json!({"type": "mark_read", "notification_id": id, "ref": "a"}), "NOTIF_001", json!("a")),
        (json!({"type": "mark_read", "ref": 2}), "INVALID", json!(2)),
        (json!({"type": "dance", "ref": 3}), "INVALID", json!(3)),
        (json!([]), "INVALID", json!(null)),
        (json!({"type": "authenticate", "token": "x", "ref": 4}), "NOTIF_008", json!(4)),
    ];
    for (frame, code, reference) in rows {
        client.send(frame).await;
        let error = client.next().await;
        let got = (&error["type"], &error["data"]["code"], &error["data"]["ref"]);
        assert_eq!(got, (&json!("error"), &json!(code), &reference));
    }
    client.text("{nope").await;
    assert_eq!(client.next().await["data"]["code"], "INVALID");
    client.binary(vec![1, 2, 3]).await;
    assert_eq!(client.next().await["data"]["code"], "INVALID");
}

#[tokio::test]
async fn a_narrowed_connection_gets_what_it_asked_for_and_how_it_follows() {
    let server = Server::start().await;
    let mut client = Client::connect(&server, "42").await;
    client.send(json!({"type": "subscribe", "notification_types": ["Billing"]})).await;
    client.settle().await;
    let mut ids = Vec::new();
    for category in ["billing", "system", "system", "billing"] {
        ids.push(server.deliver("42", category, category).await);
    }
    let first = client.next().await;
    assert_eq!((&first["seq"], &first["prev"]), (&json!(1), &json!(0)));
    let second = client.next().await;
    assert_eq!((&second["seq"], &second["prev"]), (&json!(4), &json!(1)));
    assert_eq!(second["data"]["id"], json!(ids[3]));

    client.send(json!({"type": "subscribe", "notification_types": []})).await;
    client.settle().await;
    server.deliver("42", "system", "All again").await;
    let all = client.next().await;
    assert_eq!((&all["seq"], all.get("prev")), (&json!(5), None));
}

#[tokio::test]
async fn presence_follows_the_connections() {
    let server = Server::start().await;
    let hub = server.hub.clone();
    assert_eq!(hub.presence(&"42".into()), Default::default());
    let client = Client::connect(&server, "42").await;
    let admin = Client::open(&server, "42", &server.token("1", Some("admin"))).await;
    assert!(hub.presence(&"42".into()).online);
    server.clock.advance(Duration::from_secs(10));
    client.close().await;
    // An admin who looks is not the user, and the admin's own inbox is not open.
    client::eventually(|| !hub.presence(&"42".into()).online).await;
    let seen = hub.presence(&"42".into()).last_seen;
    assert_eq!(seen, Some("2026-01-01T12:00:10Z".parse().expect("it is an instant")));
    assert!(!hub.presence(&"1".into()).online);
    drop(admin);
}

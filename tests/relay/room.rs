//! Rooms where members speak with each other.

use serde_json::{Value, json};

use super::client::Client;
use super::topic::{join, publish, server};
use crate::server::{Server, answer};

const PATH: &str = "/ws/talk/blue/";

/// Enters as a member; the others are told.
async fn enter(server: &Server, user: &str) -> Client {
    let member = format!("/v1/rooms/blue/members/{user}");
    answer(server.machine("PUT", &member)).await;
    join(server, PATH, &server.token(user, None)).await
}

async fn pair(server: &Server) -> (Client, Client) {
    let mut ann = enter(server, "7").await;
    let ben = enter(server, "ben").await;
    let there = json!({"room": "blue", "user_id": "ben", "on": true});
    assert_eq!(ann.next().await, json!({"type": "presence", "data": there}));
    (ann, ben)
}

#[tokio::test]
async fn what_a_member_says_comes_to_all_and_is_kept() {
    let server = server().await;
    let user = server.machine("PUT", "/v1/users/7").json(&json!({"username": "ann"}));
    answer(user).await;
    let (mut ann, mut ben) = pair(&server).await;
    ann.send(json!({"type": "send", "message": "Hello <b>", "ref": "x1"})).await;
    let mut own = ann.next().await;
    assert_eq!(own["ref"], "x1");
    own.as_object_mut().expect("a frame").remove("ref");
    let heard = ben.next().await;
    assert_eq!(heard, own);
    let data = &heard["data"];
    assert_eq!((&heard["type"], &heard["seq"]), (&json!("chat_message"), &json!(1)));
    let expected = json!({"id": data["id"], "room": "blue", "user_id": 7, "username": "ann",
        "message": "Hello <b>", "created_at": "2026-01-01T12:00:00Z", "seq": 1});
    assert_eq!(*data, expected);

    // The server's frames are in the same numbering, and in no history.
    publish(&server, json!({"room": "blue", "type": "note"})).await;
    for word in ["two", "three"] {
        ben.send(json!({"type": "send", "message": word})).await;
    }
    for seq in 2..=4 {
        assert_eq!(ann.next().await["seq"], seq);
        assert_eq!(ben.next().await["seq"], seq);
    }
    ann.send(json!({"type": "history", "limit": 2, "ref": 9})).await;
    let page = ann.next().await;
    let texts = |page: &Value| -> Vec<Value> {
        let messages = page["data"]["messages"].as_array().expect("a list");
        messages.iter().map(|one| one["message"].clone()).collect()
    };
    assert_eq!((&page["type"], &page["data"]["ref"]), (&json!("history"), &json!(9)));
    assert_eq!(texts(&page), ["two", "three"]);
    assert_eq!(page["data"]["more"], true);
    ann.send(json!({"type": "history", "before": 3})).await;
    let page = ann.next().await;
    assert_eq!((texts(&page), &page["data"]["more"]), (vec![json!("Hello <b>")], &json!(false)));
}

#[tokio::test]
async fn typing_and_reading_are_told_to_the_others() {
    let server = server().await;
    let (mut ann, mut ben) = pair(&server).await;
    ann.send(json!({"type": "typing", "on": true})).await;
    let typing = json!({"type": "typing", "data": {"room": "blue", "user_id": 7, "on": true}});
    assert_eq!(ben.next().await, typing);
    ann.send(json!({"type": "send", "message": "Hello"})).await;
    assert_eq!(ann.next().await["seq"], 1, "who types is not told of it");
    assert_eq!(ben.next().await["seq"], 1);
    for _ in 0..2 {
        ben.send(json!({"type": "read", "seq": 1})).await;
    }
    ben.send(json!({"type": "read", "seq": 2, "ref": 1})).await;
    assert_eq!(ben.next().await["data"]["code"], "INVALID", "nothing is there to be read");
    let read = json!({"room": "blue", "user_id": "ben", "seq": 1});
    assert_eq!(ann.next().await, json!({"type": "read_receipt", "data": read}));
    // The second time nothing was new.
    ben.close().await;
    let gone = json!({"room": "blue", "user_id": "ben", "on": false});
    assert_eq!(ann.next().await, json!({"type": "presence", "data": gone}));
}

#[tokio::test]
async fn what_was_said_meanwhile_comes_after_a_resume() {
    let server = server().await;
    let (mut ann, ben) = pair(&server).await;
    ben.close().await;
    assert_eq!(ann.next().await["type"], "presence");
    for word in ["one", "two", "three"] {
        ann.send(json!({"type": "send", "message": word})).await;
        ann.next().await;
    }
    let mut ben = enter(&server, "ben").await;
    let epoch = ben.status["epoch"].clone();
    ben.send(json!({"type": "resume", "epoch": epoch, "seq": 1})).await;
    for (seq, word) in [(2, "two"), (3, "three")] {
        let frame = ben.next().await;
        assert_eq!((&frame["seq"], &frame["data"]["message"]), (&json!(seq), &json!(word)));
    }
    ben.settle().await;
}

#[tokio::test]
async fn who_may_not_speak_is_told() {
    let server = server().await;
    let (mut ann, _ben) = pair(&server).await;
    for message in ["", "   ", &"x".repeat(17 << 10)] {
        ann.send(json!({"type": "send", "message": message, "ref": 1})).await;
        let error = ann.next().await;
        assert_eq!((&error["data"]["code"], &error["data"]["ref"]), (&json!("INVALID"), &json!(1)));
    }
    server.machine("DELETE", "/v1/rooms/blue/members/7").send().await.expect("it answers");
    assert_eq!(ann.closed().await, Some(1008));
    // Where the server speaks, a member only listens.
    answer(server.machine("PUT", "/v1/rooms/hall/members/7")).await;
    let mut listener = join(&server, "/ws/halls/hall/", &server.token("7", None)).await;
    for frame in [
        json!({"type": "send", "message": "hello"}),
        json!({"type": "typing", "on": true}),
        json!({"type": "history"}),
    ] {
        listener.send(frame).await;
        assert_eq!(listener.next().await["data"]["code"], "INVALID");
    }
}

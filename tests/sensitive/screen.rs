use serde_json::{Value, json};

use super::{SECRET, clinic};
use crate::harness::node::Node;
use crate::harness::smtp::{Act, Options, SmtpServer};

const DEVICES: &str = "/api/notifications/devices/";

async fn register(node: &Node, user: &str, token: &str) {
    let bearer = node.token(user).await;
    let device = json!({"device_token": token, "device_type": "android"}).to_string();
    let (status, answer) = node.send("POST", DEVICES, &bearer, Some(device)).await;
    assert_eq!(status, 201, "{answer}");
}

fn on<'a>(outbox: &'a [Value], channel: &str) -> &'a Value {
    outbox.iter().find(|held| held["channel"] == channel).expect("a message of the channel")
}

#[tokio::test]
async fn a_lock_screen_says_only_that_there_is_something_new() {
    let node = clinic().dev().await;
    let user = json!({"email": "ada@example.org", "phone": "+21620000001", "locale": "fr-TN"});
    node.put_user("42", user).await;
    register(&node, "42", "token-of-a-phone").await;
    node.emit("result.ready", json!({"user": 42, "finding": SECRET})).await;
    let outbox = node.outbox(3).await;
    let (push, sms, email) = (on(&outbox, "push"), on(&outbox, "sms"), on(&outbox, "email"));
    assert_eq!(push["title"], "Nouvelle notification");
    assert_eq!(push["to"], "token-of-a-phone");
    assert_eq!(sms["body"], "Vous avez une nouvelle notification.");
    assert_eq!(push["body"], sms["body"]);
    for shown in [push, sms] {
        let shown = shown.to_string();
        assert!(!shown.contains(SECRET) && !shown.contains("result"), "{shown}");
    }
    assert!(email["body"].as_str().expect("text").contains(SECRET), "{email}");
    assert_eq!(email["subject"], "Result");

    node.call("DELETE", "/dev/outbox", None).await;
    node.put_user("42", json!({"locale": "de"})).await;
    node.emit("result.ready", json!({"user": 42, "finding": SECRET})).await;
    let outbox = node.outbox(1).await;
    assert_eq!(outbox[0]["title"], "Ihre Klinik", "the template's own words");
    assert_eq!(outbox[0]["body"], "You have a new notification.", "which read no field");

    node.call("DELETE", "/dev/outbox", None).await;
    let user = json!({"email": "ada@example.org", "phone": "+21620000001"});
    node.put_user("42", user).await;
    node.emit("notice.ready", json!({"user": 42, "finding": SECRET})).await;
    let outbox = node.outbox(3).await;
    for channel in ["push", "sms", "email"] {
        let held = on(&outbox, channel);
        assert!(held["body"].as_str().expect("text").contains(SECRET), "{held}");
    }
}

fn drops(rows: &[Value]) -> Vec<(&str, &str)> {
    let dropped = rows.iter().filter(|row| row["decision"] == "drop");
    dropped
        .map(|row| {
            let word = |name: &str| row[name].as_str().expect("text");
            (word("channel"), word("code"))
        })
        .collect()
}

#[tokio::test]
async fn who_has_no_address_or_device_is_not_reachable() {
    let node = clinic().dev().await;
    node.put_user("42", json!({"email": "ada@example.org"})).await;
    let data = json!({"user": 42, "finding": "nothing"});
    let event = node.emit("notice.ready", data.clone()).await;
    let rows = node.explained(&event, |rows| drops(rows).len() == 2).await;
    let mut dropped = drops(&rows);
    dropped.sort_unstable();
    assert_eq!(dropped, [("push", "reachable.no_device"), ("sms", "reachable.no_address")]);

    register(&node, "42", "token-of-a-phone").await;
    let token = node.token("42").await;
    let (_, list) = node.send("GET", DEVICES, &token, None).await;
    let path = format!("{DEVICES}{}/", list["results"][0]["id"]);
    let off = json!({"is_active": false}).to_string();
    assert_eq!(node.send("PATCH", &path, &token, Some(off)).await.0, 200);
    let event = node.emit("notice.ready", data.clone()).await;
    let rows = node.explained(&event, |rows| drops(rows).len() == 2).await;
    assert!(drops(&rows).contains(&("push", "reachable.no_device")), "{rows:?}");

    let on = json!({"is_active": true}).to_string();
    assert_eq!(node.send("PATCH", &path, &token, Some(on)).await.0, 200);
    let event = node.emit("notice.ready", data).await;
    node.explained(&event, |rows| {
        rows.iter().any(|row| row["channel"] == "push" && row["outcome"] == "accepted")
    })
    .await;
    let (_, list) = node.send("GET", DEVICES, &token, None).await;
    assert!(list["results"][0]["last_used_at"].is_string(), "{list}");
}

#[tokio::test]
async fn an_address_that_bounced_is_left_alone_until_it_changes() {
    let smtp = SmtpServer::start(Options::default()).await;
    let clinic = clinic();
    let config = format!(
        "[providers.email]\nplugin = \"email\"\n\
         settings = {{ host = \"127.0.0.1\", port = {}, from = \"no-reply@clinic.example\" }}\n",
        smtp.address.port()
    );
    clinic.write("nuncio.toml", &config);
    let node = clinic.dev().await;
    node.put_user("42", json!({"email": "gone@example.org"})).await;
    smtp.on("RCPT", Act::Say("550 5.1.1 no such user"));
    let data = json!({"user": 42, "finding": "nothing"});
    let coded = |code: &'static str| {
        move |rows: &[Value]| {
            rows.iter().any(|row| row["channel"] == "email" && row["code"] == code)
        }
    };
    let event = node.emit("notice.ready", data.clone()).await;
    node.explained(&event, coded("recipient.invalid")).await;
    let event = node.emit("notice.ready", data.clone()).await;
    node.explained(&event, coded("reachable.bounced")).await;
    assert_eq!(smtp.mails(), []);

    node.put_user("42", json!({"email": "ada@example.org"})).await;
    node.emit("notice.ready", data).await;
    smtp.reached(1).await;
}

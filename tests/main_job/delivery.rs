use hmac::{Hmac, Mac};
use mail_parser::{MessageParser, MimeHeaders};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Clinic, SAMPLE, SIGNING_KEY, STANDARD, booked, row};
use crate::harness::node::{Node, Socket};
use crate::harness::sink::Received;
use crate::harness::smtp::Mail;
use base64::Engine;

#[tokio::test]
async fn an_event_of_the_command_line_reaches_inbox_mailbox_and_hook() {
    let clinic = Clinic::open().await;
    let node = clinic.node().await;
    let (mut phone, first) = node.connect("42").await;
    assert_eq!(first["data"]["unread_count"], 0);

    let emitted = node.command(&["emit", "appointment.booked", "--data", SAMPLE]).await;

    assert_eq!(emitted.code, Some(0), "{emitted:?}");
    let (event, status) = emitted.stdout.trim().split_once(' ').expect("an id and a status");
    assert_eq!(status, "accepted");
    pushed(&mut phone).await;
    reached_everybody(&clinic, &node, event, 2).await;
}

#[tokio::test]
async fn an_event_of_the_api_does_the_same_in_production() {
    let clinic = Clinic::open().await;
    let config = std::fs::read_to_string(clinic.installation.path("nuncio.toml")).expect("it is");
    let config = format!(
        "{config}\n[auth]\nsecret = \"a secret that only tests know\"\n\
         [encryption]\nkeys = [\"a key that seals what only tests write\"]\n"
    );
    clinic.installation.write("nuncio.toml", &config);
    let node = clinic.installation.run().await;
    super::people(&node).await;
    let (mut phone, _) = node.connect("42").await;

    let event = node.emit("appointment.booked", booked()).await;

    pushed(&mut phone).await;
    reached_everybody(&clinic, &node, &event, 2).await;
    let (status, _) = node.call("GET", "/dev/outbox", None).await;
    assert_eq!(status, 404, "the outbox is `dev`'s alone");
    assert_eq!(node.stop().await, Some(0));
}

#[tokio::test]
async fn the_inbox_is_read_on_one_connection_and_known_on_the_other() {
    let clinic = Clinic::open().await;
    let node = clinic.node().await;
    let (mut phone, _) = node.connect("42").await;
    node.emit("appointment.booked", booked()).await;
    let id = pushed(&mut phone).await;
    let (mut tablet, first) = node.connect("42").await;
    assert_eq!(first["data"]["unread_count"], 1);
    let token = node.token("42").await;
    let path = format!("/api/notifications/{id}/");

    let (status, list) = node.send("GET", "/api/notifications/", &token, None).await;
    assert_eq!((status, &list["count"], &list["results"][0]["id"]), (200, &json!(1), &json!(id)));
    let (status, detail) = node.send("GET", &path, &token, None).await;
    assert_eq!(status, 200);
    assert_eq!(detail["recipient"]["id"], 42);
    assert_eq!(detail["recipient"]["first_name"], "Amélie");
    assert_eq!(detail["title"], "Rendez-vous enregistré");
    assert_eq!(detail["metadata"]["action_url"], "/appointments/a-1001");
    assert_eq!((&detail["is_read"], &detail["read_at"]), (&json!(false), &Value::Null));
    assert_eq!(unread(&node, &token).await, 1);

    let read = Some(json!({"is_read": true}).to_string());
    let (status, detail) = node.send("PATCH", &path, &token, read).await;

    assert_eq!((status, &detail["is_read"]), (200, &json!(true)));
    let frame = tablet.frame().await;
    assert_eq!(
        (&frame["type"], &frame["data"]["notification_id"]),
        (&json!("notification_read"), &json!(id))
    );
    assert_eq!(frame["data"]["read_at"], detail["read_at"]);
    assert_eq!(unread(&node, &token).await, 0);
    let other = node.token("7").await;
    let (status, refused) = node.send("GET", &path, &other, None).await;
    assert_eq!((status, &refused["error"]["code"]), (404, &json!("NOTIF_001")));
    tablet.send(json!({"type": "mark_read", "notification_id": id})).await;
    assert_eq!(tablet.frame().await["type"], "notification_read");
}

async fn unread(node: &Node, token: &str) -> i64 {
    let (_, answer) = node.send("GET", "/api/notifications/unread-count/", token, None).await;
    answer["unread_count"].as_i64().expect("a number")
}

/// The new notification's id, from its frame.
async fn pushed(socket: &mut Socket) -> String {
    let frame = socket.frame().await;
    assert_eq!(frame["type"], "new_notification", "{frame}");
    assert_eq!(frame["seq"], 1);
    assert_eq!(frame["data"]["notification_type"], "appointment");
    assert_eq!(frame["data"]["title"], "Rendez-vous enregistré");
    let message = "Le rendez-vous du 15 janvier 2027 à 10:30 est enregistré.";
    assert!(frame["data"]["message"].as_str().expect("text").starts_with(message), "{frame}");
    frame["data"]["id"].as_str().expect("an id").to_owned()
}

async fn reached_everybody(clinic: &Clinic, node: &Node, event: &str, each: usize) {
    clinic.smtp.reached(each).await;
    clinic.sink.reached(each).await;
    let sent = |rows: &[Value]| rows.iter().filter(|row| row["decision"] == "send").count() == 6;
    let rows = node.explained(event, sent).await;
    let id = |recipient, channel| {
        let row = row(&rows, recipient, channel).expect("a row");
        row["message"].as_str().expect("an id").to_owned()
    };
    let mails = clinic.smtp.mails();
    let mail = mails.iter().find(|mail| mail.to == ["amira@example.org"]).expect("the patient's");
    french(mail, &id("42", "email"));
    for request in clinic.sink.requests() {
        signed(&request);
    }
    let mut hooks: Vec<_> = clinic.sink.by_id().into_iter().collect();
    let mut expected = vec![(id("42", "webhook"), 1), (id("7", "webhook"), 1)];
    hooks.sort();
    expected.sort();
    assert_eq!(hooks, expected);
}

/// The mail as a mail reader sees it.
fn french(mail: &Mail, message: &str) {
    assert_eq!(mail.from, "no-reply@clinic.example");
    let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
    let from = parsed.from().and_then(|from| from.first()).expect("a sender");
    assert_eq!(from.name(), Some("Jasmine Clinic"));
    assert_eq!(from.address(), Some("no-reply@clinic.example"));
    let to = parsed.to().and_then(|to| to.first()).expect("a receiver");
    assert_eq!(to.address(), Some("amira@example.org"));
    assert_eq!(parsed.subject(), Some("Votre rendez-vous du 15 janvier 2027"));
    let message_id = format!("{message}@clinic.example");
    assert_eq!(parsed.message_id(), Some(message_id.as_str()));
    assert!(parsed.date().is_some());
    let kind = parsed.content_type().expect("a kind");
    assert_eq!((kind.ctype(), kind.subtype()), ("multipart", Some("alternative")));
    let html = parsed.body_html(0).expect("an HTML part");
    assert!(html.contains("<p class=\"greeting\" style=\"margin: 0 0 16px;\">Bonjour Amélie,</p>"));
    assert!(html.contains(">Médecin</th><td style=\"padding: 8px 0;"), "{html}");
    assert!(html.contains(">Dr Nadia Haddad</td>"), "{html}");
    assert!(html.starts_with("<!doctype html>"), "the layout is around it");
    let text = parsed.body_text(0).expect("a text part");
    assert!(text.starts_with("Bonjour Amélie,"), "{text}");
    assert!(text.contains("Quand\u{a0}: 15 janvier 2027 à 10:30"), "{text}");
    assert!(text.contains("En cas d’empêchement, merci d’annuler assez tôt"), "{text}");
}

/// As a receiver would check it: Standard Webhooks, "Verifying webhooks".
fn signed(request: &Received) {
    let header = |name: &str| request.headers.get(name).expect(name).to_str().expect("text");
    assert_eq!(request.uri.path(), "/hook");
    assert_eq!(header("content-type"), "application/json");
    let body = std::str::from_utf8(&request.body).expect("UTF-8");
    let content = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let mac = header("webhook-signature").strip_prefix("v1,").expect("a signature");
    let mac = STANDARD.decode(mac).expect("base64");
    let verifier = Hmac::<Sha256>::new_from_slice(SIGNING_KEY).expect("a key");
    verifier.chain_update(content).verify_slice(&mac).expect("the signature verifies");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["type"], "appointment.booked");
    assert_eq!(body["data"]["appointment_id"], "a-1001");
}

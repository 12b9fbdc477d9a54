//! Nothing personal is written to the log, whatever goes wrong.

use serde_json::json;

use crate::harness::node::{Installation, Node};
use crate::harness::sink::{Answer, Sink};
use crate::harness::smtp::{Act, Options, SmtpServer};

/// What may not be found in any line.
const EMAIL: &str = "amelie.recognisable@example.org";
const PHONE: &str = "+21671234567";
const NAME: &str = "Xaviera-Recognisable";
const BODY: &str = "thirteen-recognisable-roses";
const SECRET: &str = "whsec_cmVjb2duaXNhYmxlLXNpZ25pbmcta2V5LTEyMzQ=";
const PASSWORD: &str = "recognisable-password-of-smtp";
const JWT_SECRET: &str = "recognisable-secret-of-tokens-0123456789";
const DEVICE: &str = "recognisable-device-token-9f8e7d";
const SEALING: &str = "recognisable-sealing-key-of-forty-characters";

async fn house(format: &str, smtp: &SmtpServer, hook: &Sink) -> Installation {
    let config = format!(
        "[auth]\nsecret = \"{JWT_SECRET}\"\n[encryption]\nkeys = [\"{SEALING}\"]\n\
         [telemetry]\nlog = \"info,nuncio=trace\"\nlog_format = \"{format}\"\n\
         [engine]\nretry = [\"100ms\", \"100ms\"]\n\
         [channels.email]\nproviders = [\"smtp\"]\n[channels.webhook]\nproviders = [\"hook\"]\n\
         [providers.smtp]\nplugin = \"email\"\nsettings = {{ host = \"127.0.0.1\", port = {}, \
           from = \"shop@shop.example\" }}\n\
         [providers.hook]\nplugin = \"webhook\"\nsettings = {{ url = \"{}\" }}\n\
         secrets = {{ signing = \"{SECRET}\" }}\n",
        smtp.address.port(),
        hook.url("/hook"),
    );
    let workflow = "workflow: order\non: order.placed\ncategory: system\n\
        recipients: [{ user: event.data.customer }]\n\
        steps: [{ send: in_app, template: order }, { send: email, template: order }, \
          { send: webhook, template: order }]\n";
    let text = "Dear {{recipient.first_name}}, {{event.data.what}} for {{recipient.email}}.\n";
    Installation::empty()
        .file("nuncio.toml", &config)
        .file("workflows/order.yaml", workflow)
        .file(
            "templates/order/in_app.hbs",
            &format!("---\ntitle: '{{{{event.data.what}}}}'\n---\n{text}"),
        )
        .file(
            "templates/order/email.hbs",
            &format!("---\nsubject: '{{{{event.data.what}}}}'\n---\n{text}"),
        )
        .file("templates/order/webhook.hbs", "{ \"to\": \"{{recipient.email}}\" }\n")
}

async fn nothing_personal(format: &str) {
    let smtp = SmtpServer::start(Options::default()).await;
    let hook = Sink::start().await;
    // Providers say back what they were told.
    smtp.on("RCPT", Act::Say("550 5.1.1 <amelie.recognisable@example.org>: no such user"));
    hook.answer(Answer::status(500).body(format!("cannot tell {EMAIL} of {BODY}").into_bytes()));
    hook.answer(Answer::status(400).body(format!("{NAME} {PHONE}").into_bytes()));
    let node = house(format, &smtp, &hook).await.run().await;
    let profile = json!({
        "email": EMAIL, "phone": PHONE, "first_name": NAME, "last_name": NAME,
        "data": {"note": BODY},
    });
    node.put_user("42", profile.clone()).await;
    let token = node.token("42").await;
    let (mut socket, _) = node.connect("42").await;
    let device = json!({"device_token": DEVICE, "device_type": "android"}).to_string();
    node.send("POST", "/api/notifications/devices/", &token, Some(device)).await;
    let data = json!({"customer": 42, "what": BODY});
    let event = node.emit("order.placed", data).await;
    socket.frame().await;
    let ended = |rows: &[serde_json::Value]| {
        let states = ["failed", "sent", "bounced"];
        let ended = |row: &&serde_json::Value| {
            row["status"].as_str().is_some_and(|status| states.contains(&status))
                || row["outcome"].as_str().is_some_and(|outcome| outcome != "retry")
        };
        rows.iter().filter(ended).count() >= 3
    };
    node.explained(&event, ended).await;
    refused(&node, &token).await;
    socket.send(json!({"type": "authenticate", "token": DEVICE})).await;
    socket.frame().await;
    let said = node.said();
    assert!(said.contains("request answered"), "the log is at work: {said}");
    assert!(!said.contains('\u{1b}'), "colours are for a terminal: {said}");
    for personal in [
        EMAIL,
        PHONE,
        NAME,
        BODY,
        SECRET,
        PASSWORD,
        JWT_SECRET,
        DEVICE,
        SEALING,
        &token,
        &node.api_key,
    ] {
        assert!(!said.contains(personal), "{personal} in:\n{said}");
    }
    if format == "json" {
        let lines = said.lines().filter(|line| line.starts_with('{'));
        for line in lines {
            let line: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        }
    }
}

/// What is refused is not told either.
async fn refused(node: &Node, token: &str) {
    let data = json!({"customer": 42, "what": BODY});
    let wrong = [
        (
            "POST",
            "/v1/events",
            token.to_owned(),
            Some(json!({"name": NAME, "data": data}).to_string()),
        ),
        ("POST", "/v1/events", node.api_key.clone(), Some(format!("{{\"{EMAIL}\": {BODY}"))),
        ("PUT", "/v1/users/43", node.api_key.clone(), Some(json!({"email": [EMAIL]}).to_string())),
        ("GET", "/v1/users/amelie.recognisable@example.org", node.api_key.clone(), None),
        ("GET", "/amelie.recognisable@example.org", PASSWORD.to_owned(), None),
        ("DELETE", "/v1/users/42", node.api_key.clone(), None),
    ];
    for (method, path, key, body) in wrong {
        node.send(method, path, &key, body).await;
    }
}

#[tokio::test]
async fn nothing_personal_is_in_the_log_as_text() {
    nothing_personal("text").await;
}

#[tokio::test]
async fn nothing_personal_is_in_the_log_as_json() {
    nothing_personal("json").await;
}

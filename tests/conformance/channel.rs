//! What every channel promises (`engine/channel.rs`), run over each that ships.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mail_parser::MessageParser;
use nuncio::channel::capture::{CAPTURED, Capture};
use nuncio::channel::{Channel, Outcome};
use nuncio::model::Parcel;
use serde_json::json;

use crate::harness::sink::Sink;
use crate::harness::smtp::{Options, SmtpServer};
use crate::plugins::hosting::{DEADLINE, host, parcel, provider, setup};

/// A channel with a way to see what came out at its other end.
struct Subject<'a> {
    name: &'static str,
    channel: Arc<dyn Channel>,
    to: &'static str,
    kind: &'static str,
    /// By idempotency key, the bodies that arrived.
    arrived: Box<dyn Fn() -> Vec<(String, String)> + 'a>,
}

impl Subject<'_> {
    fn parcel(&self, body: &str) -> Parcel {
        let mut parcel = parcel(self.name, self.to, body);
        parcel.content.kind = self.kind;
        parcel.content.subject = Some("a subject".into());
        parcel
    }

    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (key, _) in (self.arrived)() {
            *counts.entry(key).or_default() += 1;
        }
        counts
    }
}

async fn exercise(subject: Subject<'_>) {
    a_parcel_arrives_whole(&subject).await;
    many_at_once_arrive_once_each(&subject).await;
    a_deadline_gone_by_is_an_outcome(&subject).await;
    traits_stay(&subject).await;
}

async fn a_parcel_arrives_whole(subject: &Subject<'_>) {
    let long = "long ".repeat(20_000);
    for body in ["plain", "{\"näme\": \"🎉\", \"x\": [1, 2.50]}", long.trim_end()] {
        let parcel = subject.parcel(body);
        let outcome = subject.channel.send(&parcel, DEADLINE).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{}: {outcome:?}", subject.name);
        let arrived = (subject.arrived)();
        let (key, text) = arrived.last().expect("it arrived");
        assert_eq!((key, text.as_str()), (&parcel.idempotency_key, body), "{}", subject.name);
    }
}

async fn many_at_once_arrive_once_each(subject: &Subject<'_>) {
    let parcels: Vec<Parcel> = (0..50).map(|n| subject.parcel(&n.to_string())).collect();
    let sending = parcels.iter().map(|parcel| subject.channel.send(parcel, DEADLINE));
    for outcome in futures_util::future::join_all(sending).await {
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{}: {outcome:?}", subject.name);
    }
    let counts = subject.counts();
    for parcel in parcels {
        assert_eq!(counts.get(&parcel.idempotency_key), Some(&1), "{}", subject.name);
    }
}

async fn a_deadline_gone_by_is_an_outcome(subject: &Subject<'_>) {
    let outcome = subject.channel.send(&subject.parcel("late"), Duration::ZERO).await;
    let misread =
        matches!(outcome, Outcome::Misconfigured { .. } | Outcome::InvalidRecipient { .. });
    assert!(!misread, "{}: {outcome:?}", subject.name);
    let outcome = subject.channel.send(&subject.parcel("in time"), DEADLINE).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{}: {outcome:?}", subject.name);
}

async fn traits_stay(subject: &Subject<'_>) {
    let before = subject.channel.traits().clone();
    subject.channel.send(&subject.parcel("again"), DEADLINE).await;
    assert_eq!(subject.channel.traits(), &before, "{}", subject.name);
}

#[tokio::test]
async fn capture_keeps_the_contract() {
    let capture = Capture::default();
    let held = capture.clone();
    let arrived = Box::new(move || {
        let captured = held.list().into_iter();
        captured.map(|one| (one.headers["idempotency_key"].clone(), one.body)).collect()
    });
    let channel = Arc::new(capture);
    exercise(Subject { name: "capture", channel, to: "a@example.com", kind: "text", arrived })
        .await;
}

#[tokio::test]
async fn webhook_keeps_the_contract() {
    let sink = Sink::start().await;
    let channel = provider(&host(), "webhook", setup(json!({"url": sink.url("/")}))).await;
    let arrived = Box::new(|| {
        let requests = sink.requests().into_iter();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        requests
            .map(|request| (text(request.headers["webhook-id"].as_bytes()), text(&request.body)))
            .collect()
    });
    exercise(Subject { name: "webhook", channel, to: "", kind: "json", arrived }).await;
}

#[tokio::test]
async fn email_keeps_the_contract() {
    let server = SmtpServer::start(Options::default()).await;
    let settings = json!({
        "host": "127.0.0.1",
        "port": server.address.port(),
        "from": "no-reply@sender.example",
    });
    let channel = provider(&host(), "email", setup(settings)).await;
    let arrived = Box::new(|| {
        let read = |mail: crate::harness::smtp::Mail| {
            let message = MessageParser::default().parse(&mail.data).expect("a message");
            let id = message.message_id().expect("an id");
            let key = id.split('@').next().unwrap_or_default().to_owned();
            (key, message.body_html(0).expect("a body").trim_end().to_owned())
        };
        server.mails().into_iter().map(read).collect()
    });
    exercise(Subject { name: "email", channel, to: "ada@example.com", kind: "html", arrived })
        .await;
}

#[tokio::test]
async fn capture_shows_an_outbox_and_forgets_the_oldest() {
    let capture = Capture::default();
    let mut parcel = parcel("email", "ada@example.com", "<p>hello</p>");
    parcel.content.kind = "html";
    parcel.content.subject = Some("a subject".into());
    parcel.content.parts.insert("text".into(), "hello".into());
    capture.send(&parcel, DEADLINE).await;

    let shown = serde_json::to_value(capture.list()).unwrap();
    assert_eq!(
        shown,
        json!([{
            "message_id": parcel.message.to_string(),
            "channel": "email",
            "provider": "capture",
            "to": "ada@example.com",
            "subject": "a subject",
            "title": "a subject",
            "body": "<p>hello</p>",
            "html": "<p>hello</p>",
            "text": "hello",
            "headers": {"idempotency_key": parcel.idempotency_key, "attempt": "1"},
            "at": parcel.at.to_string(),
        }])
    );
    for _ in 0..CAPTURED {
        capture.send(&parcel, DEADLINE).await;
    }
    assert_eq!(capture.list().len(), CAPTURED);
    capture.clear();
    assert!(capture.list().is_empty());
}

use std::sync::Arc;
use std::time::Duration;

use nuncio::channel::wasm::{Host, Limits};
use nuncio::config::{Breaker, OnUnknown, Rate};
use nuncio::dispatch::Installed;
use nuncio::egress::{AllowPrivate, Policy};
use nuncio::model::{EventId, MessageId, MessageStatus, Span};
use nuncio::store::{MessageQuery, MessageRecord};
use serde_json::{Value, json};

use crate::harness::sink::Sink;
use crate::harness::smtp::SmtpServer;
use crate::harness::stage::{On, Stage};
use crate::plugins::hosting::{host_with, provider, setup};

/// Told by webhook, wherever the provider's settings say.
pub const BY_HOOK: (&str, &str) = (
    "workflows/paid.yaml",
    "workflow: paid\non: order.paid\ncategory: order\nkey: event.data.order\n\
     recipients: [{ user: event.data.user }]\nsteps: [{ send: webhook }]\n",
);
/// …and wherever the event says.
pub const BY_OWN_HOOK: (&str, &str) = (
    "workflows/paid.yaml",
    "workflow: paid\non: order.paid\ncategory: order\n\
     recipients: [{ user: event.data.user }]\nsteps: [{ send: webhook, to: event.data.url }]\n",
);
pub const BY_MAIL: [(&str, &str); 2] = [
    (
        "workflows/paid.yaml",
        "workflow: paid\non: order.paid\ncategory: order\n\
         recipients: [{ user: event.data.user }]\nsteps: [{ send: email, template: paid }]\n",
    ),
    ("templates/paid/email.hbs", "---\nsubject: Paid\n---\n<p>It was paid.</p>"),
];

/// Longer than anything here takes, but where it is what is waited for.
const WALL: Duration = Duration::from_secs(20);

/// The host of the plugins; an attempt at one takes `wall` at the longest.
pub fn host(wall: Duration) -> Host {
    let policy = Policy { allow_private: AllowPrivate::All, ..Policy::default() };
    host_with(policy, Limits { slots: 64, wall, ..Limits::default() })
}

/// A webhook provider; it posts to `url`, or to where its messages say.
pub async fn hook(name: &str, url: Option<String>) -> Installed {
    hook_within(WALL, name, url).await
}

pub async fn hook_within(wall: Duration, name: &str, url: Option<String>) -> Installed {
    let settings = url.map_or_else(|| json!({}), |url| json!({ "url": url }));
    installed(name, provider(&host(wall), "webhook", setup(settings)).await)
}

pub async fn mail(name: &str, server: &SmtpServer) -> Installed {
    let port = server.address.port();
    let settings = json!({ "host": "127.0.0.1", "port": port, "from": "Shop <shop@example.com>" });
    installed(name, provider(&host(WALL), "email", setup(settings)).await)
}

fn installed(name: &str, channel: Arc<dyn nuncio::channel::Channel>) -> Installed {
    Installed {
        name: name.into(),
        channel,
        rate: None,
        concurrency: 64,
        on_unknown: OnUnknown::Retry,
        breaker: Breaker::default(),
    }
}

/// Opens at the third failure, for half a minute.
pub fn short_tempered(provider: Installed) -> Installed {
    let breaker = Breaker { failures: 3, window: Span::seconds(60), rest: Span::seconds(30) };
    Installed { breaker, ..provider }
}

pub fn with_rate(provider: Installed, rate: &str) -> Installed {
    let rate: Rate = serde_json::from_value(json!(rate)).expect("a rate");
    Installed { rate: Some(rate), ..provider }
}

/// A stage with a user 42, whose webhooks go to these providers, in their order.
pub async fn hooks(providers: Vec<Installed>) -> Stage {
    staged(&[BY_HOOK], "webhook", providers).await
}

pub async fn mails(providers: Vec<Installed>) -> Stage {
    staged(&BY_MAIL, "email", providers).await
}

pub async fn staged(files: &[(&str, &str)], channel: &str, all: Vec<Installed>) -> Stage {
    let providers = all.into_iter().map(|provider| (channel, provider)).collect();
    let stage = Stage::delivering(On::Sqlite, files, providers).await;
    stage.user("42", "ada@example.com").await;
    stage
}

/// One more paid order of user 42, and what is due because of it.
pub async fn paid(stage: &Stage) -> EventId {
    paid_with(stage, json!({})).await
}

pub async fn paid_with(stage: &Stage, mut data: Value) -> EventId {
    data["user"] = json!("42");
    data["order"] = json!("o-1");
    let event = stage.event("order.paid", data).await;
    stage.settle().await;
    event
}

/// `decision code` of each row, a `send` with its provider and outcome.
pub async fn told(stage: &Stage, event: EventId) -> Vec<String> {
    let rows = stage.rows(event).await.into_iter();
    rows.map(|row| match &row.provider {
        Some(provider) => format!("send {provider} {}", row.code),
        None => format!("{} {}", row.decision.as_str(), row.code),
    })
    .collect()
}

/// The newest first.
pub async fn messages(stage: &Stage) -> Vec<MessageRecord> {
    let query = MessageQuery { limit: 100_000, ..MessageQuery::default() };
    stage.store.messages(&query).await.expect("the store answers")
}

pub async fn count(stage: &Stage, status: MessageStatus) -> usize {
    messages(stage).await.iter().filter(|record| record.message.status == status).count()
}

/// The only message of the only event.
pub async fn only(stage: &Stage) -> MessageRecord {
    let mut all = messages(stage).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Works on `limit` due messages at once, as that many workers would; the answer is theirs.
pub async fn deliver(stage: &Stage, limit: usize) -> Vec<(MessageId, tokio::task::JoinHandle<()>)> {
    let due = stage.store.claim_messages(stage.claim_of(limit)).await.expect("claims");
    let work = due.into_iter().map(|due| {
        let (id, pipeline) = (due.message.id, stage.pipeline.clone());
        (id, tokio::spawn(async move { pipeline.deliver(due).await }))
    });
    work.collect()
}

pub async fn sink_pair() -> (Sink, Sink) {
    (Sink::start().await, Sink::start().await)
}

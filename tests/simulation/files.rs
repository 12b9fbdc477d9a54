use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use nuncio::channel::{Address, ContentKind, Traits};
use nuncio::check::{self, Catalog};
use nuncio::model::ChannelName;

/// The workflows of every story: each step that waits, sends or stops, on three channels and in
/// the inbox.
const FILES: &[(&str, &str)] = &[
    (
        "workflows/made.yaml",
        "workflow: made
on: thing.made
category: news
recipients: [{ user: event.data.user }]
steps:
  - send: in_app
    template: plain
  - send: email
    template: plain
  - publish: { topic: '\"things\"', data: { n: event.data.n } }
  - send: in_app
    template: plain
",
    ),
    (
        "workflows/later.yaml",
        "workflow: later
on: order.placed
category: order
key: event.data.order
cancel_on: order.cancelled
restart_on: order.moved
recipients: [{ user: event.data.user }]
steps:
  - send: webhook
    template: plain
  - delay: 10m
  - send: sms
    template: plain
  - delay: 10m
  - send: webhook
    template: plain
",
    ),
    (
        "workflows/wait.yaml",
        "workflow: wait
on: cart.left
category: order
key: event.data.order
recipients: [{ user: event.data.user }]
steps:
  - id: bought
    wait_for: { event: order.placed, timeout: 20m, on_match: stop }
  - send: email
    template: plain
",
    ),
    (
        "workflows/matched.yaml",
        "workflow: matched
on: cart.left
category: order
recipients: [{ user: event.data.user }]
steps:
  - id: bought
    wait_for: { event: order.placed, match: 'incoming.data.order == event.data.order', timeout: 5m }
  - send: webhook
    template: plain
",
    ),
    (
        "workflows/batch.yaml",
        "workflow: batch
on: note.written
category: news
key: event.data.order
recipients: [{ user: event.data.user }]
steps:
  - batch: { window: 5m, max_items: 4 }
  - send: webhook
    template: items
",
    ),
    (
        "workflows/digest.yaml",
        "workflow: digest
on: note.written
category: news
recipients: [{ user: event.data.user }]
steps:
  - digest: { cron: '*/30 * * * *' }
  - send: webhook
    template: items
",
    ),
    (
        "workflows/routed.yaml",
        "workflow: routed
on: alarm.raised
category: alarm
recipients: [{ user: event.data.user }]
steps:
  - id: first
    route: { channels: [sms, email, webhook] }
    template: plain
  - id: second
    route: { channels: [in_app, email], success: read, within: 10m }
    template: plain
",
    ),
    (
        "workflows/wide.yaml",
        "workflow: wide
on: news.out
category: news
dedupe: { key: event.data.order, window: 1h }
recipients: [{ everyone: true }]
steps:
  - send: email
    template: plain
  - send: in_app
    template: plain
",
    ),
    (
        "workflows/chain.yaml",
        "workflow: chain
on: chain.begun
recipients: [{ user: event.data.user }]
steps:
  - throttle: { limit: 2, window: 10m, excess: defer }
  - emit: { event: thing.made, data: { user: recipient.id, n: event.data.n } }
",
    ),
    (
        "workflows/paid.yaml",
        "workflow: paid
on: order.paid
steps:
  - cancel: { workflow: later, key: event.data.order }
",
    ),
    ("templates/plain/in_app.hbs", "---\ntitle: 'Number {{event.data.n}}'\n---\nplain\n"),
    ("templates/plain/email.hbs", "---\nsubject: plain\n---\n{{event.data.n}}\n"),
    ("templates/plain/sms.hbs", "{{event.data.n}}\n"),
    ("templates/plain/webhook.hbs", "{{event.data.n}}\n"),
    ("templates/items/webhook.hbs", "{{#each items}}{{this.data.n}} {{/each}}\n"),
];

/// The window of workflow `wide`.
pub const WINDOW_SECONDS: i64 = 3_600;

/// The channels of every story: whom they reach, and whether people notice.
pub fn channels() -> BTreeMap<ChannelName, Traits> {
    let channel = |interrupts, address| Traits {
        interrupts,
        idempotent: !interrupts,
        address,
        kind: ContentKind::Text,
        fixed_address: !interrupts,
    };
    BTreeMap::from([
        (ChannelName::IN_APP.into(), Traits::INBOX),
        ("email".into(), channel(true, Address::Email)),
        ("sms".into(), channel(true, Address::Phone)),
        ("webhook".into(), channel(false, Address::Data("webhook_url".into()))),
    ])
}

/// Checked once for all stories.
pub fn catalog() -> Arc<Catalog> {
    static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
        let folder = crate::check::folder(FILES);
        let loaded = check::load(folder.path(), &channels());
        assert_eq!(loaded.diagnostics, [], "the files are sound");
        loaded.catalog.expect("the files are sound")
    });
    CATALOG.clone()
}

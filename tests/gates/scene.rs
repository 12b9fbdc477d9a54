use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nuncio::channel::capture::{Capture, Captured};
use nuncio::channel::{Address, ContentKind, Traits};
use nuncio::check;
use nuncio::clock::Clock;
use nuncio::config::{Config, OnUnknown};
use nuncio::dispatch::{Dispatch, Installed};
use nuncio::explain::{self, Row};
use nuncio::ingest::{Answer, Incoming};
use nuncio::model::{EventId, Preferences, User, Verdict};
use nuncio::pipeline::{Accept, Pipeline, Rules};
use nuncio::relay::Hub;
use nuncio::store::memory::MemoryStore;
use nuncio::store::{Claim, Events, Queue, QueueName, Store, Users};
use serde_json::{Value, json};

use crate::check::folder;

/// Every scene begins at noon in UTC, which is one o'clock in Tunis.
pub const START: &str = "2026-03-02T12:00:00Z";

/// A pipeline over a store in memory, whose channels keep what they are given.
pub struct Scene {
    pub clock: Clock,
    pub store: Arc<MemoryStore>,
    pub pipeline: Arc<Pipeline>,
    outbox: Capture,
    _files: tempfile::TempDir,
}

/// What a scene is made of.
pub struct Setting {
    /// Further lines of the workflow.
    pub head: &'static str,
    /// Further fields of its only step.
    pub step: &'static str,
    pub send: &'static str,
    pub files: Vec<(&'static str, &'static str)>,
    pub config: Config,
}

impl Default for Setting {
    fn default() -> Self {
        let (head, step, send) = ("", "", "email");
        Self { head, step, send, files: Vec::new(), config: Config::default() }
    }
}

impl Setting {
    /// A workflow `news` that tells `event.data.user` by `send`, of the category `news`.
    pub async fn scene(self) -> Scene {
        let workflow = format!(
            "workflow: news\non: news\ncategory: news\nrecipients: [{{ user: event.data.user }}]\n{}\n\
             priority: [{{ critical: has(event.data.critical) }}, {{ high: has(event.data.high) }}, medium]\n\
             steps:\n  - send: {}\n    template: news\n    {}\n",
            self.head, self.send, self.step
        );
        let text = "---\nsubject: News\n---\n{{event.data.text}}";
        let mut files = vec![
            ("workflows/news.yaml", workflow.as_str()),
            ("templates/news/email.hbs", text),
            ("templates/news/sms.hbs", "{{event.data.text}}"),
            ("templates/news/webhook.hbs", "{\"text\": \"{{event.data.text}}\"}"),
            ("templates/news/in_app.hbs", "---\ntitle: News\n---\n{{event.data.text}}"),
        ];
        files.extend(self.files);
        let files = folder(&files);
        let clock = Clock::manual(at(START), 7);
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let outbox = Capture::default();
        let loaded = check::load(files.path(), &channels());
        let catalog = loaded.catalog.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let pipeline = Pipeline::new(
            clock.clone(),
            store.clone(),
            catalog.clone(),
            dispatch(&outbox, &clock),
            Arc::new(Hub::new(&self.config.relay, clock.clone())),
            Rules::of(&self.config),
        );
        pipeline.use_catalog(catalog).await.expect("the store answers");
        let pipeline = Arc::new(pipeline);
        let scene = Scene { clock, store, pipeline, outbox, _files: files };
        scene.user("42", Some("Africa/Tunis")).await;
        scene
    }
}

fn channels() -> BTreeMap<nuncio::model::ChannelName, Traits> {
    let channel = |address| Traits {
        interrupts: true,
        idempotent: true,
        address,
        kind: ContentKind::Text,
        fixed_address: false,
    };
    BTreeMap::from([
        ("email".into(), channel(Address::Email)),
        ("sms".into(), channel(Address::Phone)),
        ("webhook".into(), Traits { interrupts: false, ..channel(Address::Email) }),
    ])
}

fn dispatch(outbox: &Capture, clock: &Clock) -> Dispatch {
    let installed = channels().into_iter().map(|(name, traits)| {
        let provider = Installed {
            name: Capture::PROVIDER.into(),
            channel: Arc::new(outbox.with_traits(traits)),
            rate: None,
            concurrency: 8,
            on_unknown: OnUnknown::Retry,
            breaker: nuncio::config::Breaker::default(),
        };
        (name, vec![provider])
    });
    Dispatch::new(installed.collect(), None, clock.clone(), Duration::from_secs(30))
}

impl Scene {
    pub async fn user(&self, id: &str, zone: Option<&str>) {
        let now = self.clock.now();
        let user = User {
            id: id.into(),
            username: None,
            email: Some(format!("{id}@example.com")),
            phone: Some("+21600000000".into()),
            first_name: None,
            last_name: None,
            locale: None,
            time_zone: zone.map(Into::into),
            role: None,
            data: serde_json::Map::new(),
            created_at: now,
            updated_at: now,
        };
        self.store.put_users(vec![user]).await.expect("the store answers");
    }

    /// What user 42 says from now on.
    pub async fn prefer(&self, preferences: Value) {
        let said: Preferences = serde_json::from_value(preferences).expect("preferences");
        self.store.put_preferences(&"42".into(), said).await.expect("the store answers");
    }

    /// An event `news` for user 42, and all that is due because of it.
    pub async fn emit(&self, data: Value) -> EventId {
        let event = self.accept("news", "", data).await;
        self.work().await;
        event
    }

    pub async fn accept(&self, name: &str, tenant: &str, data: Value) -> EventId {
        let mut whole = json!({"user": "42", "text": "hello"});
        whole.as_object_mut().expect("a map").extend(data.as_object().cloned().unwrap_or_default());
        let incoming = Incoming {
            name: name.into(),
            data: whole,
            actor: None,
            tenant: tenant.into(),
            idempotency_key: None,
            at: None,
            body_hash: [0; 32],
        };
        let answers = self.pipeline.accept(vec![incoming]).await.expect("the store answers");
        match answers.into_iter().next() {
            Some(Ok(Answer::Accepted(id))) => id,
            other => panic!("{other:?}"),
        }
    }

    pub fn claim(&self, limit: usize) -> Claim {
        let now = self.clock.now();
        Claim { now, until: self.clock.after(Duration::from_secs(60)), limit }
    }

    /// Does what is due now, one by one.
    pub async fn work(&self) {
        loop {
            let store: &dyn Store = &*self.store;
            if let Some(due) = store.claim_events(self.claim(1)).await.expect("claims").pop() {
                self.pipeline.expand(due).await;
            } else if let Some(due) = store.claim_runs(self.claim(1)).await.expect("claims").pop() {
                self.pipeline.advance(due).await;
            } else if let Some(due) =
                store.claim_messages(self.claim(1)).await.expect("claims").pop()
            {
                self.pipeline.deliver(due).await;
            } else {
                return;
            }
        }
    }

    /// Turns the clock to `moment`, and does on the way what falls due.
    pub async fn until(&self, moment: &str) {
        let end = at(moment);
        loop {
            self.work().await;
            let mut next = Vec::new();
            for queue in [QueueName::Events, QueueName::Runs, QueueName::Messages] {
                next.extend(self.store.next_due(queue).await.expect("the store answers"));
            }
            match next.into_iter().min().filter(|next| *next <= end) {
                Some(next) => self.clock.set(next),
                None => break,
            }
        }
        self.clock.set(end);
    }

    pub fn sent(&self) -> Vec<Captured> {
        self.outbox.list()
    }

    /// What was sent, and when.
    pub fn sent_at(&self) -> Vec<(String, Timestamp)> {
        self.sent().into_iter().map(|one| (one.body, one.at)).collect()
    }

    pub async fn rows(&self, event: EventId) -> Vec<Row> {
        let timeline = self.store.timeline(event.0).await.expect("the store answers");
        explain::rows(&timeline.expect("the event is there"))
    }

    /// Decision and code of the event's rows.
    pub async fn decided(&self, event: EventId) -> Vec<(Verdict, String)> {
        let rows = self.rows(event).await.into_iter();
        rows.map(|row| (row.decision, row.code.into_owned())).collect()
    }

    /// The event's only row.
    pub async fn row(&self, event: EventId) -> Row {
        let mut rows = self.rows(event).await;
        assert_eq!(rows.len(), 1, "{rows:#?}");
        rows.remove(0)
    }
}

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

pub fn decided(verdict: Verdict, code: &str) -> (Verdict, String) {
    (verdict, code.into())
}

/// Quiet hours as a user has them.
pub fn quiet(start: &str, end: &str) -> Value {
    json!({"quiet_hours": {"enabled": true, "start_time": start, "end_time": end}})
}

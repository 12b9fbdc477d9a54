//! The real pipeline over a store, on a clock that stands still until it is moved. Jobs are done
//! one at a time, in the order of claims.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nuncio::channel::capture::{Capture, Captured};
use nuncio::channel::{Channel as _, Traits, Unheard};
use nuncio::check;
use nuncio::clock::Clock;
use nuncio::config::{Config, OnUnknown};
use nuncio::dispatch::{Dispatch, Installed};
use nuncio::explain::{self, Row};
use nuncio::ingest::{Answer, Incoming};
use nuncio::model::{ChannelName, EventId, Span, User};
use nuncio::pipeline::{Accept, Pipeline, Rules};
use nuncio::store::memory::MemoryStore;
use nuncio::store::sqlite::SqliteStore;
use nuncio::store::{Claim, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

const START: &str = "2026-03-01T09:00:00Z";
const LEASE: Duration = Duration::from_secs(60);
/// Jobs of one test: more is a loop.
const MOST_JOBS: usize = 100_000;

pub struct Stage {
    pub clock: Clock,
    pub store: Arc<dyn Store>,
    pub pipeline: Arc<Pipeline>,
    capture: Capture,
    /// Each job's worker dies first before it has written anything; and each result is written
    /// twice.
    troubled: bool,
    ground: Arc<TempDir>,
}

/// Where a stage's rows are.
#[derive(Clone, Copy, Debug)]
pub enum On {
    Memory,
    Sqlite,
}

impl Stage {
    /// `files`: paths under the root (`workflows/a.yaml`), with their content.
    pub async fn new(on: On, files: &[(&str, &str)]) -> Self {
        Self::delivering(on, files, Vec::new()).await
    }

    /// The channels of `providers` are delivered by them, in their order; the others are captured.
    pub async fn delivering(
        on: On,
        files: &[(&str, &str)],
        providers: Vec<(&str, Installed)>,
    ) -> Self {
        let clock = Clock::manual(START.parse().expect("a timestamp"), 7);
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        for (path, content) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, content).expect("written");
        }
        let store: Arc<dyn Store> = match on {
            On::Memory => Arc::new(MemoryStore::new(clock.clone())),
            On::Sqlite => {
                let url = format!("sqlite:{}", folder.path().join("nuncio.db").display());
                Arc::new(SqliteStore::open(&url, clock.clone()).await.expect("a new database"))
            }
        };
        Self::over(store, clock, folder, providers).await
    }

    /// Another node on this one's store and clock, with providers of its own.
    pub async fn beside(&self, providers: Vec<(&str, Installed)>) -> Self {
        Self::over(self.store.clone(), self.clock.clone(), self.ground.clone(), providers).await
    }

    async fn over(
        store: Arc<dyn Store>,
        clock: Clock,
        folder: Arc<TempDir>,
        providers: Vec<(&str, Installed)>,
    ) -> Self {
        let capture = Capture::default();
        let traits = ["email", "sms", "push", "webhook"];
        let mut traits: BTreeMap<ChannelName, Traits> =
            traits.map(|name| (name.into(), capture.traits().clone())).into();
        let mut installed: BTreeMap<ChannelName, Vec<Installed>> = BTreeMap::new();
        for (channel, provider) in providers {
            traits.insert(channel.into(), provider.channel.traits().clone());
            installed.entry(channel.into()).or_default().push(provider);
        }
        let loaded = check::load(folder.path(), &traits);
        let catalog = loaded.catalog.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
        let fallback = Installed {
            name: Capture::PROVIDER.into(),
            channel: Arc::new(capture.clone()),
            rate: None,
            concurrency: 1,
            on_unknown: OnUnknown::Retry,
            breaker: nuncio::config::Breaker::default(),
        };
        let timeout = Duration::from_secs(10);
        let dispatch = Dispatch::new(installed, Some(fallback), clock.clone(), timeout);
        let dispatch = dispatch.sharing(store.clone());
        dispatch.forgive().await;
        let retry = vec![Span::seconds(60)];
        let rules = Rules { retry, ..Rules::of(&Config::default()) };
        let pipeline = Pipeline::new(
            clock.clone(),
            store.clone(),
            catalog.clone(),
            dispatch,
            Arc::new(Unheard),
            rules,
        );
        pipeline.use_catalog(catalog).await.expect("versions are kept");
        let pipeline = Arc::new(pipeline);
        Self { clock, store, pipeline, capture, troubled: false, ground: folder }
    }

    #[must_use]
    pub fn troubled(self) -> Self {
        Self { troubled: true, ..self }
    }

    pub async fn user(&self, id: &str, email: &str) {
        self.put(id, Some(email), None).await;
    }

    pub async fn put(&self, id: &str, email: Option<&str>, zone: Option<&str>) {
        let now = self.clock.now();
        let user = User {
            id: id.into(),
            username: None,
            email: email.map(Into::into),
            phone: None,
            first_name: None,
            last_name: None,
            locale: None,
            time_zone: zone.map(Into::into),
            role: None,
            data: serde_json::Map::new(),
            created_at: now,
            updated_at: now,
        };
        self.store.put_users(vec![user]).await.expect("a user is stored");
    }

    pub async fn event(&self, name: &str, data: Value) -> EventId {
        self.accept(json!({ "name": name, "data": data })).await
    }

    /// Accepts one event; all that it makes due waits for [`Stage::settle`].
    pub async fn accept(&self, event: Value) -> EventId {
        let incoming = Incoming::parse(event, usize::MAX).expect("an event's shape");
        let mut answers = self.pipeline.accept(vec![incoming]).await.expect("the store answers");
        match answers.pop().expect("an answer").expect("it is accepted") {
            Answer::Accepted(id) | Answer::Duplicate(id) => id,
        }
    }

    /// Does what is due now, and what falls due by it at once.
    pub async fn settle(&self) {
        for _ in 0..MOST_JOBS {
            if !(self.one_event().await || self.one_run().await || self.one_message().await) {
                return;
            }
        }
        panic!("{MOST_JOBS} jobs and no end");
    }

    /// Lives through a stretch of time, stopping wherever something falls due.
    pub async fn live(&self, stretch: Duration) {
        self.live_until(self.clock.after(stretch)).await;
    }

    pub async fn live_until(&self, end: Timestamp) {
        self.settle().await;
        while let Some(next) = self.next_due().await.filter(|next| *next <= end) {
            self.clock.set(next.max(self.clock.now()));
            self.settle().await;
        }
        self.clock.set(end);
    }

    pub fn sent(&self) -> Vec<Captured> {
        self.capture.list()
    }

    pub async fn rows(&self, event: EventId) -> Vec<Row> {
        let timeline = self.store.timeline(event.0).await.expect("the store answers");
        explain::rows(&timeline.expect("the event is known"))
    }

    /// The codes of an event's decisions, in the order of time.
    pub async fn codes(&self, event: EventId) -> Vec<String> {
        self.rows(event).await.into_iter().map(|row| row.code.into_owned()).collect()
    }

    async fn next_due(&self) -> Option<Timestamp> {
        use nuncio::store::QueueName::{Events, Messages, Runs};
        let mut first: Option<Timestamp> = None;
        for queue in [Events, Runs, Messages] {
            let next = self.store.next_due(queue).await.expect("the store answers");
            first = first.into_iter().chain(next).min();
        }
        first
    }

    fn claim(&self) -> Claim {
        self.claim_of(1)
    }

    /// A claim of so many, now.
    pub fn claim_of(&self, limit: usize) -> Claim {
        Claim { now: self.clock.now(), until: self.clock.after(LEASE), limit }
    }

    async fn recover(&self) {
        self.pipeline.recover(true).await.expect("the store answers");
    }

    async fn one_event(&self) -> bool {
        let claim = || self.store.claim_events(self.claim());
        let mut due = claim().await.expect("the store answers");
        if self.troubled && !due.is_empty() {
            self.recover().await;
            due = claim().await.expect("the store answers");
        }
        let Some(due) = due.pop() else { return false };
        self.pipeline.expand(due.clone()).await;
        if self.troubled {
            self.pipeline.expand(due).await;
        }
        true
    }

    async fn one_run(&self) -> bool {
        let claim = || self.store.claim_runs(self.claim());
        let mut due = claim().await.expect("the store answers");
        if self.troubled && !due.is_empty() {
            self.recover().await;
            due = claim().await.expect("the store answers");
        }
        let Some(due) = due.pop() else { return false };
        self.pipeline.advance(due.clone()).await;
        if self.troubled {
            self.pipeline.advance(due).await;
        }
        true
    }

    async fn one_message(&self) -> bool {
        let claim = || self.store.claim_messages(self.claim());
        let mut due = claim().await.expect("the store answers");
        if self.troubled && !due.is_empty() {
            self.recover().await;
            due = claim().await.expect("the store answers");
        }
        let Some(due) = due.pop() else { return false };
        self.pipeline.deliver(due.clone()).await;
        if self.troubled {
            self.pipeline.deliver(due).await;
        }
        true
    }
}

//! The real pipeline over a real store, on a clock that the test moves. What is due is worked on
//! by the test itself, so that it can be lost and repeated at will.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nuncio::channel::capture::{Capture, Captured};
use nuncio::check;
use nuncio::clock::Clock;
use nuncio::config::{self, OnUnknown};
use nuncio::dispatch::{Dispatch, Installed};
use nuncio::explain::{self, Row};
use nuncio::ingest::{Answer, Incoming};
use nuncio::model::{EventId, Run, RunStatus, User, UserId, Verdict};
use nuncio::pipeline::{Accept, Pipeline, Rules};
use nuncio::relay::Hub;
use nuncio::store::memory::MemoryStore;
use nuncio::store::sqlite::SqliteStore;
use nuncio::store::{Claim, QueueName, Store};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

pub const START: &str = "2026-03-01T09:00:00Z";
const LEASE: Duration = Duration::from_secs(60);
/// Jobs of one instant: more is a loop.
const MOST_JOBS: usize = 10_000;

pub struct Stage {
    pub pipeline: Arc<Pipeline>,
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    capture: Capture,
    /// Each claimed job is lost once with its worker, and then done twice.
    pub rough: bool,
    _folder: TempDir,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    Memory,
    Sqlite,
}

/// Runs a scene over both stores, smoothly and roughly.
pub async fn everywhere<F>(files: &[(&str, &str)], scene: impl Fn(Stage) -> F)
where
    F: Future<Output = ()>,
{
    for ground in [Ground::Memory, Ground::Sqlite] {
        for rough in [false, true] {
            println!("on {ground:?}, rough: {rough}");
            scene(Stage::new(ground, rough, files).await).await;
        }
    }
}

impl Stage {
    pub async fn new(ground: Ground, rough: bool, files: &[(&str, &str)]) -> Self {
        Self::with(ground, rough, files, |pipeline| pipeline).await
    }

    pub async fn with(
        ground: Ground,
        rough: bool,
        files: &[(&str, &str)],
        finish: impl FnOnce(Pipeline) -> Pipeline,
    ) -> Self {
        let folder = crate::check::folder(files);
        let clock = Clock::manual(START.parse().expect("the start is a timestamp"), 11);
        let store: Arc<dyn Store> = match ground {
            Ground::Memory => Arc::new(MemoryStore::new(clock.clone())),
            Ground::Sqlite => {
                let url = format!("sqlite:{}", folder.path().join("nuncio.db").display());
                let store = SqliteStore::open(&url, clock.clone()).await;
                Arc::new(store.expect("a new database"))
            }
        };
        let channels = nuncio::node::known_channels();
        let loaded = check::load(folder.path(), &channels);
        assert_eq!(loaded.diagnostics, [], "the files are sound");
        let catalog = loaded.catalog.expect("the files are sound");
        let capture = Capture::default();
        let mut installed = BTreeMap::new();
        for (name, traits) in channels.into_iter().filter(|(name, _)| !name.is_in_app()) {
            let channel = Installed {
                name: Capture::PROVIDER.into(),
                channel: Arc::new(capture.with_traits(traits)),
                rate: None,
                concurrency: 8,
                on_unknown: OnUnknown::Retry,
                breaker: nuncio::config::Breaker::default(),
            };
            installed.insert(name, vec![channel]);
        }
        let dispatch = Dispatch::new(installed, None, clock.clone(), Duration::from_secs(30));
        let hub = Arc::new(Hub::new(&config::Relay::default(), clock.clone()));
        let rules = Rules { retry: Vec::new(), ..Rules::of(&nuncio::config::Config::default()) };
        let pipeline =
            Pipeline::new(clock.clone(), store.clone(), catalog.clone(), dispatch, hub, rules);
        let pipeline = Arc::new(finish(pipeline));
        pipeline.use_catalog(catalog).await.expect("the files are stored");
        Self { pipeline, store, clock, capture, rough, _folder: folder }
    }

    /// Users with an address for every channel, by e-mail and phone.
    pub async fn user(&self, id: &str, phone: bool) {
        let user = User {
            id: id.into(),
            username: None,
            email: Some(format!("{id}@example.org")),
            phone: phone.then(|| "+33612345678".into()),
            first_name: None,
            last_name: None,
            locale: None,
            time_zone: None,
            role: None,
            data: Map::new(),
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
        };
        self.store.put_users(vec![user]).await.expect("it is stored");
    }

    /// Accepts an event and does all that is due.
    pub async fn emit(&self, name: &str, data: Value) -> EventId {
        let id = self.accept(vec![json!({"name": name, "data": data})]).await[0];
        self.settle().await;
        id
    }

    /// Accepts events in one call, and does nothing else.
    pub async fn accept(&self, events: Vec<Value>) -> Vec<EventId> {
        let parse = |event| Incoming::parse(event, usize::MAX).expect("it is an event");
        let events = events.into_iter().map(parse).collect();
        let answers = self.pipeline.accept(events).await.expect("the store answers");
        let id = |answer| match answer {
            Ok(Answer::Accepted(id) | Answer::Duplicate(id)) => id,
            Err(refusal) => panic!("it is taken: {refusal:?}"),
        };
        answers.into_iter().map(id).collect()
    }

    /// Does all that is due.
    pub async fn settle(&self) {
        for _ in 0..MOST_JOBS {
            if !self.work(true).await {
                return;
            }
        }
        panic!("there is no end to it");
    }

    /// Goes on with events and runs alone: no message leaves.
    pub async fn settle_runs(&self) {
        while self.work(false).await {}
    }

    /// Moves the clock on, from one thing that falls due to the next.
    pub async fn pass(&self, time: &str) {
        let time: jiff::SignedDuration = time.parse().expect("it is a duration");
        let end = self.clock.now() + time;
        loop {
            self.settle().await;
            let mut next: Option<Timestamp> = None;
            for queue in [QueueName::Events, QueueName::Runs, QueueName::Messages] {
                let due = self.store.next_due(queue).await.expect("the store answers");
                next = [next, due].into_iter().flatten().min();
            }
            match next.filter(|next| *next <= end) {
                Some(next) => self.clock.set(next.max(self.clock.now())),
                None => break,
            }
        }
        self.clock.set(end);
        self.settle().await;
    }

    /// One round of jobs; `false` if nothing was due.
    async fn work(&self, leave: bool) -> bool {
        let claim = || Claim { now: self.clock.now(), until: self.clock.after(LEASE), limit: 50 };
        if self.rough {
            // Whoever claims these dies with them.
            self.store.claim_events(claim()).await.expect("the store answers");
            self.store.claim_runs(claim()).await.expect("the store answers");
            self.pipeline.recover(true).await.expect("the store answers");
        }
        let events = self.store.claim_events(claim()).await.expect("the store answers");
        let runs = self.store.claim_runs(claim()).await.expect("the store answers");
        let messages = match leave {
            true => self.store.claim_messages(claim()).await.expect("the store answers"),
            false => Vec::new(),
        };
        let some = events.len() + runs.len() + messages.len() > 0;
        for event in events {
            if self.rough {
                self.pipeline.expand(event.clone()).await;
            }
            self.pipeline.expand(event).await;
        }
        for run in runs {
            if self.rough {
                self.pipeline.advance(run.clone()).await;
            }
            self.pipeline.advance(run).await;
        }
        for message in messages {
            self.pipeline.deliver(message).await;
        }
        some
    }

    /// What left, as `channel to`.
    pub fn left(&self) -> Vec<String> {
        let line = |one: &Captured| format!("{} {}", one.channel, one.to);
        self.capture.list().iter().map(line).collect()
    }

    pub fn clear(&self) {
        self.capture.clear();
    }

    pub async fn rows(&self, event: EventId) -> Vec<Row> {
        let timeline = self.store.timeline(event.0).await.expect("the store answers");
        explain::rows(&timeline.expect("the event is there"))
    }

    /// The codes of the rows with this verdict, in their order.
    pub async fn codes(&self, event: EventId, verdict: Verdict) -> Vec<String> {
        let rows = self.rows(event).await;
        let these = rows.iter().filter(|row| row.decision == verdict);
        these.map(|row| row.code.to_string()).collect()
    }

    /// The event's only run.
    pub async fn run(&self, event: EventId) -> Run {
        let record = self.store.event(event).await.expect("the store answers");
        let mut runs = record.expect("the event is there").runs;
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    pub async fn status(&self, event: EventId) -> RunStatus {
        self.run(event).await.status
    }

    /// `steps.<id>` of the event's only run.
    pub async fn step(&self, event: EventId, id: &str) -> Value {
        self.run(event).await.state["steps"][id].clone()
    }

    pub async fn read_all(&self, user: &str) {
        let user = UserId::from(user);
        self.store.mark_all(&user, None, self.clock.now()).await.expect("the store answers");
    }
}

//! The HTTP edge on a socket, over the in-memory store and a clock that stands still.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use nuncio::api::{self, Catalog, LoadedChannel, LoadedWorkflow, Outbox, Readiness, Reload};
use nuncio::auth::{self, Grant, KeyMaterial, KeyRing, Verifier};
use nuncio::channel::{Inbound, Publish};
use nuncio::clock::Clock;
use nuncio::config;
use nuncio::diagnostic::{Diagnostic, Source};
use nuncio::ingest::{Answer, Incoming, Refusal};
use nuncio::model::{
    Attempt, AttemptOutcome, Category, Entry, Event, EventId, Message, MessageStatus, Priority,
    ProviderName, Run, RunId, RunStatus,
};
use nuncio::pipeline::{Accept, Answered, CallbackFailed, Callbacks, Foreseen};
use nuncio::relay::{self, Following, Hub, Relay};
use nuncio::shared::Shared;
use nuncio::store::memory::MemoryStore;
use nuncio::store::{
    Acceptance, Accepted, Calendar, CalendarQuery, Events, Keys, Plan, StoreError, Users,
};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

const SECRET: &str = "a secret that only tests know";

/// Accepts that go on at once: more than a test makes.
pub const GATE: u32 = 1 << 20;

/// A running edge.
pub struct Server {
    pub address: SocketAddr,
    pub store: Arc<MemoryStore>,
    pub clock: Clock,
    pub hub: Arc<Hub>,
    pub shelf: Arc<Shelf>,
    pub shared: Shared,
    /// Accepts wait for a permit of it.
    pub gate: Arc<Semaphore>,
    client: reqwest::Client,
    key: String,
    /// Of servers that share their ground.
    _following: Option<Following>,
}

/// What a test wants to be otherwise.
#[derive(Default)]
pub struct Options {
    pub server: config::Server,
    pub relay: config::Relay,
    /// What holds for users who said nothing.
    pub gates: Arc<nuncio::gate::Defaults>,
    /// Declares the relay's routes.
    pub catalog: Arc<nuncio::check::Catalog>,
    /// The bus to other servers.
    pub shared: Shared,
    /// Whose rows and whose time: another server's, or its own.
    pub ground: Option<(Arc<MemoryStore>, Clock)>,
}

/// What is loaded: two types, a channel, and switches for what goes wrong.
#[derive(Default)]
pub struct Shelf {
    pub broken: AtomicBool,
    pub starting: AtomicBool,
    pub captured: std::sync::Mutex<Vec<Value>>,
}

/// Stores events as they come, without a plan: what lies behind `Accept` is not tested here.
struct Unplanned {
    store: Arc<MemoryStore>,
    clock: Clock,
    gate: Arc<Semaphore>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (store, clock) = options.ground.clone().unwrap_or_else(Self::ground);
        let (key, record) = auth::issue(&clock, "test", vec!["*".into()]);
        store.put_key(&record).await.expect("the store answers");
        let auth = config::Auth::default();
        let material = KeyMaterial::Secret(SECRET.into());
        let tokens = Verifier::new(&auth, material, clock.clone()).expect("the secret serves");
        let tokens = Arc::new(tokens);
        let hub = Arc::new(Hub::new(&options.relay, clock.clone()));
        let relay = Relay {
            hub: hub.clone(),
            store: store.clone(),
            tokens: tokens.clone(),
            clock: clock.clone(),
            limits: options.relay,
            server: options.server.clone(),
            epoch: store.epoch(),
            catalog: Box::new(move || options.catalog.clone()),
        };
        let gate = Arc::new(Semaphore::new(GATE as usize));
        let shelf = Arc::new(Shelf::default());
        let pipeline = Unplanned { store: store.clone(), clock: clock.clone(), gate: gate.clone() };
        let parts = api::Parts {
            store: store.clone(),
            shared: options.shared.clone(),
            pipeline: Arc::new(pipeline),
            publish: hub.clone(),
            clock: clock.clone(),
            keys: Arc::new(KeyRing::new(store.clone(), clock.clone())),
            tokens,
            server: options.server,
            time_zone: "UTC".into(),
            gates: options.gates,
            metrics: Some(nuncio::telemetry::Metrics::install().expect("the recorder installs")),
            outbox: Some(shelf.clone()),
            catalog: shelf.clone(),
            callbacks: shelf.clone(),
        };
        let router = api::router(parts).merge(relay::router(Arc::new(relay)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let client = reqwest::Client::new();
        let shared = options.shared;
        let _following = options.ground.map(|_| hub.follow(store.clone(), &shared, &clock));
        Self { address, store, clock, hub, shelf, shared, _following, gate, client, key }
    }

    /// An empty store, and a clock that stands still.
    pub fn ground() -> (Arc<MemoryStore>, Clock) {
        let clock = Clock::manual("2026-01-01T12:00:00Z".parse().expect("it is an instant"), 42);
        (Arc::new(MemoryStore::new(clock.clone())), clock)
    }

    /// A request without credentials.
    pub fn anonymous(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("it is a method");
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A service's request, with a key of every scope.
    pub fn machine(&self, method: &str, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.key)
    }

    /// An end user's request.
    pub fn user(&self, sub: &str, method: &str, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.token(sub, None))
    }

    pub fn admin(&self, method: &str, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.token("1", Some("admin")))
    }

    pub fn token(&self, sub: &str, role: Option<&str>) -> String {
        self.token_for(sub, role, Duration::from_secs(3600))
    }

    pub fn token_of_orgs(&self, sub: &str, orgs: &[&str]) -> String {
        let orgs = orgs.iter().map(|org| (*org).into()).collect();
        let lifetime = Duration::from_secs(3600);
        let grant = Grant { sub: sub.into(), role: None, orgs, lifetime };
        auth::mint(&grant, SECRET, &config::Auth::default(), &self.clock).expect("it is signed")
    }

    pub fn token_for(&self, sub: &str, role: Option<&str>, lifetime: Duration) -> String {
        let role = role.map(Into::into);
        let grant = Grant { sub: sub.into(), role, orgs: vec![], lifetime };
        auth::mint(&grant, SECRET, &config::Auth::default(), &self.clock).expect("it is signed")
    }

    /// A key with these scopes alone.
    pub async fn key(&self, scopes: &[&str]) -> String {
        let name = format!("key of {scopes:?}");
        let scopes = scopes.iter().map(|scope| (*scope).into()).collect();
        let (text, record) = auth::issue(&self.clock, &name, scopes);
        self.store.put_key(&record).await.expect("the store answers");
        text
    }

    /// Puts a notification into the user's inbox, and tells their connections.
    pub async fn deliver(&self, user: &str, category: &str, title: &str) -> RunId {
        self.deliver_with(user, category, title, Priority::Medium).await
    }

    pub async fn deliver_with(
        &self,
        user: &str,
        category: &str,
        title: &str,
        priority: Priority,
    ) -> RunId {
        let (id, frames) = self.store_entry(user, category, title, priority).await;
        self.hub.publish(&frames);
        id
    }

    /// The same without telling: the frames are the caller's to publish.
    pub async fn store_entry(
        &self,
        user: &str,
        category: &str,
        title: &str,
        priority: Priority,
    ) -> (RunId, Vec<nuncio::model::Frame>) {
        let event = self.event();
        let (run, message) = self.run(&event, user, category, "in_app", MessageStatus::Sent);
        let run = Run { priority, ..run };
        let entry = Entry {
            id: run.id,
            event: event.id,
            user: user.into(),
            seq: 0,
            category: category.into(),
            title: title.into(),
            message: format!("about {title}"),
            priority,
            metadata: Map::from_iter([("action_url".into(), json!("/orders/1"))]),
            created_at: self.clock.now(),
            read_at: None,
            sensitive: false,
            public_title: None,
        };
        let attempt = self.attempt(&message, AttemptOutcome::Accepted);
        let id = run.id;
        let plan = Plan {
            runs: vec![run],
            messages: vec![message],
            delivered: vec![(entry, attempt)],
            ..Plan::default()
        };
        (id, self.accept(event, plan).await)
    }

    /// Stores a message of its own event, and nothing else.
    pub async fn store_message(&self, user: &str, channel: &str, status: MessageStatus) -> Message {
        let event = self.event();
        let (run, message) = self.run(&event, user, "billing", channel, status);
        let plan = Plan { runs: vec![run], messages: vec![message.clone()], ..Plan::default() };
        self.accept(event, plan).await;
        message
    }

    async fn accept(&self, event: Event, plan: Plan) -> Vec<nuncio::model::Frame> {
        let acceptance = Acceptance { event, body_hash: [0; 32], plan, emitter: None };
        let accepted = self.store.accept(vec![acceptance]).await.expect("the store answers");
        match accepted.into_iter().next() {
            Some(Accepted::New { frames, .. }) => frames,
            other => panic!("the event is new: {other:?}"),
        }
    }

    fn event(&self) -> Event {
        Event {
            id: self.clock.id(),
            tenant: String::new(),
            name: "order.paid".into(),
            actor: Some("7".into()),
            data: json!({"order": 1}),
            at: self.clock.now(),
            received_at: self.clock.now(),
            idempotency_key: None,
            depth: 0,
            told: Vec::new(),
            sensitive: false,
        }
    }

    fn run(
        &self,
        event: &Event,
        user: &str,
        category: &str,
        channel: &str,
        status: MessageStatus,
    ) -> (Run, Message) {
        let run = Run {
            id: self.clock.id(),
            event: event.id,
            workflow: "order-paid".into(),
            version: "v1".into(),
            recipient: Some(user.into()),
            role: String::new(),
            contact: None,
            priority: Priority::Medium,
            key: None,
            status: RunStatus::Finished,
            position: None,
            wake_at: None,
            state: json!({}),
            started_at: self.clock.now(),
            sensitive: false,
            topic: None,
        };
        let message = Message {
            id: self.clock.id(),
            event: event.id,
            run: run.id,
            step: "0".into(),
            item: 0,
            channel: channel.into(),
            recipient: Some(user.into()),
            workflow: run.workflow.clone(),
            category: category.into(),
            priority: run.priority,
            status,
            due_at: self.clock.now(),
            expires_at: None,
            attempt: 0,
            forgiven: 0,
            provider: None,
            receipt: None,
            code: None,
            created_at: self.clock.now(),
        };
        (run, message)
    }

    fn attempt(&self, message: &Message, outcome: AttemptOutcome) -> Attempt {
        Attempt {
            message: message.id,
            number: 1,
            provider: message.channel.as_str().into(),
            started_at: self.clock.now(),
            finished_at: self.clock.now(),
            outcome,
            code: None,
            detail: None,
            receipt: None,
        }
    }

    /// Stores a user by the API's own shape.
    pub async fn put_user(&self, id: &str, body: Value) {
        let response = self.machine("PUT", &format!("/v1/users/{id}")).json(&body).send().await;
        assert!(response.expect("the server answers").status().is_success());
        assert!(self.store.user(&id.into()).await.expect("the store answers").is_some());
    }
}

/// Status and body.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("the server answers");
    body(response).await
}

pub async fn answer_with_headers(request: RequestBuilder) -> (u16, HeaderMap, Value) {
    let response = request.send().await.expect("the server answers");
    let headers = response.headers().clone();
    let (status, value) = body(response).await;
    (status, headers, value)
}

pub async fn body(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("the answer is text");
    let value =
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect(&text) };
    (status, value)
}

#[async_trait]
impl Catalog for Shelf {
    async fn reload(&self, _who: &str) -> Result<Reload, StoreError> {
        let source = Source::new("workflows/order-paid.yaml", "on: order.payd");
        let problem = Diagnostic::error(&source, "yaml.missing", 0..0, "a workflow needs `steps`");
        Ok(Reload { reloaded: false, problems: vec![problem], runs_on_older_versions: 3 })
    }

    fn types(&self) -> Vec<Category> {
        vec!["billing".into(), "system".into()]
    }

    fn workflows(&self) -> Vec<LoadedWorkflow> {
        assert!(!self.broken.load(Ordering::SeqCst), "the shelf is broken");
        vec![LoadedWorkflow {
            workflow: "order-paid".into(),
            on: vec!["order.paid".into()],
            category: "billing".into(),
            file: "workflows/order-paid.yaml".into(),
            version: "v1".into(),
        }]
    }

    fn channels(&self) -> Vec<LoadedChannel> {
        vec![LoadedChannel { channel: "webhook".into(), interrupts: false, providers: vec![] }]
    }

    fn readiness(&self) -> Readiness {
        let ready = !self.starting.load(Ordering::SeqCst);
        Readiness { queue: ready, plugins: true }
    }
}

/// No provider calls back here.
#[async_trait]
impl Callbacks for Shelf {
    async fn callback(
        &self,
        provider: &ProviderName,
        _inbound: &Inbound,
    ) -> Result<Answered, CallbackFailed> {
        Err(CallbackFailed::NoSuchProvider(provider.clone()))
    }
}

impl Outbox for Shelf {
    fn list(&self) -> Vec<Value> {
        self.captured.lock().expect("no test panicked with it").clone()
    }

    fn clear(&self) {
        self.captured.lock().expect("no test panicked with it").clear();
    }
}

#[async_trait]
impl Accept for Unplanned {
    async fn calendar(&self, query: &CalendarQuery) -> Result<Vec<Foreseen>, StoreError> {
        let planned = self.store.calendar(query).await?;
        Ok(planned.into_iter().map(|planned| Foreseen { planned, later: Vec::new() }).collect())
    }

    async fn accept(
        &self,
        events: Vec<Incoming>,
    ) -> Result<Vec<Result<Answer, Refusal>>, StoreError> {
        let _permit = self.gate.acquire().await.map_err(|_| StoreError::Closed)?;
        let now: Timestamp = self.clock.now();
        let acceptances = events.into_iter().map(|incoming| Acceptance {
            body_hash: incoming.body_hash,
            event: Event {
                id: self.clock.id(),
                tenant: incoming.tenant,
                name: incoming.name,
                actor: incoming.actor,
                data: incoming.data,
                at: incoming.at.unwrap_or(now),
                received_at: now,
                idempotency_key: incoming.idempotency_key,
                depth: 0,
                told: Vec::new(),
                sensitive: false,
            },
            plan: Plan::default(),
            emitter: None,
        });
        let accepted = self.store.accept(acceptances.collect()).await?;
        let answer = |accepted| match accepted {
            Accepted::New { id, .. } => Ok(Answer::Accepted(id)),
            Accepted::Duplicate(id) => Ok(Answer::Duplicate(id)),
            Accepted::Conflict(_) => Err(conflict()),
        };
        Ok(accepted.into_iter().map(answer).collect())
    }
}

fn conflict() -> Refusal {
    let message = "the key was used with another body";
    let error = nuncio::ingest::FieldError::new("/idempotency_key", message);
    Refusal { code: "event.conflict", errors: vec![error] }
}

/// An id that nothing has.
pub fn nobody(clock: &Clock) -> EventId {
    clock.id()
}

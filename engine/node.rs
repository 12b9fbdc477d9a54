//! The composition root: a configuration in, a running node out, and the order in which it stops.
//!
//! ```text
//! store ─▶ channels ─▶ catalog ─▶ relay ─▶ pipeline ─▶ recovery ─▶ jobs ─▶ sources ─▶ HTTP
//! ```

mod channels;
mod faked;
mod neighbours;
mod open_files;
mod reload;
mod roles;
mod seal;
mod serve;
mod several;
mod sources;
mod traces;
mod view;
mod work;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::auth::{AuthError, KeyMaterial, KeyRing, Verifier};
use crate::channel::Channel;
use crate::channel::capture::Capture;
use crate::channel::wasm::{self, LoadError, ProviderError};
use crate::check::{self, Catalog};
use crate::clock::Clock;
use crate::config::{AllowPrivate, Config, Environment, SecretError};
use crate::diagnostic::Diagnostic;
use crate::dispatch::Dispatch;
use crate::egress::{self, Egress};
use crate::pipeline::{Pipeline, Reporters, Rules};
use crate::relay::{self, Relay};
use crate::seal::SealError;
use crate::shared::BadUrl;
use crate::source;
use crate::store::{Installation, Recovered, Store, StoreError};
use crate::telemetry::{Exporting, Metrics};
use serve::Door;
use several::Followed;
use view::{Captured, View};
use work::Work;

pub use channels::known as known_channels;
pub use faked::{Faked, NoManifest, faked};
pub use reload::Reloaded;
pub use roles::{Role, Roles};
pub use sources::outbox_of as outbox;

/// Work still going on at a stop is waited for this long.
const GRACE: Duration = Duration::from_secs(25);

/// Clients are sent away over this time, so that they do not come back all at once.
const SPREAD: Duration = Duration::from_secs(3);

/// What a node is started with.
pub struct Setup {
    pub config: Config,
    pub environment: Environment,
    /// For what may be made anew: compiled plugins.
    pub cache: PathBuf,
    /// Where plugins are compiled: in this process, it keeps what the compiler leaves.
    pub compiler: wasm::Compiler,
    pub listener: TcpListener,
    pub roles: Roles,
    /// A laptop's node: what no configured provider takes goes to the outbox, and files with
    /// errors do not keep it from starting.
    pub dev: bool,
}

/// A running node.
pub struct Node {
    address: SocketAddr,
    pipeline: Arc<Pipeline>,
    store: Arc<dyn Installation>,
    view: Arc<View>,
    hub: Followed,
    work: Work,
    outside: Outside,
    recovered: Recovered,
    problems: Vec<Diagnostic>,
}

/// What others see of a node.
struct Outside {
    serving: JoinHandle<()>,
    stop: CancellationToken,
    exporting: Option<Exporting>,
}

/// Why a node does not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Plugin(LoadError),
    #[error(transparent)]
    Provider(ProviderError),
    #[error("{key} cannot be read")]
    Secret { key: String, source: SecretError },
    #[error(transparent)]
    Redis(#[from] BadUrl),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("sources.outbox.url: {0}")]
    Outbox(#[from] source::outbox::BadUrl),
    #[error("redis.url: {0}")]
    Stream(#[from] source::stream::BadUrl),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("{what} `{}` cannot be read", .path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("egress: {0}")]
    Egress(String),
    #[error("the workflows have errors")]
    Files(Vec<Diagnostic>),
    #[error("the address cannot be listened on")]
    Listen(#[source] std::io::Error),
    #[error("metrics or traces cannot be recorded")]
    Metrics(#[from] crate::telemetry::TelemetryError),
}

impl Node {
    /// Starts everything; when it returns, the node answers requests and works its queue.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let Setup { config, environment, cache, compiler, listener, roles, dev } = setup;
        let clock = Clock::system();
        let exporting = traces::start(&config, &environment, &clock)?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let store = seal::store(&config, &environment, &clock).await?;
        let remembered: Arc<dyn Store> = store.clone();
        let shared = several::shared(&config, &environment, &clock)?;

        let Outlets { dispatch, egress, view, capture, reporters } =
            outlets(&config, &environment, (&cache, compiler), &clock, dev).await?;
        let dispatch = several::dispatch(dispatch, &remembered, &shared, &clock).await;

        let (catalog, problems) = catalog(&config, &view, store.has_key(), dev)?;
        let keys = Arc::new(KeyRing::new(remembered.clone(), clock.clone()));
        let tokens = verifier(&config, &environment, &clock)?;
        let followed = several::hub(&config, &remembered, &shared, &clock);
        let hub = followed.hub.clone();
        let rules = Rules::of(&config);
        let gates = rules.gates.clone();
        let pipeline = Pipeline::new(
            clock.clone(),
            remembered.clone(),
            catalog.clone(),
            dispatch,
            hub.clone(),
            rules,
        );
        let pipeline = Arc::new(pipeline.fetching(Arc::new(egress)).hearing(reporters));
        pipeline.use_catalog(catalog).await?;
        view.follow(&pipeline, store.has_key());
        // What is leased may be another node's, which is alive: then only what is past its time.
        let recovered = pipeline.recover(!store.is_shared()).await?;
        let metrics = Metrics::install()?;
        let work = Work::begin(&config, &environment, roles, &store, &pipeline)?;
        let relay = Relay {
            hub: hub.clone(),
            store: remembered.clone(),
            tokens: tokens.clone(),
            clock: clock.clone(),
            limits: config.relay.clone(),
            server: config.server.clone(),
            epoch: store.epoch(),
            catalog: in_force(&pipeline),
        };
        let parts = api::Parts {
            store: remembered,
            shared,
            pipeline: pipeline.clone(),
            publish: hub.clone(),
            clock: clock.clone(),
            keys,
            tokens,
            server: config.server.clone(),
            time_zone: config.engine.time_zone.clone(),
            gates,
            metrics: Some(metrics.clone()),
            outbox: dev.then(|| Arc::new(Captured(capture)) as Arc<dyn api::Outbox>),
            catalog: view.clone(),
            callbacks: pipeline.clone(),
        };
        let router = routes(roles, parts, relay);
        let door = Door::new(listener, router, &config.server, clock);
        let outside = serve(door, metrics, exporting);
        view.ready();
        let hub = followed;
        Ok(Self { address, pipeline, store, view, hub, work, outside, recovered, problems })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn store(&self) -> &dyn Installation {
        &*self.store
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    /// What the last crash, if there was one, left behind.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// What is wrong with the files that were found at the start.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    /// Unfinished runs that go on with a version that new runs do not begin with.
    pub async fn runs_on_older_versions(&self) -> Result<u64, StoreError> {
        reload::older_runs(&*self.store, &self.pipeline.catalog()).await
    }

    /// Reads the files again. A set with an error is refused whole, and the old one stays.
    pub async fn reload(&self) -> Result<Reloaded, StoreError> {
        reload::reload(&self.pipeline, &self.view, self.store.has_key(), "node").await
    }

    /// Stops in order: no more requests are taken and no more work is claimed, what goes on is
    /// waited for and what was not begun is given back, clients are sent away, the store is closed.
    pub async fn stop(self) {
        self.view.stopping();
        self.pipeline.end_tail();
        self.outside.stop.cancel();
        self.work.stop().await;
        self.hub.close(SPREAD).await;
        let Outside { serving, exporting, .. } = self.outside;
        if tokio::time::timeout(GRACE, serving).await.is_err() {
            tracing::warn!("requests were still going on at the end of the grace");
        }
        self.store.close().await;
        if let Some(exporting) = exporting {
            exporting.stop().await;
        }
    }
}

/// The ways out of a node, as configured.
struct Outlets {
    dispatch: Dispatch,
    egress: Egress,
    view: Arc<View>,
    /// `dev` only: what goes to the outbox instead of out.
    capture: Capture,
    reporters: Reporters,
}

async fn outlets(
    config: &Config,
    environment: &Environment,
    (cache, compiler): (&Path, wasm::Compiler),
    clock: &Clock,
    dev: bool,
) -> Result<Outlets, StartError> {
    let egress = Egress::new(&policy(config)?).map_err(|e| StartError::Egress(e.to_string()))?;
    let timeout = config.engine.attempt_timeout.0;
    let limits = wasm::Limits { wall: timeout, ..Default::default() };
    let host = wasm::Host::new(cache, clock.clone(), egress.clone(), limits, compiler);
    let host = host.map_err(StartError::Plugin)?;
    let (mut installed, about, reporters) = channels::install(config, environment, &host).await?;
    let capture = Capture::default();
    let fallback = dev.then(|| channels::captured(&capture, capture.traits().clone()));
    if dev {
        channels::capture_the_rest(&mut installed, &capture);
    }
    let view = View::new(&installed, about, config.engine.root.clone());
    let dispatch = Dispatch::new(installed, fallback, clock.clone(), timeout);
    Ok(Outlets { dispatch, egress, view, capture, reporters })
}

/// The set of files in force at the start, and what is wrong with them. In `dev` a set with errors
/// gives place to none.
fn catalog(
    config: &Config,
    view: &View,
    has_key: bool,
    dev: bool,
) -> Result<(Arc<Catalog>, Vec<Diagnostic>), StartError> {
    let loaded = seal::protected(check::load(&config.engine.root, &view.traits()), has_key);
    match loaded.catalog {
        Some(catalog) => Ok((catalog, loaded.diagnostics)),
        None if dev => Ok((Arc::default(), loaded.diagnostics)),
        None => Err(StartError::Files(loaded.diagnostics)),
    }
}

/// The relay's look at the files, whenever it asks.
fn in_force(pipeline: &Arc<Pipeline>) -> Box<dyn Fn() -> Arc<Catalog> + Send + Sync> {
    let pipeline = pipeline.clone();
    Box::new(move || pipeline.catalog())
}

/// What a node of these roles answers.
fn routes(roles: Roles, parts: api::Parts, relay: Relay) -> Router {
    let router = if roles.api { api::router(parts) } else { api::operator(parts) };
    if roles.relay { router.merge(relay::router(Arc::new(relay))) } else { router }
}

fn serve(door: Door, metrics: Metrics, exporting: Option<Exporting>) -> Outside {
    let stop = CancellationToken::new();
    let (clock, stopped) = (door.clock().clone(), stop.clone());
    let serving = tokio::spawn(async move {
        tokio::select! {
            () = door.serve(stopped) => {}
            () = metrics.upkeep(&clock) => {}
        }
    });
    Outside { serving, stop, exporting }
}

fn policy(config: &Config) -> Result<egress::Policy, StartError> {
    let ca = match &config.egress.ca {
        Some(path) => Some(read("egress.ca", path)?),
        None => None,
    };
    let allow_private = match &config.egress.allow_private {
        AllowPrivate::All(true) => egress::AllowPrivate::All,
        AllowPrivate::All(false) => egress::AllowPrivate::default(),
        AllowPrivate::Some(hosts) => egress::AllowPrivate::some(hosts)
            .map_err(|error| StartError::Egress(error.to_string()))?,
    };
    Ok(egress::Policy { allow_private, proxy: config.egress.proxy.clone(), ca })
}

fn verifier(
    config: &Config,
    environment: &Environment,
    clock: &Clock,
) -> Result<Arc<Verifier>, StartError> {
    let material = key_material(config, environment)?;
    Ok(Arc::new(Verifier::new(&config.auth, material, clock.clone())?))
}

fn key_material(config: &Config, environment: &Environment) -> Result<KeyMaterial, StartError> {
    if let Some(secret) = &config.auth.secret {
        let text = secret.resolve(environment);
        let text =
            text.map_err(|source| StartError::Secret { key: "auth.secret".into(), source })?;
        return Ok(KeyMaterial::Secret(text));
    }
    match &config.auth.public_key {
        Some(path) => Ok(KeyMaterial::PublicKey(read("auth.public_key", path)?)),
        None => Ok(KeyMaterial::Absent),
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::File { what, path: path.into(), source })
}

//! The HTTP side: the service API of machines, the inbox API of end users' apps, and what an
//! operator's probes ask.
//!
//! Deny by default: every handler of /v1 names the [`Scope`](crate::auth::Scope) it needs, every
//! handler of /api takes a `caller::EndUser`; the test of the OpenAPI document calls each
//! operation without either. Errors are problem documents on /v1 (`problem`) and the inbox's
//! envelope on /api (`envelope`).

mod audit;
mod body;
mod callbacks;
mod caller;
mod catalog;
mod document;
mod edge;
mod envelope;
mod events;
mod explained;
mod inbox;
mod letters;
mod lines;
mod merge;
mod messages;
mod operate;
mod outbox;
mod pace;
mod path;
mod problem;
mod query;
mod runs;
mod rooms;
mod topics;
mod turn;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};
use tokio::sync::Semaphore;

pub use catalog::{
    Catalog, LoadedChannel, LoadedProvider, LoadedWorkflow, Outbox, Readiness, Reload,
};
pub use document::openapi;

use crate::auth::{KeyRing, Verifier};
use crate::channel::Publish;
use crate::clock::Clock;
use crate::config;
use crate::gate::Defaults;
use crate::pipeline::{Accept, Callbacks};
use crate::shared::Shared;
use crate::store::Store;
use crate::telemetry::Metrics;
use pace::Pace;
use turn::Turns;

/// KiB of events between their reading and their commit, over all requests: past it, 429.
const IN_FLIGHT_KIB: usize = 64 << 10;

/// What the API stands on.
pub struct Parts {
    pub store: Arc<dyn Store>,
    /// Its state is shown.
    pub shared: Shared,
    pub pipeline: Arc<dyn Accept>,
    pub publish: Arc<dyn Publish>,
    pub clock: Clock,
    pub keys: Arc<KeyRing>,
    pub tokens: Arc<Verifier>,
    pub server: config::Server,
    /// The zone of users that name none: `engine.time_zone`.
    pub time_zone: String,
    /// What preferences follow where a user said nothing.
    pub gates: Arc<Defaults>,
    pub metrics: Option<Metrics>,
    /// What the capture provider holds; `dev` only.
    pub outbox: Option<Arc<dyn Outbox>>,
    pub catalog: Arc<dyn Catalog>,
    /// Who hears providers.
    pub callbacks: Arc<dyn Callbacks>,
}

/// The parts, and what the handlers share.
pub struct State {
    parts: Parts,
    pace: Pace,
    turns: Turns,
    intake: Arc<Semaphore>,
    callbacks_at_once: Semaphore,
}

impl std::ops::Deref for State {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// How a handler is given the state.
type Api = axum::extract::State<Arc<State>>;

/// All routes but the relay's. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`:
/// /metrics asks who calls.
pub fn router(parts: Parts) -> Router {
    let origins = edge::cors(&parts.server);
    // Before CORS, which answers a browser's OPTIONS in the place of this fallback.
    let inbox =
        inbox::routes().method_not_allowed_fallback(edge::method_not_allowed).layer(origins);
    routed(service().merge(operations()).merge(inbox), parts)
}

/// What the operator of a node that takes no requests asks of it still. Serve it as [`router`].
pub fn operator(parts: Parts) -> Router {
    routed(operations(), parts)
}

fn routed(routes: Router<Arc<State>>, parts: Parts) -> Router {
    let pace = Pace::new(&parts.server, parts.clock.clone());
    let intake = Arc::new(Semaphore::new(IN_FLIGHT_KIB));
    let state = State {
        parts,
        pace,
        turns: Turns::new(),
        intake,
        callbacks_at_once: Semaphore::new(callbacks::AT_ONCE),
    };
    edge::wrap(routes).with_state(Arc::new(state))
}

fn service() -> Router<Arc<State>> {
    Router::new()
        .route("/v1/events", post(events::create))
        .route("/v1/events/{id}", get(events::show))
        .route("/v1/events/{id}/explain", get(explained::event))
        .route("/v1/users/bulk", post(users::bulk))
        .route(
            "/v1/users/{id}",
            put(users::replace).patch(users::change).get(users::show).delete(users::erase),
        )
        .route(
            "/v1/topics/{topic}/subscribers/{user}",
            put(topics::subscribe).delete(topics::unsubscribe),
        )
        .route("/v1/topics/{topic}/subscribers", get(topics::subscribers))
        .route("/v1/messages", get(messages::list))
        .route("/v1/messages/{id}", get(messages::show))
        .route("/v1/messages/{id}/explain", get(explained::message))
        .route("/v1/messages/{id}/retry", post(messages::retry))
        .route("/v1/messages/{id}/cancel", post(messages::cancel))
        .route("/v1/dead-letters", get(letters::list))
        .route("/v1/dead-letters/redrive", post(letters::redrive))
        .route("/v1/audit", get(audit::list))
        .route("/v1/callbacks/{provider}", post(callbacks::receive))
        .route("/v1/runs/cancel", post(runs::cancel))
        .route("/v1/calendar", get(runs::calendar))
        .route("/v1/relay/publish", post(rooms::relay))
        .route("/v1/rooms/{room}/members/{user}", put(rooms::join).delete(rooms::leave))
        .route("/v1/rooms/{room}/messages", post(rooms::tell))
        .route("/v1/workflows", get(catalog::workflows))
        .route("/v1/workflows/reload", post(catalog::reload))
        .route("/v1/channels", get(catalog::channels))
}

fn operations() -> Router<Arc<State>> {
    Router::new()
        .route("/dev/outbox", get(outbox::show).delete(outbox::clear))
        .route("/healthz", get(operate::live))
        .route("/readyz", get(operate::ready))
        .route("/metrics", get(operate::metrics))
        .route("/openapi.json", get(document::json))
        .route("/docs", get(document::page))
}

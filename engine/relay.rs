//! The relay: what happened in a user's inbox, pushed over WebSocket connections
//! (docs/reference/relay.md).
//!
//! [`Hub`] knows who is connected and hands frames out, encoded once; a `session` is one
//! connection, with a bounded buffer between the two. The store is the truth: whatever a
//! connection missed is read from there, by `seq`.

mod beyond;
mod buffer;
mod follow;
mod handshake;
mod hub;
mod line;
mod lines;
mod place;
mod position;
mod protocol;
mod roster;
mod seat;
mod session;
mod word;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

pub use follow::Following;
pub use hub::Hub;

use crate::auth::Verifier;
use crate::check::Catalog;
use crate::clock::Clock;
use crate::config;
use crate::store::Store;

/// What the relay stands on.
pub struct Relay {
    /// The same that the pipeline publishes to.
    pub hub: Arc<Hub>,
    pub store: Arc<dyn Store>,
    pub tokens: Arc<Verifier>,
    pub clock: Clock,
    pub limits: config::Relay,
    pub server: config::Server,
    /// Names the history that `seq` counts in: another one after the store was replaced. The same
    /// across restarts on the same store, so that clients can resume.
    pub epoch: Arc<str>,
    /// The files in force: they declare routes.
    pub catalog: Box<dyn Fn() -> Arc<Catalog> + Send + Sync>,
}

/// The WebSocket routes. Serve them with `into_make_service_with_connect_info::<SocketAddr>()`:
/// without it, no limit by address holds.
pub fn router(relay: Arc<Relay>) -> Router {
    Router::new()
        .route("/ws/notifications/{user_id}", get(handshake::inbox))
        .route("/ws/notifications/{user_id}/", get(handshake::inbox))
        .route("/ws/{*path}", get(handshake::declared))
        .with_state(relay)
}

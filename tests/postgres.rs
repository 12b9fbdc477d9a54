//! What holds among nodes that share a PostgreSQL database; what each of them does is in the
//! conformance suite.

mod job;
mod people;
mod queue;
mod server;
mod streams;
mod together;
mod waits;

use std::sync::Arc;

use nuncio::clock::Clock;
use nuncio::store::Installation;
use nuncio::store::postgres::PostgresStore;

use crate::conformance::store::scene::{Scene, clock, sealer};
use crate::harness::postgres::Postgres;

/// Two nodes on one fresh database, and on one clock.
async fn nodes() -> (Scene, Scene) {
    nodes_of(&Postgres::shared().await.database().await).await
}

async fn nodes_of(url: &str) -> (Scene, Scene) {
    let clock = clock();
    let node = async || {
        let store = PostgresStore::open(url, clock.clone()).await.expect("a database");
        Scene::new(store.with_sealer(sealer(&clock)), clock.clone(), ())
    };
    (node().await, node().await)
}

/// A node's store, as it opens it.
async fn installation(url: &str, clock: Clock) -> Arc<dyn Installation> {
    let sealer = sealer(&clock);
    nuncio::store::open(url, clock, sealer).await.expect("a database")
}

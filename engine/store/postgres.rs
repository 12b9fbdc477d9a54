//! The store of many nodes: a PostgreSQL database, in its schema `nuncio`.
//!
//! Every node writes over a few connections, each gathering what comes while its last transaction
//! ran (`writer`). What one writer gives SQLite for nothing is here in the rows: unique keys decide
//! races, a claim skips what is locked, the row of a stream's head numbers its frames, and
//! advisory locks in sorted order guard what is counted (`rows::lock`).

mod audit;
mod awaited;
mod breakers;
mod calendar;
mod claims;
mod collections;
mod connect;
mod departures;
mod devices;
mod erase;
mod events;
mod frames;
mod inbox;
mod keys;
mod ledger;
mod letters;
mod locks;
mod messages;
mod notice;
mod people;
mod plan;
mod queue;
mod recover;
mod reports;
mod retention;
mod rooms;
mod rows;
mod stops;
mod streams;
mod topics;
mod users;
mod waits;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use async_trait::async_trait;
use sqlx::postgres::PgPool;

use super::{Installation, QueueName, Result, decode, sealed, unavailable};
use crate::clock::Clock;
use crate::seal::Sealer;
use notice::Notices;
use people::People;
use sealed::Vault;
use writer::Writer;

/// In the order that [`decode::entry`] reads.
const ENTRY: &str = "id, event, user_id, seq, category, title, message, priority, metadata, \
     created_at, read_at, sensitive, public_title";

/// Connections that read beside the writers.
const READERS: u32 = 4;

/// A PostgreSQL database, open. Clones share it.
#[derive(Clone)]
pub struct PostgresStore {
    readers: PgPool,
    writer: Writer,
    people: People,
    clock: Clock,
    vault: Vault,
    epoch: Arc<str>,
    notices: Arc<Notices>,
    /// The lane that the next claim begins with.
    turn: Arc<AtomicU8>,
}

impl PostgresStore {
    /// Connects to `postgres://USER@HOST/DATABASE` and brings the tables up to date. Nodes that
    /// start at once wait for each other.
    ///
    /// While the server is away, calls answer
    /// [`StoreError::Unavailable`](super::StoreError::Unavailable) within about a second; once it
    /// is back, they succeed again.
    ///
    /// # Errors
    /// The URL is none, the server cannot be reached, or a migration fails: then nothing is
    /// changed.
    pub async fn open(url: &str, clock: Clock) -> Result<Self> {
        let options = connect::options(url)?;
        let epoch = connect::prepare(&options, &clock).await?;
        let readers = connect::pool(&options, READERS);
        let vault = Vault::without_keys(clock.clone());
        Ok(Self {
            people: People::start(readers.clone(), vault.clone()),
            readers,
            writer: writer::start(&options),
            notices: Arc::new(Notices::new(&options, clock.id())),
            vault,
            clock,
            epoch: epoch.into(),
            turn: Arc::default(),
        })
    }

    /// The same store with keys: without, what is sensitive can be neither written nor read.
    #[must_use]
    pub fn with_sealer(self, sealer: Sealer) -> Self {
        let vault = Vault::new(sealer);
        Self { people: People::start(self.readers.clone(), vault.clone()), vault, ..self }
    }
}

#[async_trait]
impl Installation for PostgresStore {
    fn epoch(&self) -> Arc<str> {
        self.epoch.clone()
    }

    fn has_key(&self) -> bool {
        self.vault.has_key()
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn tell(&self, queues: &[QueueName]) -> Result<()> {
        self.notices.tell(&self.readers, queues).await
    }

    async fn told(&self) -> Vec<QueueName> {
        self.notices.told().await
    }

    async fn close(&self) {
        self.writer.close().await;
        self.notices.close().await;
        self.readers.close().await;
    }
}

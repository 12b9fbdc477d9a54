use std::sync::Arc;

use async_trait::async_trait;

use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use super::{QueueName, Result, Store, StoreError};
use crate::clock::Clock;
use crate::seal::Sealer;

/// A store as a node opened it, with what it is beside its nouns.
#[async_trait]
pub trait Installation: Store {
    /// Names this store's streams: the same over restarts and for all its nodes, another for
    /// another store.
    fn epoch(&self) -> Arc<str>;

    /// Whether what is sensitive can be written.
    fn has_key(&self) -> bool;

    /// Whether other nodes may be at work on it: what is leased is then somebody's, until the
    /// lease ends.
    fn is_shared(&self) -> bool;

    /// Tells the other nodes that there may be work in `queues`. A hint, which may get lost.
    ///
    /// # Errors
    /// It could not be told; nothing depends on it.
    async fn tell(&self, queues: &[QueueName]) -> Result<()>;

    /// Returns once another node told something, or may have unheard; never, where there is none.
    /// One listens at a time.
    async fn told(&self) -> Vec<QueueName>;

    /// Writes what is still to be written and closes everything. Later calls answer
    /// [`StoreError::Closed`].
    async fn close(&self);
}

/// Opens the store of `url`, a `sqlite:PATH` or a `postgres://USER@HOST/DATABASE`, and brings its
/// tables up to date.
///
/// # Errors
/// The URL is none of these, the store cannot be opened, or a migration fails: then nothing is
/// changed.
pub async fn open(url: &str, clock: Clock, sealer: Sealer) -> Result<Arc<dyn Installation>> {
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    match scheme {
        "sqlite" => Ok(Arc::new(SqliteStore::open(url, clock).await?.with_sealer(sealer))),
        "postgres" | "postgresql" => {
            Ok(Arc::new(PostgresStore::open(url, clock).await?.with_sealer(sealer)))
        }
        // Not the whole: what is no URL may hold a password all the same.
        other => Err(StoreError::Scheme(other.to_owned())),
    }
}

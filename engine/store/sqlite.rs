//! The store of one node: a SQLite file in WAL mode with `synchronous=FULL`.
//!
//! One connection writes, a few read. Concurrent writes share a transaction (`writer`): that is
//! where the throughput comes from, since a commit costs the same for one row as for a thousand.

mod audit;
mod awaited;
mod breakers;
mod calendar;
mod claims;
mod collections;
mod departures;
mod devices;
mod erase;
mod events;
mod frames;
mod inbox;
mod keys;
mod ledger;
mod letters;
mod messages;
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

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use super::{Installation, QueueName, Result, decode, sealed, unavailable};
use crate::clock::Clock;
use crate::seal::Sealer;
use people::People;
use sealed::Vault;
use writer::Writer;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// How long one waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// Connections that read beside the writer.
const READERS: u32 = 3;
/// Of the connection that writes. As measured (docs/decisions/0001, 0050): WAL, FULL, no mmap, a
/// checkpoint every 4,000 pages. The cache's size is in KiB, with a minus.
const WRITING: &str = "PRAGMA journal_mode = WAL;
     PRAGMA synchronous = FULL;
     PRAGMA foreign_keys = OFF;
     PRAGMA cache_size = -32768;
     PRAGMA temp_store = MEMORY;
     PRAGMA wal_autocheckpoint = 4000;
     PRAGMA journal_size_limit = 67108864;";
/// Of each that reads: what it does not find there the system most often has.
const READER_CACHE: &str = "-4096";
/// In the order that [`decode::entry`] reads.
const ENTRY: &str = "id, event, user, seq, category, title, message, priority, metadata, \
     created_at, read_at, sensitive, public_title";
/// Prepared statements kept by a connection: more than there are.
const STATEMENTS: usize = 256;

/// A SQLite database file, open. Clones share it.
#[derive(Clone)]
pub struct SqliteStore {
    readers: SqlitePool,
    writer: Writer,
    people: Arc<People>,
    clock: Clock,
    vault: Vault,
    epoch: Arc<str>,
    /// The lane that the next claim begins with.
    turn: Arc<AtomicU8>,
}

impl SqliteStore {
    /// Opens (and makes, where missing) the file of `sqlite:PATH` and brings its tables up to
    /// date. One process at a time works the queue; others may read, and write rarely.
    ///
    /// # Errors
    /// The URL is none, the file cannot be opened, or a migration fails: then nothing is changed.
    pub async fn open(url: &str, clock: Clock) -> Result<Self> {
        let options = options(url)?;
        make_private(options.get_filename());
        let mut first = options.connect().await?;
        MIGRATIONS.run(&mut first).await.map_err(unavailable)?;
        let epoch = epoch(&mut first, &clock).await?;
        first.close().await?;
        let writing = writing(options.get_filename())?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true).pragma("cache_size", READER_CACHE))
            .await?;
        Ok(Self {
            readers,
            writer: writer::start(writing).map_err(unavailable)?,
            people: Arc::new(People::new()),
            vault: Vault::without_keys(clock.clone()),
            clock,
            epoch: epoch.into(),
            turn: Arc::default(),
        })
    }

    /// The same store with keys: without, what is sensitive can be neither written nor read.
    #[must_use]
    pub fn with_sealer(self, sealer: Sealer) -> Self {
        Self { vault: Vault::new(sealer), ..self }
    }
}

#[async_trait]
impl Installation for SqliteStore {
    fn epoch(&self) -> Arc<str> {
        self.epoch.clone()
    }

    fn has_key(&self) -> bool {
        self.vault.has_key()
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn tell(&self, _: &[QueueName]) -> Result<()> {
        Ok(())
    }

    async fn told(&self) -> Vec<QueueName> {
        std::future::pending().await
    }

    async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }
}

fn options(url: &str) -> Result<SqliteConnectOptions> {
    Ok(SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .statement_cache_capacity(STATEMENTS)
        .command_buffer_size(64)
        .row_buffer_size(512)
        .foreign_keys(false)
        .page_size(4096)
        .pragma("temp_store", "MEMORY"))
}

fn writing(path: &Path) -> Result<rusqlite::Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch(WRITING)?;
    // Without it a statement whose plan might depend on a value is planned again for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Makes a new database file its owner's alone; SQLite gives the files beside it the same mode.
/// Whatever keeps this from working is told by the opening that follows.
fn make_private(path: &Path) {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    drop(file);
}

async fn epoch(connection: &mut sqlx::SqliteConnection, clock: &Clock) -> Result<String> {
    let fresh: uuid::Uuid = clock.id();
    sqlx::query("INSERT OR IGNORE INTO installation (only, epoch) VALUES (1, ?)")
        .bind(fresh.simple().to_string())
        .execute(&mut *connection)
        .await?;
    Ok(sqlx::query_scalar("SELECT epoch FROM installation").fetch_one(connection).await?)
}

//! Connections, and the tables that they find.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::{Result, unavailable};
use crate::clock::Clock;

/// How long a call waits for a connection before it answers that there is none.
pub(super) const CONNECTING: Duration = Duration::from_secs(1);
/// Prepared statements kept by a connection.
const STATEMENTS: usize = 256;
/// Held while the tables are made: the schema cannot yet hold a lock of its own.
const MIGRATING: i64 = 0x6e75_6e63_696f;

/// A statement ends after 10 s, a wait for a row's lock after 5 s; a node that stands still in the
/// middle of a transaction gives its locks back after 10 s.
pub(super) fn options(url: &str) -> Result<PgConnectOptions> {
    Ok(plain(url)?.options([
        ("statement_timeout", "10s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
        // Every statement has its index; a plan made while a table was small must not outlive it.
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
    ]))
}

fn plain(url: &str) -> Result<PgConnectOptions> {
    Ok(PgConnectOptions::from_str(url)?
        .application_name("nuncio")
        .statement_cache_capacity(STATEMENTS)
        .options([("search_path", "nuncio")])
        .disable_statement_logging())
}

pub(super) fn pool(options: &PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECTING)
        .connect_lazy_with(options.clone())
}

/// A connection, or an error within [`CONNECTING`].
pub(super) async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let connecting = tokio::time::timeout(CONNECTING, options.connect()).await;
    connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Makes the schema, brings its tables up to date, and answers whose they are. One node at a time:
/// the lock lasts as long as the connection.
pub(super) async fn prepare(options: &PgConnectOptions, clock: &Clock) -> Result<String> {
    // A migration may take longer than a statement of the daily work.
    let options = options.clone().options([("statement_timeout", "0"), ("lock_timeout", "0")]);
    let mut connection = connect(&options).await?;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(MIGRATING).execute(&mut connection).await?;
    sqlx::query("CREATE SCHEMA IF NOT EXISTS nuncio").execute(&mut connection).await?;
    let mut migrations = sqlx::migrate!("migrations/postgres");
    // Of a newer version, beside which this one works for a while.
    migrations.set_ignore_missing(true);
    migrations.run(&mut connection).await.map_err(unavailable)?;
    let fresh: uuid::Uuid = clock.id();
    sqlx::query("INSERT INTO installation (epoch) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(fresh.simple().to_string())
        .execute(&mut connection)
        .await?;
    let epoch = sqlx::query_scalar("SELECT epoch FROM installation").fetch_one(&mut connection);
    let epoch = epoch.await?;
    connection.close().await?;
    Ok(epoch)
}

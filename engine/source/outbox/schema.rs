use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};

use super::{Settings, within};
use crate::source::SourceError;

/// The store's own migration, which names everything in full and makes what is missing.
const TABLES: &str = include_str!("../../../migrations/postgres/0009_outbox.sql");

/// Of two nodes that start at once, one makes the tables.
const LOCK: i64 = 0x6e75_6e63_696f_0009;

/// Makes the outbox in a database that has none; the store's own has it by its migrations.
///
/// # Errors
/// The database is away, or its role may not make a schema.
pub async fn install(settings: &Settings) -> Result<(), SourceError> {
    let mut connection = within(settings.options.connect()).await?;
    make(&mut connection).await?;
    within(connection.close()).await
}

pub(super) async fn make(connection: &mut PgConnection) -> Result<(), SourceError> {
    let is_there = sqlx::query_scalar(
        "SELECT to_regclass('nuncio.outbox') IS NOT NULL
            AND to_regprocedure('nuncio.unwatch(regclass, text)') IS NOT NULL",
    );
    if within(is_there.fetch_one(&mut *connection)).await? {
        return Ok(());
    }
    within(async {
        let mut transaction = connection.begin().await?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
        lock.execute(&mut *transaction).await?;
        sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
        transaction.commit().await
    })
    .await
}

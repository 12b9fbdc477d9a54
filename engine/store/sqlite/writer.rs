//! The one connection that writes.

use std::time::Instant;

use sqlx::{Connection, Sqlite, SqliteConnection};

use super::streams::Streams;
use super::{claims, departures, events, queue};
use crate::store::StoreError;
use crate::store::writer::{Calls, Tick, Written, items};
use crate::telemetry::RowsCommitted;
use sqlx::sqlite::SqliteRow;

pub(super) type Writer = crate::store::writer::Writer<Sqlite>;

/// Writes what is sent to the writer that it answers, from now on.
pub(super) fn start(connection: SqliteConnection) -> Writer {
    let (writer, calls) = Writer::new();
    tokio::spawn(write(connection, calls));
    writer
}

async fn write(mut connection: SqliteConnection, mut calls: Calls<Sqlite>) {
    let mut streams = Streams::default();
    let mut closing = None;
    while closing.is_none() {
        let Some(mut tick) = Tick::next(&mut calls).await else { break };
        closing = tick.closing.take();
        if tick.calls > 0 {
            commit(tick, &mut connection, &mut streams).await;
        }
    }
    if let Err(error) = connection.close().await {
        tracing::error!(%error, "the database did not close cleanly");
    }
    if let Some(closed) = closing {
        let _ = closed.send(());
    }
}

/// Writes and answers. If the transaction fails, each call is tried alone, so that one that
/// cannot be written fails none of its neighbours.
async fn commit(mut tick: Tick<Sqlite>, connection: &mut SqliteConnection, streams: &mut Streams) {
    let began = Instant::now();
    match transact(&mut tick, connection, streams).await {
        Ok(written) => {
            let (rows, took) = (tick.rows, began.elapsed());
            RowsCommitted { store: "sqlite", rows, took }.emit();
            tick.answer(written);
        }
        Err(error) if tick.calls <= 1 => {
            streams.forget();
            fail(tick, error);
        }
        Err(error) => {
            streams.forget();
            tracing::warn!(%error, calls = tick.calls, "a shared transaction failed; its calls are written one by one");
            for mut single in tick.split() {
                match transact(&mut single, connection, streams).await {
                    Ok(written) => single.answer(written),
                    Err(error) => {
                        streams.forget();
                        fail(single, error);
                    }
                }
            }
        }
    }
}

/// The transaction is ours, not the driver's: on a full disk SQLite rolls back by itself, and a
/// driver that counts its own transactions would never begin another.
async fn transact(
    tick: &mut Tick<Sqlite>,
    connection: &mut SqliteConnection,
    streams: &mut Streams,
) -> sqlx::Result<Written<SqliteRow>> {
    let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await;
    let written = match begun {
        Ok(_) => write_rows(tick, connection, streams).await,
        Err(error) => Err(error),
    };
    let committed = match written {
        Ok(written) => sqlx::query("COMMIT").execute(&mut *connection).await.map(|_| written),
        Err(error) => Err(error),
    };
    if committed.is_err() {
        // Where nothing is left to roll back, it says so.
        let _ = sqlx::query("ROLLBACK").execute(connection).await;
    }
    committed
}

async fn write_rows(
    tick: &mut Tick<Sqlite>,
    connection: &mut SqliteConnection,
    streams: &mut Streams,
) -> sqlx::Result<Written<SqliteRow>> {
    for other in &mut tick.other {
        (other.run)(connection).await?;
    }
    if !tick.other.is_empty() {
        // A rare operation may have moved a stream's head (a mark, an erasure).
        streams.forget();
    }
    let settle = queue::settle(connection, streams, &items(&tick.settle)).await?;
    let depart = departures::depart(connection, &items(&tick.depart)).await?;
    let planned = queue::planned(connection, streams, &items(&tick.planned)).await?;
    let advanced = queue::advanced(connection, streams, &items(&tick.advanced)).await?;
    let accept = events::accept(connection, streams, &items(&tick.accept)).await?;
    let mut claim = Vec::with_capacity(tick.claim.len());
    for claiming in &tick.claim {
        claim.push(claims::claim(connection, &claiming.call).await?);
    }
    Ok(Written { accept, depart, settle, planned, advanced, claim })
}

/// Only for a tick of one call: an error cannot be given to two.
fn fail(tick: Tick<Sqlite>, error: sqlx::Error) {
    let mut error = Some(StoreError::from(error));
    tick.fail(|| error.take().unwrap_or(StoreError::Closed));
}

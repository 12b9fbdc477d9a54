//! The one connection that writes, on a thread of its own: a transaction is some dozens of
//! statements, and none of them waits for another task (docs/decisions/0051).

use std::thread;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::claims::Claimed;
use super::rows::Statements;
use super::streams::Streams;
use super::{claims, departures, events, queue};
use crate::store::writer::{Answered, Base, Call, Calls, Tick, Written, items};
use crate::store::{Result, StoreError};
use crate::telemetry::RowsCommitted;

pub(super) type Writer = crate::store::writer::Writer<Sqlite>;

type Operation = dyn FnMut(&Connection) -> rusqlite::Result<()> + Send;

pub(super) enum Sqlite {}

impl Base for Sqlite {
    type Claimed = Claimed;
    type Other = Other;
}

/// Anything rare: an operation of its own in the shared transaction.
pub(super) struct Other {
    run: Box<Operation>,
    done: Box<dyn FnOnce(Result<()>) + Send>,
}

impl Answered for Other {
    fn answer(self, written: Result<()>) {
        (self.done)(written);
    }
}

impl Writer {
    /// Runs `operation` in the next transaction. It may be run again, if the transaction that it
    /// shared was rolled back for another's sake.
    pub async fn other<T, F>(&self, mut operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (outcome, outcomes) = std::sync::mpsc::channel();
        let run = Box::new(move |connection: &Connection| {
            let _ = outcome.send(operation(connection)?);
            Ok(())
        });
        let done = Box::new(move |committed: Result<()>| {
            // Of several runs the last is the one that was committed.
            let result =
                committed.and_then(|()| outcomes.try_iter().last().ok_or(StoreError::Closed));
            let _ = reply.send(result);
        });
        self.send(Call::Other(Other { run, done })).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// Writes what is sent to the writer that it answers, from now on.
///
/// # Errors
/// The system has no thread to give.
pub(super) fn start(connection: Connection) -> std::io::Result<Writer> {
    let (writer, calls) = Writer::new();
    thread::Builder::new().name("sqlite-writer".into()).spawn(|| write(connection, calls))?;
    Ok(writer)
}

fn write(connection: Connection, mut calls: Calls<Sqlite>) {
    let mut streams = Streams::default();
    let mut closing = None;
    while closing.is_none() {
        let Some(mut tick) = Tick::next_blocking(&mut calls) else { break };
        closing = tick.closing.take();
        if tick.calls > 0 {
            commit(tick, &connection, &mut streams);
        }
    }
    if let Err((_, error)) = connection.close() {
        tracing::error!(%error, "the database did not close cleanly");
    }
    if let Some(closed) = closing {
        let _ = closed.send(());
    }
}

/// Writes and answers. If the transaction fails, each call is tried alone, so that one that
/// cannot be written fails none of its neighbours.
fn commit(mut tick: Tick<Sqlite>, connection: &Connection, streams: &mut Streams) {
    let began = Instant::now();
    match transact(&mut tick, connection, streams) {
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
                match transact(&mut single, connection, streams) {
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

fn transact(
    tick: &mut Tick<Sqlite>,
    connection: &Connection,
    streams: &mut Streams,
) -> rusqlite::Result<Written<Claimed>> {
    let written = connection
        .run("BEGIN IMMEDIATE", ())
        .and_then(|_| write_rows(tick, connection, streams))
        .and_then(|written| connection.run("COMMIT", ()).map(|_| written));
    if written.is_err() {
        // Also where it did not begin: a transaction that could not be ended stands in the way. On
        // a full disk SQLite has rolled back by itself; where nothing is left to, it says so.
        let _ = connection.run("ROLLBACK", ());
    }
    written
}

fn write_rows(
    tick: &mut Tick<Sqlite>,
    connection: &Connection,
    streams: &mut Streams,
) -> rusqlite::Result<Written<Claimed>> {
    for other in &mut tick.other {
        (other.run)(connection)?;
    }
    if !tick.other.is_empty() {
        // A rare operation may have moved a stream's head (a mark, an erasure).
        streams.forget();
    }
    let settle = queue::settle(connection, streams, &items(&tick.settle))?;
    let depart = departures::depart(connection, &items(&tick.depart))?;
    let planned = queue::planned(connection, streams, &items(&tick.planned))?;
    let advanced = queue::advanced(connection, streams, &items(&tick.advanced))?;
    let accept = events::accept(connection, streams, &items(&tick.accept))?;
    let claims = tick.claim.iter().map(|claiming| claims::claim(connection, &claiming.call));
    let claim = claims.collect::<rusqlite::Result<_>>()?;
    Ok(Written { accept, depart, settle, planned, advanced, claim })
}

/// Only for a tick of one call: an error cannot be given to two.
fn fail(tick: Tick<Sqlite>, error: rusqlite::Error) {
    let mut error = Some(StoreError::from(error));
    tick.fail(|| error.take().unwrap_or(StoreError::Closed));
}

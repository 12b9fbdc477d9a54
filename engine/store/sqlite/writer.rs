//! Group commit: one connection, one transaction for all that came while the last one was
//! written.
//!
//! There is no timer in it. Under load a commit gathers what arrived during the one before; alone,
//! a call is written at once.

use std::time::Instant;

use futures_util::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::super::{
    Acceptance, Accepted, Departed, Departure, Progress, Result, Settlement, StoreError,
};
use super::queue::{ClaimCall, ClaimedRows};
use super::streams::Streams;
use super::{claims, events, queue};
use crate::model::{EventId, Frame, RunId};
use crate::telemetry::RowsCommitted;

/// Calls waiting for the writer; a caller past this waits for a place.
const WAITING: usize = 8192;
/// Rows of one transaction, roughly: bounds how long a single call can wait for its commit.
const ROWS: usize = 4096;

/// The handle of the writing task.
#[derive(Clone)]
pub(super) struct Writer {
    calls: mpsc::Sender<Call>,
}

/// One call of the store. Those with many items are merged with their like.
pub(super) enum Call {
    Accept(Many<Acceptance, Accepted>),
    Depart(Many<Departure, Departed>),
    Settle(Many<Settlement, Option<Vec<Frame>>>),
    Planned(Many<Progress<EventId>, Option<Vec<Frame>>>),
    Advanced(Many<Progress<RunId>, Option<Vec<Frame>>>),
    Claim(ClaimCall, oneshot::Sender<Result<ClaimedRows>>),
    Other(Other),
    Close(oneshot::Sender<()>),
}

/// Items in, as many answers out.
pub(super) struct Many<In, Out> {
    items: Vec<In>,
    reply: oneshot::Sender<Result<Vec<Out>>>,
}

type Operation =
    Box<dyn for<'c> FnMut(&'c mut SqliteConnection) -> BoxFuture<'c, sqlx::Result<()>> + Send>;

/// Anything rare: an operation of its own in the shared transaction.
pub(super) struct Other {
    run: Operation,
    done: Box<dyn FnOnce(Result<()>) + Send>,
}

/// What one transaction writes.
#[derive(Default)]
struct Tick {
    accept: Vec<Many<Acceptance, Accepted>>,
    depart: Vec<Many<Departure, Departed>>,
    settle: Vec<Many<Settlement, Option<Vec<Frame>>>>,
    planned: Vec<Many<Progress<EventId>, Option<Vec<Frame>>>>,
    advanced: Vec<Many<Progress<RunId>, Option<Vec<Frame>>>>,
    claim: Vec<(ClaimCall, oneshot::Sender<Result<ClaimedRows>>)>,
    other: Vec<Other>,
    rows: usize,
    calls: usize,
}

/// The answers of a committed tick, in the order of its calls.
struct Written {
    accept: Vec<Accepted>,
    depart: Vec<Departed>,
    settle: Vec<Option<Vec<Frame>>>,
    planned: Vec<Option<Vec<Frame>>>,
    advanced: Vec<Option<Vec<Frame>>>,
    claim: Vec<ClaimedRows>,
}

impl Writer {
    pub fn start(connection: SqliteConnection) -> Self {
        let (calls, receiver) = mpsc::channel(WAITING);
        tokio::spawn(write(connection, receiver));
        Self { calls }
    }

    /// Sends `items` with the next transaction and waits for its commit.
    pub async fn many<In, Out>(
        &self,
        call: fn(Many<In, Out>) -> Call,
        items: Vec<In>,
    ) -> Result<Vec<Out>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.send(call(Many { items, reply })).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub async fn claim(&self, claim: ClaimCall) -> Result<ClaimedRows> {
        let (reply, answer) = oneshot::channel();
        self.send(Call::Claim(claim, reply)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `operation` in the next transaction. It may be run again, if the transaction that it
    /// shared was rolled back for another's sake.
    pub async fn other<T, F>(&self, mut operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnMut(&'c mut SqliteConnection) -> BoxFuture<'c, sqlx::Result<T>>
            + Send
            + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (outcome, outcomes) = std::sync::mpsc::channel();
        let run: Operation = Box::new(move |connection| {
            let outcome = outcome.clone();
            let running = operation(connection);
            Box::pin(async move {
                let _ = outcome.send(running.await?);
                Ok(())
            })
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

    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.calls.send(Call::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn send(&self, call: Call) -> Result<()> {
        self.calls.send(call).await.map_err(|_| StoreError::Closed)
    }
}

async fn write(mut connection: SqliteConnection, mut calls: mpsc::Receiver<Call>) {
    let mut streams = Streams::default();
    let mut closing = None;
    while closing.is_none() {
        let Some(first) = calls.recv().await else { break };
        let mut tick = Tick::default();
        closing = tick.add(first);
        while closing.is_none() && tick.rows < ROWS {
            let Ok(next) = calls.try_recv() else { break };
            closing = tick.add(next);
        }
        tick.write(&mut connection, &mut streams).await;
    }
    if let Err(error) = connection.close().await {
        tracing::error!(%error, "the database did not close cleanly");
    }
    if let Some(closed) = closing {
        let _ = closed.send(());
    }
}

impl Tick {
    /// Takes a call in; answers whom to tell if the call asks to close.
    fn add(&mut self, call: Call) -> Option<oneshot::Sender<()>> {
        self.calls += 1;
        self.rows += match call {
            Call::Accept(many) => push(&mut self.accept, many),
            Call::Depart(many) => push(&mut self.depart, many),
            Call::Settle(many) => push(&mut self.settle, many),
            Call::Planned(many) => push(&mut self.planned, many),
            Call::Advanced(many) => push(&mut self.advanced, many),
            Call::Claim(claim, reply) => {
                let limit = claim.limit();
                self.claim.push((claim, reply));
                limit
            }
            Call::Other(other) => {
                self.other.push(other);
                1
            }
            Call::Close(closed) => return Some(closed),
        };
        None
    }

    /// Writes and answers. If the transaction fails, each call is tried alone, so that one that
    /// cannot be written fails none of its neighbours.
    async fn write(mut self, connection: &mut SqliteConnection, streams: &mut Streams) {
        let began = Instant::now();
        match self.transact(connection, streams).await {
            Ok(written) => {
                let (rows, took) = (self.rows, began.elapsed());
                RowsCommitted { store: "sqlite", rows, took }.emit();
                self.answer(written);
            }
            Err(error) if self.calls <= 1 => {
                streams.forget();
                self.fail(error);
            }
            Err(error) => {
                streams.forget();
                tracing::warn!(%error, calls = self.calls, "a shared transaction failed; its calls are written one by one");
                for mut single in self.split() {
                    match single.transact(connection, streams).await {
                        Ok(written) => single.answer(written),
                        Err(error) => {
                            streams.forget();
                            single.fail(error);
                        }
                    }
                }
            }
        }
    }

    /// The transaction is ours, not the driver's: on a full disk SQLite rolls back by itself, and
    /// a driver that counts its own transactions would never begin another.
    async fn transact(
        &mut self,
        connection: &mut SqliteConnection,
        streams: &mut Streams,
    ) -> sqlx::Result<Written> {
        let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await;
        let written = match begun {
            Ok(_) => self.write_rows(connection, streams).await,
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
        &mut self,
        connection: &mut SqliteConnection,
        streams: &mut Streams,
    ) -> sqlx::Result<Written> {
        for other in &mut self.other {
            (other.run)(connection).await?;
        }
        if !self.other.is_empty() {
            // A rare operation may have moved a stream's head (a mark, an erasure).
            streams.forget();
        }
        let settle = queue::settle(connection, streams, &items(&self.settle)).await?;
        let depart = queue::depart(connection, &items(&self.depart)).await?;
        let planned = queue::planned(connection, streams, &items(&self.planned)).await?;
        let advanced = queue::advanced(connection, streams, &items(&self.advanced)).await?;
        let accept = events::accept(connection, streams, &items(&self.accept)).await?;
        let mut claim = Vec::with_capacity(self.claim.len());
        for (call, _) in &self.claim {
            claim.push(claims::claim(connection, call).await?);
        }
        Ok(Written { accept, depart, settle, planned, advanced, claim })
    }

    fn answer(self, written: Written) {
        answer(self.accept, written.accept);
        answer(self.depart, written.depart);
        answer(self.settle, written.settle);
        answer(self.planned, written.planned);
        answer(self.advanced, written.advanced);
        for ((_, reply), rows) in self.claim.into_iter().zip(written.claim) {
            let _ = reply.send(Ok(rows));
        }
        for other in self.other {
            (other.done)(Ok(()));
        }
    }

    /// Only for a tick of one call: an error cannot be given to two.
    fn fail(self, error: sqlx::Error) {
        let mut error = Some(StoreError::from(error));
        let mut take = || error.take().unwrap_or(StoreError::Closed);
        fail(self.accept, &mut take);
        fail(self.depart, &mut take);
        fail(self.settle, &mut take);
        fail(self.planned, &mut take);
        fail(self.advanced, &mut take);
        for (_, reply) in self.claim {
            let _ = reply.send(Err(take()));
        }
        for other in self.other {
            (other.done)(Err(take()));
        }
    }

    fn split(self) -> impl Iterator<Item = Tick> {
        let other = self.other.into_iter().map(Call::Other);
        let settle = self.settle.into_iter().map(Call::Settle);
        let depart = self.depart.into_iter().map(Call::Depart);
        let planned = self.planned.into_iter().map(Call::Planned);
        let advanced = self.advanced.into_iter().map(Call::Advanced);
        let accept = self.accept.into_iter().map(Call::Accept);
        let claim = self.claim.into_iter().map(|(claim, reply)| Call::Claim(claim, reply));
        let calls = other.chain(settle).chain(depart).chain(planned).chain(advanced);
        calls.chain(accept).chain(claim).map(|call| {
            let mut tick = Tick::default();
            tick.add(call);
            tick
        })
    }
}

fn push<In, Out>(calls: &mut Vec<Many<In, Out>>, many: Many<In, Out>) -> usize {
    let rows = many.items.len();
    calls.push(many);
    rows
}

fn items<In, Out>(calls: &[Many<In, Out>]) -> Vec<&In> {
    calls.iter().flat_map(|call| &call.items).collect()
}

fn answer<In, Out>(calls: Vec<Many<In, Out>>, answers: Vec<Out>) {
    let mut answers = answers.into_iter();
    for call in calls {
        let _ = call.reply.send(Ok(answers.by_ref().take(call.items.len()).collect()));
    }
}

fn fail<In, Out>(calls: Vec<Many<In, Out>>, error: &mut impl FnMut() -> StoreError) {
    for call in calls {
        let _ = call.reply.send(Err(error()));
    }
}

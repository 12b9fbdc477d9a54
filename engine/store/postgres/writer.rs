//! The connections that write, and what becomes of a transaction that fails.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPool, PgRow};
use sqlx::{Connection, PgConnection};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::locks::Locks;
use super::{claims, collections, connect, departures, events, ledger, queue, streams, waits};
use crate::model::{Entry, Event, EventId, RunId, Stream};
use crate::store::writer::{Base, Call, Calls, ClaimCall, Many, Ready, Tick, Written, items};
use crate::store::{Departure, Plan, Progress, Result, Settlement, StoreError};
use crate::telemetry::RowsCommitted;

/// Merged calls go to the lines that write; anything rare has a transaction of its own beside them,
/// so that it locks no strangers' rows.
#[derive(Clone)]
pub(super) struct Writer {
    lines: crate::store::writer::Writer<Postgres>,
    others: PgPool,
    /// Who waits for one of the others' connections, as long as they are there, waits here.
    places: Arc<Semaphore>,
}

pub(super) enum Postgres {}

impl Base for Postgres {
    type Claimed = Vec<PgRow>;
    type Other = Infallible;
}

/// Transactions of one node at once: while one waits for its commit, another is filled.
const WRITERS: usize = 2;
/// Connections for what is rare.
const OTHERS: u32 = 4;
/// How long one waits for its turn.
const QUEUE: Duration = Duration::from_secs(3);
/// How often a transaction that stood in another's way is tried again.
const CONFLICTS: usize = 5;
/// A transaction that takes longer is given up: the server may have gone without a word.
const LONGEST: Duration = Duration::from_secs(15);
/// After a connection failed, calls are refused without a try for this long.
const PAUSE: Duration = Duration::from_millis(250);

/// Writes what is sent to the writer that it answers, from now on.
pub(super) fn start(options: &PgConnectOptions) -> Writer {
    let (lines, calls) = crate::store::writer::Writer::new();
    let calls = Arc::new(Mutex::new(calls));
    let mut writing = JoinSet::new();
    for _ in 0..WRITERS {
        let line = Line { options: options.clone(), state: State::New };
        writing.spawn(line.write(calls.clone()));
    }
    tokio::spawn(async move {
        let mut closing = None;
        while let Some(ended) = writing.join_next().await {
            closing = ended.ok().flatten().or(closing);
        }
        if let Some(closed) = closing {
            let _ = closed.send(());
        }
    });
    let places = Arc::new(Semaphore::new(OTHERS as usize));
    Writer { lines, others: connect::pool(options, OTHERS), places }
}

impl Writer {
    /// Sends `items` with the next transaction and waits for its commit.
    pub async fn many<In, Out>(
        &self,
        call: fn(Many<In, Out>) -> Call<Postgres>,
        items: Vec<In>,
    ) -> Result<Vec<Out>> {
        self.lines.many(call, items).await
    }

    pub async fn claim(&self, call: ClaimCall) -> Result<Vec<PgRow>> {
        self.lines.claim(call).await
    }

    /// Runs `operation` in a transaction. It may be run again, if it stood in another's way.
    pub async fn other<T, F>(&self, mut operation: F) -> Result<T>
    where
        F: for<'c> FnMut(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    {
        let place = tokio::time::timeout(QUEUE, self.places.acquire()).await;
        let _place = place.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let mut tries = 0;
        loop {
            let done = tokio::time::timeout(LONGEST, self.once(&mut operation)).await;
            match done.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Err(error) if is_conflict(&error) && tries < CONFLICTS => tries += 1,
                Err(sqlx::Error::PoolClosed) => return Err(StoreError::Closed),
                done => return Ok(done?),
            }
        }
    }

    async fn once<T, F>(&self, operation: &mut F) -> sqlx::Result<T>
    where
        F: for<'c> FnMut(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    {
        let mut transaction = self.others.begin().await?;
        let done = operation(&mut transaction).await?;
        transaction.commit().await?;
        Ok(done)
    }

    pub async fn close(&self) {
        self.lines.close().await;
        self.others.close().await;
    }
}

/// One connection that writes, or is to be made.
struct Line {
    options: PgConnectOptions,
    state: State,
}

enum State {
    New,
    Up(Box<PgConnection>),
    /// Not to be tried before.
    Down(Instant),
}

type Closing = tokio::sync::oneshot::Sender<()>;

impl Line {
    async fn write(mut self, calls: Arc<Mutex<Calls<Postgres>>>) -> Option<Closing> {
        loop {
            let mut waiting = calls.lock().await;
            let Some(mut tick) = Tick::next(&mut waiting).await else { break };
            let closing = tick.closing.take();
            if closing.is_some() {
                // The other lines find nothing more and end after what they write.
                waiting.close();
            }
            drop(waiting);
            if tick.calls > 0 {
                self.commit(tick).await;
            }
            if closing.is_some() {
                self.close().await;
                return closing;
            }
        }
        self.close().await;
        None
    }

    /// Writes and answers. If the transaction fails while the connection holds, each call is tried
    /// alone, so that one that cannot be written fails none of its neighbours. If the connection
    /// broke, nobody knows whether the last commit was heard: nothing is tried again.
    async fn commit(&mut self, mut tick: Tick<Postgres>) {
        let began = Instant::now();
        match self.attempt(&mut tick).await {
            Ok(written) => {
                let (rows, took) = (tick.rows, began.elapsed());
                RowsCommitted { store: "postgres", rows, took }.emit();
                tick.answer(written);
            }
            Err(error) if tick.calls <= 1 || self.is_down() => fail(tick, &error),
            Err(error) => {
                tracing::warn!(%error, calls = tick.calls, "a shared transaction failed; its calls are written one by one");
                for mut single in tick.split() {
                    match self.attempt(&mut single).await {
                        Ok(written) => single.answer(written),
                        Err(error) => fail(single, &error),
                    }
                }
            }
        }
    }

    async fn attempt(&mut self, tick: &mut Tick<Postgres>) -> sqlx::Result<Written<Vec<PgRow>>> {
        let mut tries = 0;
        loop {
            let connection = self.connection().await?;
            let written = tokio::time::timeout(LONGEST, transact(tick, connection)).await;
            match written.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Ok(written) => return Ok(written),
                Err(error) if is_conflict(&error) && tries < CONFLICTS => {
                    tries += 1;
                    tracing::debug!(%error, "a transaction stood in another's way");
                }
                Err(error) => {
                    if !matches!(&error, sqlx::Error::Database(of) if !is_farewell(&**of)) {
                        self.state = State::Down(Instant::now());
                    }
                    return Err(error);
                }
            }
        }
    }

    /// The connection, made where there is none.
    async fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        if let State::Down(until) = self.state
            && Instant::now() < until
        {
            return Err(sqlx::Error::PoolTimedOut);
        }
        if !matches!(self.state, State::Up(_)) {
            match connect::connect(&self.options).await {
                Ok(connection) => self.state = State::Up(Box::new(connection)),
                Err(error) => {
                    self.state = State::Down(Instant::now() + PAUSE);
                    return Err(error);
                }
            }
        }
        match &mut self.state {
            State::Up(connection) => Ok(connection),
            _ => Err(sqlx::Error::PoolClosed),
        }
    }

    fn is_down(&self) -> bool {
        !matches!(self.state, State::Up(_))
    }

    async fn close(self) {
        if let State::Up(connection) = self.state
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "a connection did not close cleanly");
        }
    }
}

async fn transact(
    tick: &mut Tick<Postgres>,
    connection: &mut PgConnection,
) -> sqlx::Result<Written<Vec<PgRow>>> {
    let mut transaction = connection.begin().await?;
    let connection = &mut *transaction;
    let work = Work {
        settle: items(&tick.settle),
        depart: items(&tick.depart),
        planned: items(&tick.planned),
        advanced: items(&tick.advanced),
        accept: items(&tick.accept),
    };
    work.lock(connection).await?;
    let settle = queue::settle(connection, &work.settle).await?;
    let depart = departures::depart(connection, &work.depart).await?;
    let planned = queue::planned(connection, &work.planned).await?;
    let advanced = queue::advanced(connection, &work.advanced).await?;
    let accept = events::accept(connection, &work.accept).await?;
    let mut claim = Vec::with_capacity(tick.claim.len());
    for claiming in &tick.claim {
        claim.push(claims::claim(connection, &claiming.call).await?);
    }
    transaction.commit().await?;
    Ok(Written { accept, depart, settle, planned, advanced, claim })
}

/// What a tick writes, call by call.
struct Work<'t> {
    settle: Vec<&'t Settlement>,
    depart: Vec<&'t Departure>,
    planned: Vec<&'t Progress<EventId>>,
    advanced: Vec<&'t Progress<RunId>>,
    accept: Vec<&'t Ready>,
}

impl Work<'_> {
    /// Takes what must be held among nodes, before anything is written and in one order: advisory
    /// locks in one statement, then the heads of streams in one statement.
    async fn lock(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let plans: Vec<&Plan> = self
            .planned
            .iter()
            .map(|progress| &progress.plan)
            .chain(self.advanced.iter().map(|progress| &progress.plan))
            .chain(self.accept.iter().map(|ready| &ready.acceptance.plan))
            .collect();
        let events: Vec<&Event> = self.accept.iter().map(|ready| &ready.acceptance.event).collect();
        let mut locks = Locks::default();
        waits::lock(&mut locks, plans.iter().copied(), events.iter().copied());
        collections::lock(connection, &mut locks, &plans).await?;
        ledger::locks(&mut locks, &self.depart, &self.settle);
        locks.take(connection).await?;
        streams::lock(connection, self.streams(&plans)).await
    }

    /// Streams to be locked beforehand: those of a tick that takes places in several statements.
    fn streams(&self, plans: &[&Plan]) -> Vec<String> {
        let name = |entry: &Entry| Stream::User(entry.user.clone()).name();
        let settled: Vec<String> =
            self.settle.iter().filter_map(|each| each.entry.as_ref()).map(name).collect();
        let planned: Vec<String> =
            plans.iter().flat_map(|plan| &plan.delivered).map(|(entry, _)| name(entry)).collect();
        let published: Vec<String> = plans
            .iter()
            .flat_map(|plan| &plan.publications)
            .map(|each| each.stream.name())
            .collect();
        let kinds = [&self.planned.is_empty(), &self.advanced.is_empty(), &self.accept.is_empty()];
        let statements = usize::from(!settled.is_empty())
            + published.len()
            + if planned.is_empty() { 0 } else { kinds.iter().filter(|empty| !***empty).count() };
        if statements < 2 {
            return Vec::new();
        }
        settled.into_iter().chain(planned).chain(published).collect()
    }
}

fn fail(tick: Tick<Postgres>, error: &sqlx::Error) {
    tick.fail(|| StoreError::Unavailable(error.to_string().into()));
}

/// A serialization failure, a deadlock, or a key that another took between a look and a write: the
/// same again will pass.
fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01" | "23505"))
}

/// The server's last words on a connection: it stops, or was told to end this one.
fn is_farewell(error: &dyn sqlx::error::DatabaseError) -> bool {
    let code = error.code();
    matches!(code.as_deref(), Some(code) if code.starts_with("57P") || code.starts_with("25P03") || code.starts_with("08"))
}

//! Group commit: one transaction for all that came while the last one was written.
//!
//! There is no timer in it. Under load a commit gathers what arrived during the one before; alone,
//! a call is written at once. What a transaction does is each store's own.

mod tick;

use futures_util::future::BoxFuture;
use sqlx::Database;
use tokio::sync::{mpsc, oneshot};

use super::decode::json;
use super::{
    Acceptance, Accepted, Claim, Departed, Departure, Progress, QueueName, Result, Settlement,
    StoreError,
};
use crate::model::{EventId, Fence, Frame, RunId};

pub(super) use tick::{Tick, Written, items};

/// Calls waiting for the writer; a caller past this waits for a place.
const WAITING: usize = 8192;
/// Rows of one transaction, roughly: bounds how long a single call can wait for its commit.
const ROWS: usize = 4096;

/// The handle of the writing task.
pub(super) struct Writer<D: Database> {
    calls: mpsc::Sender<Call<D>>,
}

/// What waits to be written.
pub(super) type Calls<D> = mpsc::Receiver<Call<D>>;

/// One call of the store. Those with many items are merged with their like.
pub(super) enum Call<D: Database> {
    Accept(Many<Ready, Accepted>),
    Depart(Many<Departure, Departed>),
    Settle(Many<Settlement, Option<Vec<Frame>>>),
    Planned(Many<Progress<EventId>, Option<Vec<Frame>>>),
    Advanced(Many<Progress<RunId>, Option<Vec<Frame>>>),
    Claim(Claiming<D>),
    Other(Other<D>),
    Close(oneshot::Sender<()>),
}

/// Items in, as many answers out. The items go back with the answers: to drop them takes as long
/// as to make them, and everybody waits for the writer.
pub(super) struct Many<In, Out> {
    items: Vec<In>,
    reply: oneshot::Sender<(Result<Vec<Out>>, Vec<In>)>,
}

/// An acceptance with its event's data as text, which its caller makes, for the same reason.
pub(super) struct Ready {
    pub acceptance: Acceptance,
    pub data: String,
}

/// A claim on one queue, with the fence that its rows will bear.
pub(super) struct ClaimCall {
    pub queue: QueueName,
    pub claim: Claim,
    /// The lane to begin with.
    pub turn: u8,
    pub fence: Fence,
}

pub(super) struct Claiming<D: Database> {
    pub call: ClaimCall,
    reply: oneshot::Sender<Result<Vec<D::Row>>>,
}

type Operation<D> = Box<
    dyn for<'c> FnMut(&'c mut <D as Database>::Connection) -> BoxFuture<'c, sqlx::Result<()>>
        + Send,
>;

/// Anything rare: an operation of its own in the shared transaction.
pub(super) struct Other<D: Database> {
    pub run: Operation<D>,
    done: Box<dyn FnOnce(Result<()>) + Send>,
}

impl From<Acceptance> for Ready {
    fn from(acceptance: Acceptance) -> Self {
        Self { data: json(&acceptance.event.data), acceptance }
    }
}

impl<D: Database> Clone for Writer<D> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone() }
    }
}

impl<D: Database> Writer<D> {
    pub fn new() -> (Self, Calls<D>) {
        let (calls, receiver) = mpsc::channel(WAITING);
        (Self { calls }, receiver)
    }

    /// Sends `items` with the next transaction and waits for its commit.
    pub async fn many<In, Out>(
        &self,
        call: fn(Many<In, Out>) -> Call<D>,
        items: Vec<In>,
    ) -> Result<Vec<Out>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.send(call(Many { items, reply })).await?;
        let (answers, _done_with) = answer.await.map_err(|_| StoreError::Closed)?;
        answers
    }

    pub async fn claim(&self, call: ClaimCall) -> Result<Vec<D::Row>> {
        let (reply, answer) = oneshot::channel();
        self.send(Call::Claim(Claiming { call, reply })).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `operation` in the next transaction. It may be run again, if the transaction that it
    /// shared was rolled back for another's sake.
    pub async fn other<T, F>(&self, mut operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnMut(&'c mut D::Connection) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (outcome, outcomes) = std::sync::mpsc::channel();
        let run: Operation<D> = Box::new(move |connection| {
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

    /// Returns once all that was sent before is written.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.calls.send(Call::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn send(&self, call: Call<D>) -> Result<()> {
        self.calls.send(call).await.map_err(|_| StoreError::Closed)
    }
}

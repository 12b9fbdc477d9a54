//! Group commit: one transaction for all that came while the last one was written.
//!
//! There is no timer in it. Under load a commit gathers what arrived during the one before; alone,
//! a call is written at once. What a transaction does is each store's own.

mod tick;

use std::convert::Infallible;

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

/// What the writer of one kind of database answers, and what it takes beside the calls of all.
pub(super) trait Base: 'static {
    /// The rows of one claim.
    type Claimed: Send;
    /// What is rare: an operation of its own in the shared transaction.
    type Other: Answered + Send;
}

pub(super) trait Answered {
    /// Tells the caller whether its transaction was committed.
    fn answer(self, committed: Result<()>);
}

/// Of a store that has other ways for what is rare.
impl Answered for Infallible {
    fn answer(self, _: Result<()>) {
        match self {}
    }
}

/// The handle of what writes.
pub(super) struct Writer<B: Base> {
    calls: mpsc::Sender<Call<B>>,
}

/// What waits to be written.
pub(super) type Calls<B> = mpsc::Receiver<Call<B>>;

/// One call of the store. Those with many items are merged with their like.
pub(super) enum Call<B: Base> {
    Accept(Many<Ready, Accepted>),
    Depart(Many<Departure, Departed>),
    Settle(Many<Settlement, Option<Vec<Frame>>>),
    Planned(Many<Progress<EventId>, Option<Vec<Frame>>>),
    Advanced(Many<Progress<RunId>, Option<Vec<Frame>>>),
    Claim(Claiming<B>),
    Other(B::Other),
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

pub(super) struct Claiming<B: Base> {
    pub call: ClaimCall,
    reply: oneshot::Sender<Result<B::Claimed>>,
}

impl From<Acceptance> for Ready {
    fn from(acceptance: Acceptance) -> Self {
        Self { data: json(&acceptance.event.data), acceptance }
    }
}

impl<B: Base> Clone for Writer<B> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone() }
    }
}

impl<B: Base> Writer<B> {
    pub fn new() -> (Self, Calls<B>) {
        let (calls, receiver) = mpsc::channel(WAITING);
        (Self { calls }, receiver)
    }

    /// Sends `items` with the next transaction and waits for its commit.
    pub async fn many<In, Out>(
        &self,
        call: fn(Many<In, Out>) -> Call<B>,
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

    pub async fn claim(&self, call: ClaimCall) -> Result<B::Claimed> {
        let (reply, answer) = oneshot::channel();
        self.send(Call::Claim(Claiming { call, reply })).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Returns once all that was sent before is written.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.calls.send(Call::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
    }

    pub async fn send(&self, call: Call<B>) -> Result<()> {
        self.calls.send(call).await.map_err(|_| StoreError::Closed)
    }
}

//! What must be remembered. One trait a noun; [`Store`] is all of them.
//!
//! The rows are the queue: an event's `plan_at`, a run's `wake_at` and a message's `due_at` are
//! the jobs, so a change of state and the work that follows from it are one write. Every
//! implementation passes the conformance suite in `tests/conformance/store.rs`.
//!
//! Promises all implementations keep:
//! - A call that returned `Ok` is durable, and one that returned `Err` changed nothing.
//! - Calls are atomic each; concurrent ones may share a transaction (group commit).
//! - A claim gives a row to one caller, with a lease and a fresh [`Fence`](crate::model::Fence); a
//!   later write names that fence and changes nothing once it is another's (the answer says so).

pub mod memory;
pub mod sqlite;

mod event;
mod frame;
mod inbox;
mod key;
mod message;
mod queue;
mod room;
mod user;
mod wait;

pub use event::{Acceptance, Accepted, Backlog, EventRecord, Events, Timeline};
pub use frame::Frames;
pub use inbox::{Inbox, InboxOrder, InboxPage, InboxQuery, Replay};
pub use key::{ApiKey, Keys};
pub use message::{MessageQuery, MessageRecord, Messages};
pub use queue::{
    Claim, Departure, DueEvent, DueMessage, DueRun, Plan, Progress, Queue, QueueName, Recovered,
    RetryUnknown, Settlement, Unsent,
};
pub use room::Rooms;
pub use user::{Erased, Topics, Users};
pub use wait::{AWAITED, Concluded, Waiting, Waits};

/// Everything that is remembered.
pub trait Store:
    Events
    + Queue
    + Messages
    + Inbox
    + Users
    + Topics
    + Keys
    + Waits
    + Frames
    + Rooms
    + Send
    + Sync
    + 'static
{
}

impl<T> Store for T where
    T: Events
        + Queue
        + Messages
        + Inbox
        + Users
        + Topics
        + Keys
        + Waits
        + Frames
        + Rooms
        + Send
        + Sync
        + 'static
{
}

/// Why the store could not answer. The caller may try again; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row that this version cannot read. The row stays as it is.
    #[error("stored {noun} `{id}` cannot be read: {why}")]
    Unreadable { noun: &'static str, id: String, why: String },
    #[error("the store is shutting down")]
    Closed,
}

pub type Result<T> = std::result::Result<T, StoreError>;

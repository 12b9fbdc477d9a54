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
pub mod postgres;
pub mod sqlite;

mod audit;
mod breaker;
mod calendar;
mod columns;
mod device;
mod collection;
mod decode;
mod event;
pub(crate) mod frame;
mod inbox;
mod installation;
mod joined;
mod key;
mod ledger;
mod letter;
mod message;
mod profile;
mod queue;
mod report;
mod retention;
mod rounds;
mod sealed;
mod settled;
mod stop;
mod room;
mod token;
mod user;
mod wait;
mod writer;

pub use audit::{AuditQuery, Audits};
pub use breaker::{Breaker, Breakers};
pub use calendar::{Calendar, CalendarQuery, Due, Planned};
pub use collection::{Collections, MOST_COLLECTED, MOST_ITEM_BYTES};
pub use device::{DeviceChange, Devices, MOST_DEVICES, Registered};
pub use event::{
    Acceptance, Accepted, Backlog, EventRecord, Events, SHOWN_RUNS, TOLD_RUNS, Timeline,
};
pub use frame::Frames;
pub use inbox::{Inbox, InboxOrder, InboxPage, InboxQuery, Replay};
pub use installation::{Installation, open};
pub use key::{ApiKey, Keys};
pub use ledger::{Asking, Gathered, Ledger, Once, Spend, Spending};
pub use letter::{Letters, MOST_LETTERS, Redrive};
pub use message::{MessageQuery, MessageRecord, Messages};
pub use queue::{
    Claim, Departed, Departure, DueEvent, DueMessage, DueRun, Failover, Held, Plan, Progress,
    Queue, QueueName, Recovered, RetryUnknown, Settlement, Unplanned, Unsent,
};
pub use report::{Reported, Reports};
pub use retention::{Kept, Mark, Pruned, Retention};
pub use room::Rooms;
pub use stop::{Stop, Stopped, Stops};
pub use user::{Erased, Topics, Users};
pub use wait::{AWAITED, Concluded, Waiting, Waits};

use crate::seal::SealError;

/// Everything that is remembered.
pub trait Store:
    Events
    + Queue
    + Breakers
    + Collections
    + Ledger
    + Stops
    + Calendar
    + Messages
    + Letters
    + Reports
    + Audits
    + Inbox
    + Users
    + Topics
    + Devices
    + Keys
    + Waits
    + Frames
    + Rooms
    + Retention
    + Send
    + Sync
    + 'static
{
}

impl<T> Store for T where
    T: Events
        + Queue
        + Breakers
        + Ledger
        + Stops
        + Calendar
        + Collections
        + Messages
        + Letters
        + Reports
        + Audits
        + Inbox
        + Users
        + Topics
        + Devices
        + Keys
        + Waits
        + Frames
        + Rooms
        + Retention
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
    /// A sealed value whose key is not there, or that was tampered with. The row stays as it is.
    #[error("stored {noun} `{id}` cannot be opened")]
    Locked { noun: &'static str, id: String, source: SealError },
    /// What may only be stored sealed cannot be, without a key. Nothing was changed.
    #[error("{noun} is stored sealed only, and there is no key in `encryption.keys`")]
    NoKey { noun: &'static str },
    #[error("`{0}:` is no store that is known: `sqlite:PATH` and `postgres://…` are")]
    Scheme(String),
    #[error("the store is shutting down")]
    Closed,
}

pub type Result<T> = std::result::Result<T, StoreError>;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        unavailable(error)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        unavailable(error)
    }
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(error.into())
}

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;

/// What is kept for a time of its own, in the order in which it is cleared: what hangs on another
/// goes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Of messages that ended; those of dead letters stay with them.
    Attempts,
    /// Messages that ended, and are no dead letters, of runs that ended.
    Messages,
    /// Failed and unknown messages, with their attempts.
    DeadLetters,
    /// What was decided of what has ended.
    Decisions,
    /// Runs that ended and have no messages any more.
    Runs,
    /// Events that are planned, and have neither runs nor decisions any more. With an event goes
    /// the guard of its idempotency key.
    Events,
    /// Entries, read or not. The numbering of a user's stream goes on.
    Inbox,
    /// What changed inboxes, for those who were away.
    Frames,
    /// What was said in rooms.
    Sayings,
    /// Frames of topics and rooms where nothing is published any more.
    Streams,
}

/// How far a pass over a table has come; opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(pub(super) String);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many rows are gone.
    pub rows: u64,
    /// Where the pass goes on; `None`: all that is old enough was looked at.
    pub next: Option<Mark>,
}

#[async_trait]
pub trait Retention {
    /// Looks at some rows behind `after`, at most `limit`, oldest first, and removes those from
    /// before `before` that nothing unfinished needs, in one write.
    async fn prune(
        &self,
        of: Kept,
        before: Timestamp,
        after: Option<&Mark>,
        limit: usize,
    ) -> Result<Pruned>;
}

impl Kept {
    pub const ALL: [Self; 10] = [
        Self::Attempts,
        Self::Messages,
        Self::DeadLetters,
        Self::Decisions,
        Self::Runs,
        Self::Events,
        Self::Inbox,
        Self::Frames,
        Self::Sayings,
        Self::Streams,
    ];

    /// For metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Messages => "messages",
            Self::DeadLetters => "dead_letters",
            Self::Decisions => "decisions",
            Self::Runs => "runs",
            Self::Events => "events",
            Self::Inbox => "inbox",
            Self::Frames => "frames",
            Self::Sayings => "sayings",
            Self::Streams => "streams",
        }
    }
}

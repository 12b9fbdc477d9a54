use std::time::Duration;

use crate::channel::{Failure, Outcome};

/// What an outcome says of the one who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does its work, be it by saying no.
    Well,
    /// It does, and has had enough.
    Limited {
        after: Option<Duration>,
    },
    Failed,
    Faulty,
    Misconfigured,
    /// It was not asked: nothing.
    Ours,
}

pub(super) fn standing(outcome: &Outcome) -> Standing {
    match outcome {
        Outcome::Accepted { .. } | Outcome::InvalidRecipient { .. } | Outcome::Rejected { .. } => {
            Standing::Well
        }
        Outcome::RateLimited { after, .. } => Standing::Limited { after: *after },
        Outcome::Retry { failure, .. } if failure.code == Failure::BUSY => Standing::Ours,
        Outcome::Retry { .. } | Outcome::Unknown { .. } => Standing::Failed,
        Outcome::PluginFault { .. } => Standing::Faulty,
        Outcome::Misconfigured { .. } => Standing::Misconfigured,
    }
}

/// Whether the next provider may be asked at once: this one surely did not send it, or a
/// repetition does no harm. What is wrong with the address or the message is wrong everywhere.
pub(super) fn leads_on(outcome: &Outcome, repeats: bool) -> bool {
    match outcome {
        Outcome::Retry { .. }
        | Outcome::RateLimited { .. }
        | Outcome::Misconfigured { .. }
        | Outcome::PluginFault { .. } => true,
        Outcome::Unknown { .. } => repeats,
        Outcome::Accepted { .. } | Outcome::InvalidRecipient { .. } | Outcome::Rejected { .. } => {
            false
        }
    }
}

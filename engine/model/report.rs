use jiff::Timestamp;

use super::{Bounce, MessageStatus, ProviderName, Verdict};

/// What a provider says became of a message that it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub provider: ProviderName,
    /// The provider's own id for the message.
    pub receipt: String,
    pub fate: Fate,
    /// When we heard of it.
    pub at: Timestamp,
    /// For the time line; no address and no body.
    pub reason: String,
}

/// What may be reported, in the order in which a message moves: never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Delivered,
    /// Sent back: it did not arrive, or not for long.
    Bounced,
    /// The recipient said that it was not wanted.
    Complained,
}

/// What will be reported of a message that a provider took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its delivery too: until then nobody knows of it.
    pub delivery: bool,
    /// Where it went, as a bounce of it is remembered.
    pub sent_to: Bounce,
}

impl Fate {
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Bounced, Self::Complained];

    pub fn as_str(self) -> &'static str {
        self.status().as_str()
    }

    /// The status that it brings a message to.
    pub fn status(self) -> MessageStatus {
        match self {
            Self::Delivered => MessageStatus::Delivered,
            Self::Bounced => MessageStatus::Bounced,
            Self::Complained => MessageStatus::Complained,
        }
    }

    /// The decision's code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Delivered => "report.delivered",
            Self::Bounced => "report.bounced",
            Self::Complained => "report.complained",
        }
    }

    pub fn verdict(self) -> Verdict {
        match self {
            Self::Delivered | Self::Complained => Verdict::Deliver,
            Self::Bounced => Verdict::Fail,
        }
    }

    /// What the message bears as its code from then on: nothing is wrong with one that arrived.
    pub fn message_code(self) -> Option<&'static str> {
        (self != Self::Delivered).then(|| self.code())
    }

    /// Whether it moves a message that stands at `status`.
    pub fn moves(self, status: MessageStatus) -> bool {
        let before = match status {
            MessageStatus::Sent => return true,
            MessageStatus::Delivered => Self::Delivered,
            MessageStatus::Bounced => Self::Bounced,
            _ => return false,
        };
        self > before
    }
}

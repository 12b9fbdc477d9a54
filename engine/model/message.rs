use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AttemptNumber, Category, ChannelName, Event, EventId, MessageId, ProviderName, Recipient, Run,
    RunId, StepPath, UserId, WorkflowName,
};

/// Highest first: the order in which due work is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Critical,
    High,
    Medium,
    Low,
}

impl Priority {
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// One recipient × one channel × one step (and item, inside a loop).
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub id: MessageId,
    pub event: EventId,
    pub run: RunId,
    pub step: StepPath,
    /// A loop's or a list's index; 0 elsewhere.
    pub item: u32,
    pub channel: ChannelName,
    pub recipient: Option<UserId>,
    pub workflow: WorkflowName,
    pub category: Category,
    pub priority: Priority,
    pub status: MessageStatus,
    /// When to try (next).
    pub due_at: Timestamp,
    /// Not to leave after this.
    pub expires_at: Option<Timestamp>,
    /// Attempts begun so far.
    pub attempt: AttemptNumber,
    /// Attempts begun when a person last asked for a retry: the budget counts from there.
    pub forgiven: AttemptNumber,
    /// The provider that took it last, and that provider's own id for it.
    pub provider: Option<ProviderName>,
    pub receipt: Option<String>,
    /// Why it is in a final state other than sent: a decision's code.
    pub code: Option<String>,
    pub created_at: Timestamp,
}

/// Stored as the number, shown as the word. The numbers are in rows: never reorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum MessageStatus {
    /// Waits for `due_at`.
    Pending = 0,
    /// Claimed by a worker that has not let it leave yet.
    Leased = 1,
    /// Handed to a provider; the answer is not stored yet.
    Sending = 2,
    /// May have been sent: held for a person to decide.
    Unknown = 3,
    /// A provider accepted it, or it is in the inbox.
    Sent = 4,
    /// Given up: a dead letter.
    Failed = 5,
    /// A gate said no.
    Suppressed = 6,
    Cancelled = 7,
    /// Could not leave in time.
    Expired = 8,
    /// Its provider reports that it arrived.
    Delivered = 9,
    /// Its provider reports that it came back.
    Bounced = 10,
    /// Its provider reports that the recipient complained of it.
    Complained = 11,
}

impl MessageStatus {
    pub const ALL: [Self; 12] = [
        Self::Pending,
        Self::Leased,
        Self::Sending,
        Self::Unknown,
        Self::Sent,
        Self::Failed,
        Self::Suppressed,
        Self::Cancelled,
        Self::Expired,
        Self::Delivered,
        Self::Bounced,
        Self::Complained,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Leased => "leased",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Suppressed => "suppressed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
        }
    }

    /// Nothing will happen to it any more, unless a person asks.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Leased | Self::Sending)
    }

    /// A provider took it, or it is in the inbox; and it did not come back.
    pub fn is_sent(self) -> bool {
        matches!(self, Self::Sent | Self::Delivered | Self::Complained)
    }

    /// A person has to look at it: given up, or held since it may have been sent.
    pub fn is_dead_letter(self) -> bool {
        matches!(self, Self::Failed | Self::Unknown)
    }
}

/// One try at one provider: the journal's line.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub message: MessageId,
    pub number: AttemptNumber,
    pub provider: ProviderName,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub outcome: AttemptOutcome,
    /// The provider's or the plugin's code, or `crash` where the process died in between.
    pub code: Option<String>,
    pub detail: Option<String>,
    /// The provider's own id for what it accepted.
    pub receipt: Option<String>,
}

/// How an attempt ended, as stored: the closed set of the channel's outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum AttemptOutcome {
    Accepted = 0,
    Retry = 1,
    RateLimited = 2,
    Unknown = 3,
    InvalidRecipient = 4,
    Rejected = 5,
    Misconfigured = 6,
    PluginFault = 7,
}

impl AttemptOutcome {
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Retry,
        Self::RateLimited,
        Self::Unknown,
        Self::InvalidRecipient,
        Self::Rejected,
        Self::Misconfigured,
        Self::PluginFault,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Retry => "retry",
            Self::RateLimited => "rate_limited",
            Self::Unknown => "unknown",
            Self::InvalidRecipient => "invalid_recipient",
            Self::Rejected => "rejected",
            Self::Misconfigured => "misconfigured",
            Self::PluginFault => "plugin_fault",
        }
    }
}

/// A message with everything the stages want to know of it: what goes through the gates.
#[derive(Clone, Debug)]
pub struct Planned {
    pub message: Message,
    pub run: Arc<Run>,
    pub event: Arc<Event>,
    pub recipient: Recipient,
}

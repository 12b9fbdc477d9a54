use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Ids made by us: UUIDv7, so that keys grow with time and inserts append
/// (docs/decisions/0004). Made by `Clock::id` alone.
macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

/// Names given by others: cheap to clone, compared as text, never interpreted.
macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Arc<str>);

        impl $name {
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )+};
}

uuid_id! {
    /// One accepted event.
    EventId,
    /// One (event, workflow, recipient). Also the id of the run's inbox entry.
    RunId,
    /// One (run, step path, item, channel).
    MessageId,
}

text_id! {
    /// A user's id: text here, an integer in JSON where it is a canonical decimal (`user_id_json`).
    UserId,
    /// A workflow file's `workflow:`, equal to its stem.
    WorkflowName,
    /// A notification type: what preferences speak of.
    Category,
    /// `in_app`, `email`, `webhook`, or any installed channel.
    ChannelName,
    /// A `[providers.<name>]` of the configuration, or `capture`.
    ProviderName,
    /// What users subscribe to.
    TopicName,
    /// Where connected users speak with each other.
    RoomName,
    /// A workflow file's content hash (SHA-256, hex): a run keeps the version it began with.
    Version,
    /// Where a step stands in its file: indices from 0, nested ones after a dot (`2.0.1`).
    StepPath,
}

/// The how-manieth attempt, from 1.
pub type AttemptNumber = u32;

/// The fencing token of a lease: drawn anew with each claim. A write that names an old one
/// changes nothing, so a worker that lost its lease can do no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub i64);

impl UserId {
    /// The id as front ends expect it: a canonical decimal integer is a JSON integer, anything
    /// else a string (docs/reference/api.md, "Inbox").
    pub fn to_json(&self) -> serde_json::Value {
        match self.0.parse::<i64>() {
            Ok(number) if number.to_string() == *self.0 => number.into(),
            _ => serde_json::Value::from(&*self.0),
        }
    }

    /// Reads an id that may come as a string or as an integer. `None` for anything else, and for
    /// text that is empty or over 255 bytes.
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) if number.is_i64() || number.is_u64() => {
                number.to_string()
            }
            _ => return None,
        };
        (!text.is_empty() && text.len() <= 255).then(|| Self::from(text))
    }
}

impl ChannelName {
    /// The channel whose messages are rows of the inbox: the engine delivers it itself.
    pub const IN_APP: &'static str = "in_app";

    /// Stands for every channel that is not named beside it, where preferences are told by channel.
    pub const EVERY: &'static str = "*";

    /// Shown by preferences whether or not a plugin for them is installed.
    pub const ALWAYS_SHOWN: [&'static str; 4] = ["in_app", "push", "email", "sms"];

    pub fn is_in_app(&self) -> bool {
        &*self.0 == Self::IN_APP
    }

    pub fn is_every(&self) -> bool {
        &*self.0 == Self::EVERY
    }
}

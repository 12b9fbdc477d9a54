use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Span;
use crate::model::BadSpan;

/// For how long what has ended is kept. What is unfinished is never touched. What hangs on another
/// goes with it at the latest: attempts with their message, all with their event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// With their runs, and with what guards their idempotency keys. Default 90d.
    pub events: Keep,
    /// Those that ended, but for dead letters. Default 90d.
    pub messages: Keep,
    /// Tries of messages that ended. Default 90d.
    pub attempts: Keep,
    /// The records that `explain` reads. Default 90d.
    pub decisions: Keep,
    /// Messages that failed, or of which it is not known whether they were sent. Default 180d.
    pub dead_letters: Keep,
    /// Entries of users' inboxes, read or not. Default 365d.
    pub inbox: Keep,
    /// What changed an inbox, for connections that were away. Default 7d.
    pub frames: Keep,
    /// What was said in rooms that keep it. Default 365d.
    pub sayings: Keep,
}

/// A time, or `never` for no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    For(Span),
    Forever,
}

impl Keep {
    const fn days(days: u64) -> Self {
        Self::For(Span::seconds(days * 24 * 60 * 60))
    }

    pub fn span(self) -> Option<Duration> {
        match self {
            Self::For(Span(span)) => Some(span),
            Self::Forever => None,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events: Keep::days(90),
            messages: Keep::days(90),
            attempts: Keep::days(90),
            decisions: Keep::days(90),
            dead_letters: Keep::days(180),
            inbox: Keep::days(365),
            frames: Keep::days(7),
            sayings: Keep::days(365),
        }
    }
}

impl FromStr for Keep {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        if text.trim() == "never" { Ok(Self::Forever) } else { text.parse().map(Self::For) }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(span) => span.fmt(f),
            Self::Forever => f.write_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

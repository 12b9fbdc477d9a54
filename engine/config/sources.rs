use serde::{Deserialize, Serialize};

use super::{Secret, Span};

/// What events come from beside HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sources {
    pub outbox: Outbox,
    pub stream: Stream,
}

/// `nuncio.outbox`, written by services in their own transactions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbox {
    /// Whether this node drains it. Default true.
    pub enabled: bool,
    /// The services' database: `postgres://user:password@host:5432/name`. Default: the store's
    /// own, where that is PostgreSQL.
    pub url: Option<Secret>,
}

/// The stream `nuncio:events` of `redis.url`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stream {
    /// Whether this node reads it. Default true.
    pub enabled: bool,
    /// What a node that went silent has read is read by another after this. Default 60 s.
    pub claim_after: Span,
    /// Entries; once there are more, those that were acknowledged are removed. Default 100,000.
    pub max_length: usize,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { enabled: true, url: None }
    }
}

impl Default for Stream {
    fn default() -> Self {
        Self { enabled: true, claim_after: Span::seconds(60), max_length: 100_000 }
    }
}

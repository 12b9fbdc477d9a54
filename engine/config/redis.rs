use serde::{Deserialize, Serialize};

use super::Secret;

/// Where nodes share what may be lost: rates, and the bus between their relays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `redis://user:password@host:6379/0`, or `rediss://` with TLS. Default none: each node is
    /// on its own.
    pub url: Option<Secret>,
    /// Begins the names of all that is kept there, so that installations can share a server.
    /// Default `nuncio`.
    pub prefix: String,
}

impl Default for Redis {
    fn default() -> Self {
        Self { url: None, prefix: "nuncio".into() }
    }
}

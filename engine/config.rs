//! What the operator decides: `nuncio.toml`, then the environment, then flags.
//!
//! One struct a concern; each is file format, default and documentation in one. Units are said in
//! the field's text; durations are `1h30m` or ISO 8601. Unknown keys are errors.

mod loader;
mod encryption;
mod limits;
mod provider;
mod redis;
mod tenant;
mod secret;
mod document;
mod environment;
mod check;
mod setting;
mod sources;
mod error;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use encryption::{Encryption, EncryptionKeys};
pub use environment::Environment;
pub use error::{ConfigError, Origin};
pub use limits::{Relay, Server};
pub use loader::{Flag, Loaded, load};
pub use provider::{OnUnknown, Provider, Rate};
pub use redis::Redis;
pub use secret::{Secret, SecretError};
pub use setting::Setting;
pub use sources::{Outbox, Sources, Stream};
pub use tenant::{QuietHours, Tenant, TenantPreferences};

pub use crate::model::Span;
use crate::model::{Category, ChannelName, Limits, ProviderName, Row};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub store: Store,
    pub redis: Redis,
    pub sources: Sources,
    pub auth: Auth,
    pub engine: Engine,
    pub channels: BTreeMap<ChannelName, Channel>,
    pub providers: BTreeMap<ProviderName, Provider>,
    pub relay: Relay,
    pub egress: Egress,
    pub encryption: Encryption,
    pub telemetry: Telemetry,
    pub tenants: BTreeMap<String, Tenant>,
}

/// Where everything is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite:path/to/nuncio.db`, for one node; `postgres://user@host/database`, for any number.
    pub url: String,
}

/// Who may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// `HS256`, `RS256`, `ES256` or `EdDSA`.
    pub algorithm: String,
    /// HS256: the secret's text, taken as its UTF-8 bytes.
    pub secret: Option<Secret>,
    /// The others: a PEM file with the public key.
    pub public_key: Option<PathBuf>,
    /// Checked only where set.
    pub issuer: Option<String>,
    /// Checked only where set.
    pub audience: Option<String>,
    /// Allowed difference of clocks. Default 60 s.
    pub leeway: Span,
    /// The claims that hold the user's id, role and organisations. Default `sub`, `role`, `orgs`.
    pub claims: Claims,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Claims {
    pub sub: String,
    pub role: String,
    pub orgs: String,
}

/// How the work is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Engine {
    /// Where `workflows/` and `templates/` are. Default: the current folder.
    pub root: PathBuf,
    /// Waits before each further attempt; the list used up, a message is a dead letter.
    /// Default 1m, 5m, 15m, 30m, 1h, each with ±10 % of jitter.
    pub retry: Vec<Span>,
    /// The zone of users and preferences that name none. Default UTC.
    pub time_zone: String,
    /// Refuse events that no `events.yaml` declares. Default false.
    pub strict_events: bool,
    /// Messages being worked on at once. Default 256.
    pub workers: usize,
    /// The work of a node that died, or stood still, is taken over within this time. Default 60 s,
    /// at least 5 s: a node that stands still for longer than two thirds of it does work that
    /// another does too, and which of them counts is the store's to say.
    pub lease: Span,
    /// One attempt's longest time. Default 30 s.
    pub attempt_timeout: Span,
    /// What could not leave so long after it was planned is dropped. Default: never; a workflow's
    /// and a step's `expires` win.
    pub expiry: Option<Span>,
    /// Of recipients who said nothing of quiet hours. Default none.
    pub quiet_hours: Option<QuietHours>,
    /// Of recipients who set no limit: `max_per_hour`, `max_per_day`. Default none; 0: nothing but
    /// what is critical.
    pub budgets: Limits,
    /// On or off by notification type and channel, where nobody more special says: `true` or
    /// `false` for all channels, `*` for all other types or channels. Default on.
    pub preferences: BTreeMap<Category, Row>,
}

/// One channel's providers, in the order of failover.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channel {
    pub providers: Vec<ProviderName>,
}

/// What may be reached from here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Egress {
    /// Private, loopback and link-local addresses that data (not the operator's settings) may
    /// name. Default none.
    pub allow_private: AllowPrivate,
    /// An HTTP proxy for all requests.
    pub proxy: Option<url::Url>,
    /// A PEM file with further certificate authorities.
    pub ca: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AllowPrivate {
    All(bool),
    /// Host names and CIDRs.
    Some(Vec<String>),
}

/// What the operator gets to see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// `text` or `json`. Default text.
    pub log_format: LogFormat,
    /// A `tracing` filter (`info,nuncio=debug`). Default `info`.
    pub log: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite:nuncio.db".into() }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            algorithm: "HS256".into(),
            secret: None,
            public_key: None,
            issuer: None,
            audience: None,
            leeway: Span::seconds(60),
            claims: Claims::default(),
        }
    }
}

impl Default for Claims {
    fn default() -> Self {
        Self { sub: "sub".into(), role: "role".into(), orgs: "orgs".into() }
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            root: PathBuf::from("."),
            retry: [60, 300, 900, 1800, 3600].map(Span::seconds).into(),
            time_zone: "UTC".into(),
            strict_events: false,
            workers: 256,
            lease: Span::seconds(60),
            attempt_timeout: Span::seconds(30),
            expiry: None,
            quiet_hours: None,
            budgets: Limits::default(),
            preferences: BTreeMap::new(),
        }
    }
}

impl Default for AllowPrivate {
    fn default() -> Self {
        Self::All(false)
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { log_format: LogFormat::Text, log: "info".into() }
    }
}

/// The address that nothing but this machine can reach.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

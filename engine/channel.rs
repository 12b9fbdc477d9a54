//! What carries a message out of the engine: the contract `Parcel → Outcome`.
//!
//! [`capture`] keeps what it is given, for `dev`, tests and `simulate`; [`wasm`] hosts plugins.
//! The engine's own two ways out, which are no channels, are the inbox and [`Publish`].

pub mod capture;
pub mod wasm;

mod callback;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{Frame, Parcel, Presence, Stream, UserId};

pub use callback::{CallbackError, Called, Inbound, Update};

/// One provider of one channel, ready to send. Made at start, shared by all sends.
#[async_trait]
pub trait Channel: Send + Sync {
    /// What the plugin says of itself.
    fn traits(&self) -> &Traits;

    /// Makes one attempt. Never panics and never waits longer than `deadline`; what the provider
    /// or the plugin does wrong is an [`Outcome`].
    ///
    /// Must not be called for a parcel that no `Rendered` stands behind: `dispatch` alone calls it.
    async fn send(&self, parcel: &Parcel, deadline: Duration) -> Outcome;

    /// Reads a request that claims to be the provider's, within 5 seconds. Default: it does not
    /// call back.
    async fn callback(&self, _inbound: &Inbound) -> Result<Called, CallbackError> {
        Err(CallbackError::Unsupported)
    }
}

/// The properties of a channel that the gates and the receipt ask for (its manifest's).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Quiet hours and budgets bind it. Default true; `in_app` and `webhook` say false.
    pub interrupts: bool,
    /// The provider tells repetitions by the idempotency key, so an unknown outcome is retried.
    pub idempotent: bool,
    /// Which field of a user holds the address.
    pub address: Address,
    /// `html`, `text` or `json`: how templates for it are escaped.
    pub kind: ContentKind,
    /// The settings hold an address for everyone (a webhook's `url`): always reachable.
    pub fixed_address: bool,
}

/// Where a recipient's address for a channel stands, unless the step's `to` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Email,
    Phone,
    /// A key of `user.data`, by the manifest's word (`webhook_url`).
    Data(String),
    /// The user's active devices.
    Device,
    /// The user is the address.
    User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentKind {
    Html,
    Text,
    Json,
}

/// How one attempt ended: a closed set. `after` is the provider's own wish.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Accepted {
        receipt: Option<String>,
        detail: Option<String>,
    },
    /// Not sent; worth another try.
    Retry {
        failure: Failure,
        after: Option<Duration>,
    },
    RateLimited {
        failure: Failure,
        after: Option<Duration>,
    },
    /// May have been sent.
    Unknown {
        failure: Failure,
    },
    /// This address will never work.
    InvalidRecipient {
        failure: Failure,
    },
    /// This message will never be taken.
    Rejected {
        failure: Failure,
    },
    /// The provider's settings or secrets are wrong: nothing it is given will be taken.
    Misconfigured {
        failure: Failure,
    },
    /// The plugin trapped, or went past a limit.
    PluginFault {
        failure: Failure,
    },
}

/// A secret as it was read, which no log and no error shows. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Arc<str>);

/// For the journal: a stable code, and a sentence without addresses, bodies or secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub provider_status: Option<u16>,
}

/// The way to connected clients: what `relay` implements, and stages below it may call.
pub trait Publish: Send + Sync {
    /// Hands frames to the connections of their streams. Called after the commit that made them;
    /// never blocks: a reader that is too slow catches up by `resume`.
    fn publish(&self, frames: &[Frame]);

    fn presence(&self, user: &UserId) -> Presence;

    /// Whether `user` may hear a stream may have changed: their connections to it are asked, and
    /// closed where they may not.
    fn knock(&self, stream: &Stream, user: &UserId);
}

/// Nobody is connected: for roles without a relay, `simulate`, and tests of what lies below.
pub struct Unheard;

impl Publish for Unheard {
    fn publish(&self, _frames: &[Frame]) {}

    fn presence(&self, _user: &UserId) -> Presence {
        Presence::default()
    }

    fn knock(&self, _stream: &Stream, _user: &UserId) {}
}

impl Traits {
    /// The inbox: no provider, no address, and it interrupts nobody (the client decides).
    pub const INBOX: Self = Self {
        interrupts: false,
        idempotent: true,
        address: Address::User,
        kind: ContentKind::Text,
        fixed_address: false,
    };
}

impl Outcome {
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Accepted { .. } => None,
            Self::Retry { failure, .. }
            | Self::RateLimited { failure, .. }
            | Self::Unknown { failure }
            | Self::InvalidRecipient { failure }
            | Self::Rejected { failure }
            | Self::Misconfigured { failure }
            | Self::PluginFault { failure } => Some(failure),
        }
    }
}

impl SecretText {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// For the one place that uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Failure {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), provider_status: None }
    }
}

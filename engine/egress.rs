//! The one way out of the engine: every request and every mail leaves here, and what may be
//! reached is decided here.
//!
//! Deny by default: a request goes where its plugin's manifest asked, and never to a private
//! address that data named. Names are resolved here and the addresses checked are the ones
//! connected to, so a name cannot change its mind in between. Redirects are answers: nothing is
//! followed.

mod address;
mod client;
mod error;
mod fetch;
mod grant;
mod resolver;
pub mod smtp;

use std::sync::Arc;
use std::time::Duration;

pub use address::{AllowPrivate, BadRange, is_private};
pub use client::{Reply, Request};
pub use error::{EgressError, Refusal, SetupError};
pub use fetch::{Ask, Fetch, Fetched, MAX_FETCHED_BYTES, Unreachable};
pub use grant::{Grants, HostRule, Target};
pub use reqwest::Method;
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Bytes of a request's body.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;
/// Bytes of an answer's body; what is longer is cut.
pub const MAX_REPLY_BYTES: usize = 1 << 20;
/// Header fields of a request or an answer, and their bytes together.
pub const MAX_HEADERS: usize = 64;
pub const MAX_HEADER_BYTES: usize = 16 << 10;

/// What the operator decided.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What data may name, beyond the public internet. Default nothing.
    pub allow_private: AllowPrivate,
    /// An HTTP proxy for all requests. Names are then resolved by the proxy, and the check of
    /// what they resolve to is the proxy's as well.
    pub proxy: Option<url::Url>,
    /// Further certificate authorities, as PEM.
    pub ca: Option<Vec<u8>>,
}

/// The outbound client. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Egress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    allow_private: Arc<AllowPrivate>,
    /// For what data names: refuses names that resolve to private addresses.
    guarded: reqwest::Client,
    /// For what the operator wrote into a provider's settings.
    open: reqwest::Client,
}

/// Makes ring the process's provider of TLS: what every client of ours is built with.
pub fn use_ring() {
    // Only the first call of a process installs it, and all calls install the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Egress {
    /// Reads the system's certificate authorities; opens no connection.
    pub fn new(policy: &Policy) -> Result<Self, SetupError> {
        use_ring();
        let allow_private = Arc::new(policy.allow_private.clone());
        let guard = Arc::new(resolver::Guard::new(Arc::clone(&allow_private)));
        Ok(Self(Arc::new(Inner {
            guarded: client::build(policy, Some(guard))?,
            open: client::build(policy, None)?,
            allow_private,
        })))
    }

    /// Whether `url` may be asked with `method` by who holds `grants`. Parses the address, once
    /// for all uses of the [`Target`].
    pub fn target(&self, method: &Method, url: &str, grants: &Grants) -> Result<Target, Refusal> {
        grant::target(&self.0.allow_private, method, url, grants)
    }

    /// Sends one request and reads the answer, all within `timeout`.
    ///
    /// The error says whether anything can have arrived ([`EgressError::may_have_arrived`]).
    pub async fn send(&self, request: Request, timeout: Duration) -> Result<Reply, EgressError> {
        let client = if request.target.granted { &self.0.open } else { &self.0.guarded };
        client::send(client, request, timeout).await
    }
}

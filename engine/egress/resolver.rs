use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{AllowPrivate, Refusal};

/// Resolves names and keeps the addresses that data may name: the client connects to no other.
pub(super) struct Guard {
    allow_private: Arc<AllowPrivate>,
}

impl Guard {
    pub(super) fn new(allow_private: Arc<AllowPrivate>) -> Self {
        Self { allow_private }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = Arc::clone(&self.allow_private);
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            if allow.host(host) || found.is_empty() {
                return Ok(Box::new(found.into_iter()) as Addrs);
            }
            let public: Vec<SocketAddr> =
                found.into_iter().filter(|found| allow.address(found.ip())).collect();
            if public.is_empty() {
                return Err(Box::new(Refusal::private(host)) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

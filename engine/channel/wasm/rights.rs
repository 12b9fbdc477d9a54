use std::sync::Arc;

use super::kv::{KeyValue, Owner};
use super::secret::Vault;
use super::{Inner, Limits, Manifest};
use crate::clock::Clock;
use crate::egress::smtp::Transport;
use crate::egress::{Egress, Grants};

/// Everything one provider's instances may do: what the manifest asked and the operator granted.
pub(super) struct Rights {
    pub(super) plugin: String,
    pub(super) provider: String,
    pub(super) grants: Grants,
    pub(super) vault: Vault,
    /// Under the name the manifest gives it.
    pub(super) mail: Option<(String, Transport)>,
    pub(super) kv: Arc<dyn KeyValue>,
    pub(super) egress: Egress,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
}

impl Rights {
    /// For a trial: may do nothing.
    pub(super) fn none(host: &Inner, manifest: &Manifest) -> Self {
        Self {
            plugin: manifest.name.clone(),
            provider: String::new(),
            grants: Grants::default(),
            vault: Vault::default(),
            mail: None,
            kv: Arc::clone(&host.kv),
            egress: host.egress.clone(),
            clock: host.clock.clone(),
            limits: host.limits.clone(),
        }
    }

    pub(super) fn owner(&self, tenant: &str) -> Owner {
        Owner {
            plugin: self.plugin.clone(),
            provider: self.provider.clone(),
            tenant: tenant.into(),
        }
    }
}

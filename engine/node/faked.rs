//! From the configuration to providers that are faked: nothing is loaded, nothing set up.

use std::collections::BTreeMap;

use super::channels::{known, on_unknown};
use crate::channel::Traits;
use crate::channel::wasm::Manifest;
use crate::config::{Config, Provider};
use crate::model::{ChannelName, ProviderName};
use crate::simulate;

/// The channels that files may name, and the configured providers of each, in the order of
/// failover: by their plugins' manifests.
#[derive(Default)]
pub struct Faked {
    pub channels: BTreeMap<ChannelName, Traits>,
    pub providers: BTreeMap<ChannelName, Vec<simulate::Provider>>,
}

/// A provider's plugin cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("providers.{provider}: the plugin `{plugin}` cannot be read: {why}")]
pub struct NoManifest {
    pub provider: ProviderName,
    pub plugin: String,
    pub why: String,
}

/// What `simulate` and the workflow tests stand on, where a node would stand on its plugins.
///
/// # Errors
/// A plugin that is not there, or is none.
pub fn faked(config: &Config) -> Result<Faked, NoManifest> {
    let mut faked = Faked { channels: known(), ..Faked::default() };
    let mut order: Vec<(ChannelName, &ProviderName)> = Vec::new();
    for (channel, names) in &config.channels {
        order.extend(names.providers.iter().map(|name| (channel.clone(), name)));
    }
    let mut manifests = BTreeMap::new();
    for (name, provider) in &config.providers {
        let manifest = manifest(name, provider)?;
        if !order.iter().any(|(_, named)| *named == name) {
            order.push((manifest.name.as_str().into(), name));
        }
        manifests.insert(name, manifest);
    }
    for (channel, name) in order {
        // The loader has seen to it that every name is a provider's.
        let (Some(provider), Some(manifest)) = (config.providers.get(name), manifests.get(name))
        else {
            continue;
        };
        let traits = manifest.traits(&provider.settings.clone().into());
        faked.channels.entry(channel.clone()).or_insert_with(|| traits.clone());
        let on_unknown = provider.on_unknown.unwrap_or_else(|| on_unknown(&traits));
        let (rate, breaker) = (provider.rate, provider.breaker);
        let provider = simulate::Provider { name: name.clone(), traits, rate, on_unknown, breaker };
        faked.providers.entry(channel).or_default().push(provider);
    }
    Ok(faked)
}

fn manifest(name: &ProviderName, provider: &Provider) -> Result<Manifest, NoManifest> {
    let plugin = &provider.plugin;
    let fail = |why: String| NoManifest { provider: name.clone(), plugin: plugin.clone(), why };
    if let Some(manifest) = Manifest::built_in(plugin) {
        return manifest.map_err(|error| fail(error.to_string()));
    }
    let component = std::fs::read(plugin).map_err(|error| fail(error.to_string()))?;
    Manifest::read(&component).map_err(|error| fail(error.to_string()))
}

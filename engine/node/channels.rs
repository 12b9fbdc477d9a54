//! From the configuration to installed providers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::StartError;
use crate::api::LoadedProvider;
use crate::channel::capture::Capture;
use crate::channel::wasm::{BUILT_IN, Host, Manifest, Plugin, Setup};
use crate::channel::{Address, Channel, ContentKind, SecretText, Traits};
use crate::config::{Config, Environment, OnUnknown, Provider};
use crate::dispatch::Installed;
use crate::model::{ChannelName, ProviderName};
use crate::pipeline::{Reporter, Reporters};

/// Channels with their providers, in the order of failover.
pub(super) type Channels = BTreeMap<ChannelName, Vec<Installed>>;

/// Channels that files may name without a provider being configured: the built-in plugins', and
/// those that every installation knows (docs/reference/api.md, preferences).
pub fn known() -> BTreeMap<ChannelName, Traits> {
    let mut known = BTreeMap::from([
        (ChannelName::from(ChannelName::IN_APP), Traits::INBOX),
        ("push".into(), interrupting(Address::Device)),
        ("sms".into(), interrupting(Address::Phone)),
    ]);
    for plugin in BUILT_IN {
        if let Some(Ok(manifest)) = Manifest::built_in(plugin) {
            known.insert(plugin.into(), manifest.traits(&serde_json::Value::Null));
        }
    }
    known
}

/// Loads every configured provider's plugin and sets it up. A provider that no
/// `[channels.<name>]` mentions serves the channel of its plugin's name, after those that are.
pub(super) async fn install(
    config: &Config,
    environment: &Environment,
    host: &Host,
) -> Result<(Channels, Vec<LoadedProvider>, Reporters), StartError> {
    let (mut about, mut reporters) = (Vec::new(), Reporters::new());
    let mut plugins: BTreeMap<&str, Plugin> = BTreeMap::new();
    let mut order: BTreeMap<ChannelName, Vec<&ProviderName>> = config
        .channels
        .iter()
        .map(|(name, channel)| (name.clone(), channel.providers.iter().collect()))
        .collect();
    for (name, provider) in &config.providers {
        if !plugins.contains_key(provider.plugin.as_str()) {
            let plugin = host.load(&provider.plugin).await.map_err(StartError::Plugin)?;
            plugins.insert(&provider.plugin, plugin);
        }
        if !order.values().flatten().any(|named| *named == name)
            && let Some(plugin) = plugins.get(provider.plugin.as_str())
        {
            order.entry(plugin.manifest().name.as_str().into()).or_default().push(name);
        }
    }
    let mut channels = Channels::new();
    for (channel, names) in order {
        for name in names {
            // The loader has seen to it that every name is a provider's.
            let Some(provider) = config.providers.get(name) else { continue };
            let Some(plugin) = plugins.get(provider.plugin.as_str()) else { continue };
            let installed = provide(name, provider, plugin, environment).await?;
            about.push(describe(name, plugin.manifest()));
            if let Some(rule) = &plugin.manifest().callbacks {
                let channel = installed.channel.clone();
                reporters.insert(name.clone(), Reporter { channel, delivery: rule.delivery() });
            }
            channels.entry(channel.clone()).or_default().push(installed);
        }
    }
    Ok((channels, about, reporters))
}

/// Gives every known channel that has no provider the capture provider.
pub(super) fn capture_the_rest(channels: &mut Channels, capture: &Capture) {
    for (channel, traits) in known() {
        if !channel.is_in_app() && !channels.contains_key(&channel) {
            channels.insert(channel, vec![captured(capture, traits)]);
        }
    }
}

/// The capture provider behind one channel's name.
pub(super) fn captured(capture: &Capture, traits: Traits) -> Installed {
    Installed {
        name: Capture::PROVIDER.into(),
        channel: Arc::new(capture.with_traits(traits)),
        rate: None,
        concurrency: 256,
        on_unknown: OnUnknown::Retry,
    }
}

async fn provide(
    name: &ProviderName,
    provider: &Provider,
    plugin: &Plugin,
    environment: &Environment,
) -> Result<Installed, StartError> {
    let mut secrets = BTreeMap::new();
    for (secret, place) in &provider.secrets {
        let text = place.resolve(environment).map_err(|source| StartError::Secret {
            key: format!("providers.{name}.secrets.{secret}"),
            source,
        })?;
        secrets.insert(secret.clone(), SecretText::new(text));
    }
    let setup = Setup {
        name: name.clone(),
        settings: provider.settings.clone(),
        secrets,
        reveal: std::collections::BTreeSet::new(),
        concurrency: provider.concurrency,
    };
    let channel: Arc<dyn Channel> = plugin.provider(setup).await.map_err(StartError::Provider)?;
    let on_unknown = provider.on_unknown.unwrap_or_else(|| on_unknown(channel.traits()));
    Ok(Installed {
        name: name.clone(),
        channel,
        rate: provider.rate,
        concurrency: provider.concurrency,
        on_unknown,
    })
}

fn describe(name: &ProviderName, manifest: &Manifest) -> LoadedProvider {
    let hosts = manifest.hosts.iter().map(|wish| format!("http {}", wish.host));
    let secrets = manifest.secrets.iter().map(|rule| format!("secret {}", rule.name));
    let mail = manifest.mail.iter().map(|_| "mail".to_owned());
    LoadedProvider {
        provider: name.to_string(),
        plugin: manifest.name.clone(),
        version: manifest.version.clone(),
        rights: hosts.chain(secrets).chain(mail).collect(),
    }
}

/// The default of `on_unknown` (docs/reference/configuration.md): again where the provider tells
/// repetitions, and for e-mail, whose Message-ID stays the same.
pub(super) fn on_unknown(traits: &Traits) -> OnUnknown {
    if traits.idempotent || traits.address == Address::Email {
        OnUnknown::Retry
    } else {
        OnUnknown::Hold
    }
}

fn interrupting(address: Address) -> Traits {
    Traits {
        interrupts: true,
        idempotent: false,
        address,
        kind: ContentKind::Text,
        fixed_address: false,
    }
}

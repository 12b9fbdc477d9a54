use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use super::fault::Fault;
use super::rights::Rights;
use super::secret::Vault;
use super::{Manifest, Plugin};
use crate::channel::SecretText;
use crate::egress::Grants;
use crate::egress::smtp::{Security, Server, Transport};
use crate::model::ProviderName;

/// What an operator says of one provider.
#[derive(Clone, Debug)]
pub struct Setup {
    pub name: ProviderName,
    /// Checked against the manifest's JSON Schema.
    pub settings: Map<String, Value>,
    /// By the manifest's names.
    pub secrets: BTreeMap<String, SecretText>,
    /// Secrets the plugin may see, if its manifest asks for that. Default none.
    pub reveal: BTreeSet<String>,
    /// Sends at once; 0 is taken for 1. The pool's slots hold too.
    pub concurrency: usize,
}

/// Why a provider cannot be set up: everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    #[error("provider `{provider}` (plugin `{plugin}`): {}", list(.errors))]
    Settings { provider: String, plugin: String, errors: Vec<SettingError> },
    /// The plugin broke down over its settings.
    #[error("provider `{provider}`: {why} (plugin `{plugin}`)")]
    Plugin { provider: String, plugin: String, why: String },
}

/// Where (a JSON pointer into the provider's table) and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    pub pointer: String,
    pub message: String,
}

/// Everything but the plugin's own view.
pub(super) fn rights(plugin: &Plugin, setup: &Setup) -> Result<Rights, ProviderError> {
    let manifest = plugin.manifest();
    let mut errors = Vec::new();
    check_settings(manifest, setup, &mut errors);
    let vault = fill_vault(manifest, setup, &mut errors);
    // What follows reads settings that fit their schema.
    let mail = match errors.is_empty() {
        true => transport(manifest, setup, &mut errors),
        false => None,
    };
    if !errors.is_empty() {
        return Err(ProviderError::settings(plugin, setup, errors));
    }
    let mut grants = Grants { hosts: manifest.host_rules(), settings: Vec::new() };
    grants.grant_settings(&setup.settings);
    let provider = setup.provider().to_owned();
    Ok(Rights { provider, grants, vault, mail, ..Rights::none(&plugin.0.host.0, manifest) })
}

fn check_settings(manifest: &Manifest, setup: &Setup, errors: &mut Vec<SettingError>) {
    let settings = Value::Object(setup.settings.clone());
    match jsonschema::validator_for(&manifest.config) {
        Ok(schema) => errors.extend(schema.iter_errors(&settings).map(|error| SettingError {
            pointer: format!("/settings{}", error.instance_path()),
            message: error.to_string(),
        })),
        Err(why) => errors.push(SettingError::new("/settings", why.to_string())),
    }
}

fn fill_vault(manifest: &Manifest, setup: &Setup, errors: &mut Vec<SettingError>) -> Vault {
    let mut vault = Vault::default();
    for (name, text) in &setup.secrets {
        let pointer = format!("/secrets/{name}");
        let Some(rule) = manifest.secret(name) else {
            errors.push(SettingError::new(pointer, unknown_secret(manifest)));
            continue;
        };
        if let Err(why) = vault.put(rule, text.clone(), setup.reveal.contains(name)) {
            errors.push(SettingError::new(pointer, why));
        }
    }
    for rule in manifest.secrets.iter().filter(|rule| !setup.secrets.contains_key(&rule.name)) {
        if rule.required {
            let message = format!("it is missing: it {}", rule.reason);
            errors.push(SettingError::new(format!("/secrets/{}", rule.name), message));
        } else if let Some(absent) = &rule.absent {
            tracing::warn!(
                provider = setup.provider(),
                "provider `{}` has no secret `{}`: {absent}",
                setup.provider(),
                rule.name
            );
        }
    }
    vault
}

fn unknown_secret(manifest: &Manifest) -> String {
    let known: Vec<_> = manifest.secrets.iter().map(|rule| format!("`{}`", rule.name)).collect();
    match known.is_empty() {
        true => "the plugin uses no secrets".into(),
        false => format!("the plugin's secrets are {}", known.join(", ")),
    }
}

/// The SMTP transport a manifest asks for. Without `tls`, what is safe: none on this machine,
/// TLS on its own port, STARTTLS anywhere else.
fn transport(
    manifest: &Manifest,
    setup: &Setup,
    errors: &mut Vec<SettingError>,
) -> Option<(String, Transport)> {
    let wish = manifest.mail.as_ref()?;
    let text = |name: &str| setup.settings.get(name).and_then(Value::as_str);
    let host = text("host")?.to_owned();
    let port = setup.settings.get("port").and_then(Value::as_u64);
    let port = port.and_then(|port| u16::try_from(port).ok());
    let security = match (text("tls"), port) {
        (Some("none"), _) => Security::None,
        (Some("starttls"), _) => Security::StartTls,
        (Some("tls"), _) | (_, Some(465)) => Security::Tls,
        _ if Server::is_local(&host) => Security::None,
        _ => Security::StartTls,
    };
    let port = port.unwrap_or(match security {
        Security::None => 25,
        Security::StartTls => 587,
        Security::Tls => 465,
    });
    let login = match (text("username"), setup.secrets.get("password")) {
        (Some(user), Some(password)) => Some((user.to_owned(), password.expose().to_owned())),
        (None, None) => None,
        (Some(_), None) => {
            errors.push(SettingError::new("/secrets/password", "`username` needs a password"));
            None
        }
        (None, Some(_)) => {
            errors.push(SettingError::new("/settings/username", "the password needs a username"));
            None
        }
    };
    match Transport::new(Server { host, port, security, login }) {
        Ok(transport) => Some((wish.transport.clone(), transport)),
        Err(why) => {
            errors.push(SettingError::new("/settings/host", why.to_string()));
            None
        }
    }
}

impl Setup {
    /// Without settings and secrets, for up to 64 sends at once.
    pub fn new(name: ProviderName) -> Self {
        Self {
            name,
            settings: Map::new(),
            secrets: BTreeMap::new(),
            reveal: BTreeSet::new(),
            concurrency: 64,
        }
    }

    pub(super) fn provider(&self) -> &str {
        self.name.as_str()
    }
}

impl SettingError {
    pub(super) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.pointer, self.message)
    }
}

impl ProviderError {
    pub(super) fn settings(plugin: &Plugin, setup: &Setup, errors: Vec<SettingError>) -> Self {
        let plugin = plugin.manifest().name.clone();
        Self::Settings { provider: setup.provider().into(), plugin, errors }
    }

    pub(super) fn plugin(plugin: &Plugin, setup: &Setup, fault: Fault) -> Self {
        let (provider, plugin) = (setup.provider().into(), plugin.manifest().name.clone());
        Self::Plugin { provider, plugin, why: fault.to_string() }
    }
}

fn list(errors: &[SettingError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

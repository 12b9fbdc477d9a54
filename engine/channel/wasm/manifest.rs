use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use wasmparser::{Parser, Payload};

use crate::channel::{Address, ContentKind, Traits};
use crate::egress::HostRule;
use crate::model::Fate;

/// The custom section that holds the manifest, in the component or a module of it.
const SECTION: &str = "nuncio:manifest";

/// The interface this engine speaks: any 1.x.
const API_MAJOR: &str = "1";

/// What a plugin says of itself, read without running any of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    /// The version of `nuncio:channel` it was built for (`1.0`).
    pub api: String,
    #[serde(default)]
    pub licence: Option<String>,
    #[serde(default)]
    pub summary: Option<String>,
    /// People notice it: quiet hours and budgets bind it. Default true.
    #[serde(default = "yes")]
    pub interrupts: bool,
    /// The provider tells repetitions by the idempotency key. Default false.
    #[serde(default)]
    pub idempotent: bool,
    /// Where a user's address stands: `email`, `phone`, `device`, or `data.<key>`.
    pub address: AddressField,
    /// A JSON pointer into the settings: set there, it is everyone's address.
    #[serde(default)]
    pub fixed_address: Option<String>,
    /// At least one; the first is what templates are written for unless they say otherwise.
    pub content: Vec<ContentRule>,
    #[serde(default)]
    pub hosts: Vec<HostWish>,
    #[serde(default)]
    pub secrets: Vec<SecretRule>,
    #[serde(default)]
    pub mail: Option<MailWish>,
    /// Its provider reports what becomes of messages; the plugin exports `callbacks`.
    #[serde(default)]
    pub callbacks: Option<CallbackRule>,
    /// The settings' JSON Schema (2020-12).
    #[serde(default = "any_object")]
    pub config: Value,
}

/// One kind of content: its parts, and how they are escaped.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentRule {
    pub kind: String,
    /// Default: by the kind's name, else `text`.
    #[serde(default)]
    pub escape: Option<Escape>,
    #[serde(default)]
    pub parts: BTreeMap<String, PartRule>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartRule {
    pub required: bool,
    /// In which `limit` counts. Default bytes.
    pub unit: Unit,
    pub limit: Option<u64>,
    /// A JSON Schema, for a part that is data.
    pub schema: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    #[default]
    Bytes,
    Gsm7,
    Ucs2,
    Utf16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Escape {
    Html,
    Text,
    Json,
}

/// A host the plugin wants to reach.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostWish {
    /// `api.example.com`, `*.example.com`, or `*`.
    pub host: String,
    /// Default any.
    #[serde(default)]
    pub methods: Vec<String>,
    pub reason: String,
}

/// A secret the plugin uses by its name, without seeing it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRule {
    pub name: String,
    pub reason: String,
    /// `sign:<algorithm>`, `bearer`, `basic`, `header`, `query`, `path`, `mail`: nowhere else.
    pub placement: Vec<String>,
    /// The hosts it may be sent to. Default: those of `hosts`.
    #[serde(default)]
    pub hosts: Vec<String>,
    #[serde(default)]
    pub required: bool,
    /// What happens without it; said once at start.
    #[serde(default)]
    pub absent: Option<String>,
    /// `whsec`: after that prefix comes base64. Default: the text's bytes.
    #[serde(default)]
    pub encoding: Option<Encoding>,
    /// The plugin asks to see it. The operator has to grant that too.
    #[serde(default)]
    pub reveal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    Whsec,
}

/// The plugin wants an SMTP transport of that name, made of settings.host, port, tls and username
/// and of secrets.password.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailWish {
    pub transport: String,
}

/// What a provider reports, and how one knows that it is the provider.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackRule {
    /// Of `delivered`, `bounced` and `complained`. With `delivered` among them, a message counts as
    /// delivered once that is reported, not when the provider takes it.
    pub states: Vec<String>,
    /// For a reader: what is checked.
    pub verification: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AddressField(pub Address);

/// What is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("it has no manifest (custom section `nuncio:manifest`)")]
    Absent,
    #[error("its manifest does not parse: {0}")]
    Toml(String),
    #[error("its manifest's `{field}` {why}")]
    Field { field: &'static str, why: String },
    #[error("it is built for version {built_for} of the interface, and this is {API_MAJOR}.x")]
    Api { built_for: String },
}

impl Manifest {
    /// That of a plugin inside the engine; `None` if there is none of that name.
    pub fn built_in(name: &str) -> Option<Result<Self, ManifestError>> {
        super::load::built_in(name).map(Self::read)
    }

    /// Finds the manifest in a component and checks it.
    pub fn read(component: &[u8]) -> Result<Self, ManifestError> {
        let section = Parser::new(0).parse_all(component).find_map(|payload| match payload {
            Ok(Payload::CustomSection(section)) if section.name() == SECTION => {
                Some(section.data())
            }
            _ => None,
        });
        let text = std::str::from_utf8(section.ok_or(ManifestError::Absent)?)
            .map_err(|why| ManifestError::Toml(why.to_string()))?;
        Self::parse(text)
    }

    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self =
            toml::from_str(text).map_err(|why| ManifestError::Toml(why.to_string()))?;
        let fail = |field, why: &str| Err(ManifestError::Field { field, why: why.into() });
        if manifest.api.split('.').next() != Some(API_MAJOR) {
            return Err(ManifestError::Api { built_for: manifest.api });
        }
        if manifest.name.is_empty() {
            return fail("name", "is empty");
        }
        if manifest.content.is_empty() {
            return fail("content", "names no kind");
        }
        let states = manifest.callbacks.as_ref().map(|rule| rule.states.as_slice());
        let known = |state: &String| Fate::ALL.iter().any(|fate| fate.as_str() == state);
        if let Some(other) = states.unwrap_or_default().iter().find(|state| !known(state)) {
            return fail("callbacks.states", &format!("has `{other}`, which is no state"));
        }
        if let Err(why) = jsonschema::validator_for(&manifest.config) {
            return fail("config", &format!("is no JSON Schema: {why}"));
        }
        Ok(manifest)
    }

    /// The first content kind.
    pub(super) fn kind(&self) -> &str {
        self.content.first().map_or("text", |content| &content.kind)
    }

    pub(super) fn secret(&self, name: &str) -> Option<&SecretRule> {
        self.secrets.iter().find(|secret| secret.name == name)
    }

    pub(super) fn host_rules(&self) -> Vec<HostRule> {
        let rule = |wish: &HostWish| HostRule {
            host: wish.host.to_ascii_lowercase(),
            methods: wish.methods.clone(),
        };
        self.hosts.iter().map(rule).collect()
    }

    /// The channel's traits, under these settings.
    pub fn traits(&self, settings: &Value) -> Traits {
        let fixed = self.fixed_address.as_deref().and_then(|pointer| settings.pointer(pointer));
        Traits {
            interrupts: self.interrupts,
            idempotent: self.idempotent,
            address: self.address.0.clone(),
            kind: self.content.first().map_or(ContentKind::Text, ContentRule::kind),
            fixed_address: fixed.is_some(),
        }
    }
}

impl CallbackRule {
    /// Whether deliveries are reported.
    pub fn delivery(&self) -> bool {
        self.states.iter().any(|state| state == Fate::Delivered.as_str())
    }
}

impl ContentRule {
    fn kind(&self) -> ContentKind {
        match (self.escape, self.kind.as_str()) {
            (Some(Escape::Html), _) | (None, "html") => ContentKind::Html,
            (Some(Escape::Json), _) | (None, "json") => ContentKind::Json,
            _ => ContentKind::Text,
        }
    }
}

impl TryFrom<String> for AddressField {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(Self(match text.as_str() {
            "email" => Address::Email,
            "phone" => Address::Phone,
            "device" => Address::Device,
            text => match text.strip_prefix("data.").filter(|key| !key.is_empty()) {
                Some(key) => Address::Data(key.into()),
                None => {
                    return Err(format!(
                        "`{text}` is no `email`, `phone`, `device` or `data.<key>`"
                    ));
                }
            },
        }))
    }
}

fn yes() -> bool {
    true
}

fn any_object() -> Value {
    serde_json::json!({ "type": "object" })
}

use std::collections::BTreeMap;

use super::{Config, Origin};

/// One setting as `nuncio config` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `store.url`.
    pub key: String,
    /// As TOML writes it. Texts of secrets, and passwords in URLs, are `***`.
    pub value: String,
    pub origin: Origin,
}

/// Everything that is in force. What is unset and has no default is left out.
pub(super) fn settings(config: &Config, origins: &BTreeMap<Vec<String>, Origin>) -> Vec<Setting> {
    let table = toml::Value::try_from(config).expect("a configuration is made of TOML's values");
    let mut settings = Vec::new();
    flatten(&table, &mut Vec::new(), &mut |path, value| {
        let origin = origins.get(path).cloned().unwrap_or(Origin::Default);
        settings.push(Setting { key: dotted(path), value: masked(value), origin });
    });
    settings
}

/// A path as TOML writes it.
pub(super) fn dotted(path: &[String]) -> String {
    let bare = |key: &str| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    let keys: Vec<String> =
        path.iter().map(|key| if bare(key) { key.clone() } else { format!("{key:?}") }).collect();
    keys.join(".")
}

/// Whether what stands at `path` may not be shown.
pub(super) fn is_secret(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(
        path[..],
        ["auth", "secret"]
            | ["redis", "url"]
            | ["sources", "outbox", "url"]
            | ["providers", _, "secrets", ..]
            | ["encryption", "keys", ..]
            | ["telemetry", "otlp", "headers", ..]
    )
}

fn flatten(
    value: &toml::Value,
    path: &mut Vec<String>,
    leaf: &mut impl FnMut(&[String], &toml::Value),
) {
    let toml::Value::Table(table) = value else { return leaf(path, value) };
    for (key, value) in table {
        path.push(key.clone());
        flatten(value, path, leaf);
        path.pop();
    }
}

fn masked(value: &toml::Value) -> String {
    let url = value.as_str().and_then(|text| text.parse::<url::Url>().ok());
    match url.filter(|url| url.password().is_some()) {
        Some(mut url) => {
            // Only a URL without a host refuses, and that has no password either.
            let _ = url.set_password(Some("***"));
            toml::Value::from(url.as_str()).to_string()
        }
        None => value.to_string(),
    }
}

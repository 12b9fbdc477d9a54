use std::collections::BTreeMap;

use super::{ConfigError, Origin};
use crate::diagnostic::did_you_mean;

/// What every variable of ours begins with.
const PREFIX: &str = "NUNCIO_";
/// Between the names of nested keys: `NUNCIO_STORE__URL` is `store.url`.
const NESTING: &str = "__";
const SECTIONS: [&str; 11] = [
    "server",
    "store",
    "redis",
    "sources",
    "auth",
    "engine",
    "channels",
    "providers",
    "relay",
    "egress",
    "telemetry",
];

/// The process's environment, or a map that stands for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

/// A variable that sets something.
pub(super) struct Variable<'e> {
    pub name: &'e str,
    pub path: Vec<String>,
    pub value: &'e str,
}

impl Environment {
    /// The process's own, as it is now. Variables that are not Unicode are left out.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variables that set something; those that look as if they were meant to are errors.
    pub(super) fn settings(&self) -> impl Iterator<Item = Result<Variable<'_>, ConfigError>> {
        self.0.iter().filter_map(|(name, value)| {
            let path = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
            if path.contains(NESTING) {
                let path: Vec<String> = path.split(NESTING).map(str::to_owned).collect();
                let known = path[0].as_str();
                return Some(match SECTIONS.contains(&known) {
                    true => Ok(Variable { name, path, value }),
                    false => Err(unknown_section(name, known)),
                });
            }
            let (section, key) = path.split_once('_')?;
            SECTIONS.contains(&section).then(|| Err(single_underscore(name, section, key)))
        })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

fn unknown_section(name: &str, section: &str) -> ConfigError {
    let hint = match did_you_mean(section, SECTIONS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known sections: {}", SECTIONS.join(", ")),
    };
    ConfigError {
        code: "config.unknown_key",
        at: Origin::Environment(name.into()),
        message: format!("unknown section `{section}`"),
        hint: Some(hint),
    }
}

fn single_underscore(name: &str, section: &str, key: &str) -> ConfigError {
    let meant = format!("{PREFIX}{section}{NESTING}{key}").to_ascii_uppercase();
    ConfigError {
        code: "config.unknown_key",
        at: Origin::Environment(name.into()),
        message: format!("`{name}` sets nothing"),
        hint: Some(format!("two underscores part a section from its key: `{meant}`")),
    }
}

use std::collections::BTreeMap;
use std::path::Path;

use super::check::check;
use super::document::{Document, Fault};
use super::error::unknown_key;
use super::setting::{is_secret, settings};
use super::{Config, ConfigError, Environment, Origin, Setting};

/// A file longer than this is none of ours. Bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// What is in force, and where each value of it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub config: Config,
    /// Every setting, defaults too, in the order of their keys; secrets are masked.
    pub settings: Vec<Setting>,
}

/// A setting given on the command line: `--port` sets `server.bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// As it was typed (`--port`).
    pub name: String,
    /// `server.bind`.
    pub key: String,
    pub value: String,
}

/// Puts the configuration together: defaults, the file at `path` (`None`: no file), variables
/// `NUNCIO_SECTION__KEY`, then `flags`. The later wins, value by value.
///
/// A variable's value is read as TOML (`8080`, `true`, `["smtp", "backup"]`), and as text where
/// that does not fit.
///
/// # Errors
/// Everything that is wrong, in the order of the file: unknown keys with the nearest known one,
/// values of the wrong kind, and, once each value is right by itself, values that do not go
/// together.
pub fn load(
    path: Option<&Path>,
    environment: &Environment,
    flags: &[Flag],
) -> Result<Loaded, Vec<ConfigError>> {
    let text = path.map_or(Ok(String::new()), read).map_err(|error| vec![error])?;
    let (mut document, mut errors) = Document::parse(path.unwrap_or(Path::new("")), &text);
    for variable in environment.settings() {
        match variable {
            Ok(variable) => {
                let origin = Origin::Environment(variable.name.into());
                document.set(&variable.path, &origin, variable.value);
            }
            Err(error) => errors.push(error),
        }
    }
    for flag in flags {
        let path: Vec<String> = flag.key.split('.').map(str::to_owned).collect();
        document.set(&path, &Origin::Flag(flag.name.clone()), &flag.value);
    }
    let config = read_all(&mut document, &mut errors);
    let origins = document.origins();
    if errors.is_empty() {
        check(&config, &origins, &mut errors);
    }
    if errors.is_empty() {
        let settings = settings(&config, &origins);
        return Ok(Loaded { config, settings });
    }
    errors.sort_by(|a, b| a.at.cmp(&b.at));
    Err(errors)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |why: String| ConfigError {
        code: "config.unreadable",
        at: Origin::File { path: path.into(), line: 1, column: 1 },
        message: why,
        hint: None,
    };
    let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > FILE_LIMIT {
        return Err(unreadable(format!("the file has {length} bytes; {FILE_LIMIT} is the most")));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
}

/// Reads the document as often as something in it is wrong, leaving that out the next time: so
/// each error is told, not the first.
fn read_all(document: &mut Document, errors: &mut Vec<ConfigError>) -> Config {
    let mut first_words = BTreeMap::new();
    loop {
        let fault = match document.deserialize() {
            Ok(config) => return config,
            Err(fault) => fault,
        };
        if document.as_text(&fault.path) {
            // What the value was to be is said better of the value as it was written.
            first_words.insert(fault.path.clone(), fault.message);
            continue;
        }
        if fault.path.is_empty() || !document.remove(&fault.path) {
            errors.push(error(fault));
            return Config::default();
        }
        let message = first_words.remove(&fault.path).unwrap_or(fault.message);
        errors.push(error(Fault { message, ..fault }));
    }
}

fn error(fault: Fault) -> ConfigError {
    let key = super::setting::dotted(&fault.path);
    if let Some(error) = unknown_key(&fault.at, &key, &fault.message) {
        return error;
    }
    // serde quotes what it was given: not of a secret.
    let message = if is_secret(&fault.path) {
        format!("`{key}` is no secret: write `env:NAME`, `file:PATH` or the text itself")
    } else {
        format!("`{key}`: {}", fault.message)
    };
    ConfigError { code: "config.value", at: fault.at, message, hint: None }
}

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Environment;

/// Where a secret is to be had: `env:NAME`, `file:PATH`, or the text itself. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Env(String),
    File(PathBuf),
    Text(String),
}

/// Why there is no secret. Says where it was looked for, never what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    #[error("the environment has no `{name}`")]
    Absent { name: String },
    #[error("the secret's file `{}` cannot be read", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the secret of `{0:?}` is empty")]
    Empty(Secret),
}

impl Secret {
    /// The secret's text. A file's last line break is not part of it.
    ///
    /// # Errors
    /// The variable or the file is not there, or what it holds is empty.
    pub fn resolve(&self, environment: &Environment) -> Result<String, SecretError> {
        let text = match self {
            Self::Env(name) => {
                let absent = || SecretError::Absent { name: name.clone() };
                environment.get(name).ok_or_else(absent)?.to_owned()
            }
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| SecretError::Unreadable { path: path.clone(), source })?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                line.strip_suffix('\r').unwrap_or(line).to_owned()
            }
            Self::Text(text) => text.clone(),
        };
        if text.is_empty() { Err(SecretError::Empty(self.clone())) } else { Ok(text) }
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        match text.split_once(':') {
            Some(("env", name)) => Self::Env(name.into()),
            Some(("file", path)) => Self::File(path.into()),
            _ => Self::Text(text.into()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Text(_) => f.write_str("***"),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&*String::deserialize(deserializer)?))
    }
}

/// Masked: as [`fmt::Debug`] shows it.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

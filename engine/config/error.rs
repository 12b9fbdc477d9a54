use std::fmt;
use std::path::PathBuf;

use crate::diagnostic::did_you_mean;

/// Something about the configuration that is not right, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct ConfigError {
    /// Stable: `config.unreadable`, `config.syntax`, `config.unknown_key`, `config.value`,
    /// `config.conflict`.
    pub code: &'static str,
    pub at: Origin,
    /// Holds no secret.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

/// Where a value comes from. Ordered as they are read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Default,
    /// Line and column count from 1; columns are characters.
    File {
        path: PathBuf,
        line: usize,
        column: usize,
    },
    /// The variable's name.
    Environment(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The error of a key that does not exist, if that is what serde's `message` says
/// ("unknown field `prot`, expected one of `port`, `host`").
pub(super) fn unknown_key(at: &Origin, key: &str, message: &str) -> Option<ConfigError> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    let hint = match did_you_mean(unknown, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    Some(ConfigError {
        code: "config.unknown_key",
        at: at.clone(),
        message: format!("unknown key `{key}`"),
        hint: Some(hint),
    })
}

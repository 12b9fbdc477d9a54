use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// Something that a person or a service changed by hand.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    pub at: Timestamp,
    /// `key <name>`, `user <sub>`, `command line`, or `node` for what a signal or a changed file
    /// brought about.
    pub who: String,
    pub what: Deed,
    /// The id or the name of what was changed; empty where it is many.
    pub about: String,
    /// Filters and counts; nobody's addresses or words.
    pub detail: Value,
}

/// What is recorded. Stored as the word: never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Deed {
    #[serde(rename = "key.new")]
    KeyNew,
    #[serde(rename = "key.revoke")]
    KeyRevoke,
    #[serde(rename = "letters.redrive")]
    LettersRedrive,
    #[serde(rename = "message.cancel")]
    MessageCancel,
    #[serde(rename = "message.retry")]
    MessageRetry,
    #[serde(rename = "preferences.change")]
    PreferencesChange,
    #[serde(rename = "runs.cancel")]
    RunsCancel,
    #[serde(rename = "user.erase")]
    UserErase,
    #[serde(rename = "workflows.reload")]
    WorkflowsReload,
}

impl Deed {
    pub const ALL: [Self; 9] = [
        Self::KeyNew,
        Self::KeyRevoke,
        Self::LettersRedrive,
        Self::MessageCancel,
        Self::MessageRetry,
        Self::PreferencesChange,
        Self::RunsCancel,
        Self::UserErase,
        Self::WorkflowsReload,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyNew => "key.new",
            Self::KeyRevoke => "key.revoke",
            Self::LettersRedrive => "letters.redrive",
            Self::MessageCancel => "message.cancel",
            Self::MessageRetry => "message.retry",
            Self::PreferencesChange => "preferences.change",
            Self::RunsCancel => "runs.cancel",
            Self::UserErase => "user.erase",
            Self::WorkflowsReload => "workflows.reload",
        }
    }

    /// The deed of a stored or asked word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|deed| deed.as_str() == word)
    }
}

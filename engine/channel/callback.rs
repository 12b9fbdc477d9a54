//! What providers tell us of their own accord: delivery reports, and what people answered.

use super::Failure;
use crate::model::Fate;

/// A request of a provider, as it came. Nobody has made sure of who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What the plugin made of a request that it found genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// What the provider is to be answered.
    pub status: u16,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    pub updates: Vec<Update>,
    /// What people answered; counted alone.
    pub incoming: usize,
}

/// One message's fate, by the provider's own id for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub receipt: String,
    /// `None`: a state that is none of ours.
    pub fate: Option<Fate>,
    /// Of a bounce: the address may work another time.
    pub soft: bool,
    /// For the time line; without secrets and control characters.
    pub code: Option<String>,
    pub detail: Option<String>,
}

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    #[error("the provider does not call back")]
    Unsupported,
    /// The plugin does not believe it, or cannot read it.
    #[error("the plugin refuses the request")]
    Refused,
    #[error("no place came free in time")]
    Busy,
    #[error("{}", .0.message)]
    Fault(Failure),
}

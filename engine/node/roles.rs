//! What a node of several does.

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Role {
    /// Takes events and answers the inbox.
    Api,
    /// Plans and sends.
    Worker,
    /// Holds the clients' WebSockets.
    Relay,
}

/// The parts that one node does. Default: all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub api: bool,
    pub worker: bool,
    pub relay: bool,
}

impl Default for Roles {
    fn default() -> Self {
        Self { api: true, worker: true, relay: true }
    }
}

impl Roles {
    /// Exactly `named`; all where that is empty.
    pub fn of(named: &[Role]) -> Self {
        if named.is_empty() {
            return Self::default();
        }
        let does = |role| named.contains(&role);
        Self { api: does(Role::Api), worker: does(Role::Worker), relay: does(Role::Relay) }
    }

    /// Whether this node does everything, as the only one must.
    pub fn are_all(self) -> bool {
        self == Self::default()
    }
}

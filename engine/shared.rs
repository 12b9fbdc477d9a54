//! What nodes share and may lose: rates, and the bus between their relays. Redis, or nothing.
//!
//! Nothing here is needed. A call answers within [`CALL`], or says that there is no answer and the
//! caller goes on alone; after one failure all calls say so at once, until a task of ours has
//! found the server well again. What is remembered for good is in `store`.

mod bus;
mod link;
mod rate;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::DropGuard;

pub use bus::{Heard, Listener, Sender};

use crate::clock::Clock;
use link::Link;

/// The longest that a caller waits for Redis.
pub const CALL: Duration = Duration::from_millis(100);

/// The way to what is shared. Clones share it; the last one's end closes the connections.
#[derive(Clone, Default)]
pub struct Shared(Option<Arc<Held>>);

struct Held {
    link: Arc<Link>,
    /// Ends the tasks.
    _end: DropGuard,
}

/// How it is with Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is not configured.
    None,
    Up,
    /// Each node goes on alone.
    Down,
}

/// `count` in each `per`, evenly spaced, with one second's share at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub per: Duration,
}

/// The URL is none that can be connected to. It is not told: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("`redis.url` is no URL of a Redis: write it as `redis://host:6379/` or `rediss://…`")]
pub struct BadUrl;

impl Shared {
    /// No other node is known.
    pub fn local() -> Self {
        Self(None)
    }

    /// Never waits: the connection is made, and made again, by a task. `prefix` begins the name of
    /// all that is kept there. Must be called within a runtime.
    ///
    /// # Errors
    /// The URL cannot be read. A server that is not there is no error.
    pub fn connect(url: &str, prefix: &str, clock: &Clock) -> Result<Self, BadUrl> {
        let link = Link::start(url, prefix, clock)?;
        let _end = link.ended.clone().drop_guard();
        Ok(Self(Some(Arc::new(Held { link, _end }))))
    }

    /// How it is now.
    pub fn state(&self) -> State {
        self.link().map_or(State::None, |link| *link.state().borrow())
    }

    /// Follows the state; `None` without Redis.
    pub fn states(&self) -> Option<watch::Receiver<State>> {
        self.link().map(|link| link.state())
    }

    /// Takes one of the rate that all nodes share under `key`; else says after how long the next
    /// is free. `None`: Redis does not tell, within [`CALL`] at most, and the node's own limit
    /// holds.
    pub async fn take(&self, key: &str, rate: Rate) -> Option<Result<(), Duration>> {
        rate::take(self.link()?, key, rate).await
    }

    /// Both ends of a channel that every node hears but its sender. `node` names this one.
    /// `None` without Redis.
    pub fn bus(&self, channel: &str, node: &str) -> Option<(Sender, Listener)> {
        self.link().map(|link| bus::bus(link, channel, node))
    }

    fn link(&self) -> Option<&Arc<Link>> {
        self.0.as_ref().map(|held| &held.link)
    }
}

impl State {
    /// As probes show it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

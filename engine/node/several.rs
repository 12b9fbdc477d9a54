//! What ties the nodes of one installation together, where there may be several.

use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::relay::{Following, Hub};
use crate::shared::{Shared, State};
use crate::store::Store;

/// The hub, and what it hears of other nodes.
pub(super) struct Followed {
    pub hub: Arc<Hub>,
    _following: Option<Following>,
}

pub(super) fn shared(
    config: &Config,
    environment: &Environment,
    clock: &Clock,
) -> Result<Shared, StartError> {
    let Some(url) = &config.redis.url else { return Ok(Shared::local()) };
    let url = url.resolve(environment);
    let url = url.map_err(|source| StartError::Secret { key: "redis.url".into(), source })?;
    Ok(Shared::connect(&url, &config.redis.prefix, clock)?)
}

/// A file is worked by one node, so that there is nobody to follow, unless a Redis says otherwise.
pub(super) fn hub(
    config: &Config,
    store: &Arc<dyn Store>,
    shared: &Shared,
    clock: &Clock,
) -> Followed {
    let hub = Arc::new(Hub::new(&config.relay, clock.clone()));
    let several = shared.state() != State::None || !config.store.url.starts_with("sqlite:");
    let _following = several.then(|| hub.follow(store.clone(), shared, clock));
    Followed { hub, _following }
}

impl Followed {
    /// Sends all clients away, at moments spread over `spread`; until then they hear of all nodes.
    pub async fn close(self, spread: Duration) {
        self.hub.close(spread).await;
    }
}

//! One attempt at one provider: behind its rate and concurrency, with a deadline.
//!
//! The only caller of [`Channel::send`], and only for a `Rendered`. It knows nothing of rows: the
//! caller hands in `depart`, which makes the attempt durable before the provider hears of it.

mod provider;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::channel::{Channel, Outcome, Traits};
use crate::clock::Clock;
use crate::config::{OnUnknown, Rate};
use crate::model::{AttemptNumber, ChannelName, ProviderName};
use crate::render::Rendered;
use provider::Gatekeeper;

/// A provider to be put behind a channel's name.
pub struct Installed {
    pub name: ProviderName,
    pub channel: Arc<dyn Channel>,
    pub rate: Option<Rate>,
    /// Sends at once.
    pub concurrency: usize,
    pub on_unknown: OnUnknown,
}

/// Every channel with its providers, in the order of failover.
pub struct Dispatch {
    channels: BTreeMap<ChannelName, Vec<Arc<Gatekeeper>>>,
    fallback: Option<Arc<Gatekeeper>>,
    clock: Clock,
    timeout: Duration,
}

/// How it went.
#[derive(Debug)]
pub enum Dispatched {
    /// One attempt was made.
    Attempted {
        provider: ProviderName,
        started_at: Timestamp,
        finished_at: Timestamp,
        outcome: Outcome,
        /// This provider tells repetitions, or the operator accepts them.
        retry_unknown: bool,
    },
    /// The provider's rate is used up until then; no attempt was made.
    Later { provider: ProviderName, at: Timestamp },
    /// `depart` said no: the message is another's now, or cancelled.
    Withdrawn,
    /// No provider is configured for the channel.
    NoProvider,
}

impl Dispatch {
    /// `fallback` takes what no configured provider can (the capture provider of `dev`);
    /// `timeout` is one attempt's longest time.
    pub fn new(
        installed: BTreeMap<ChannelName, Vec<Installed>>,
        fallback: Option<Installed>,
        clock: Clock,
        timeout: Duration,
    ) -> Self {
        let guard = |installed| Arc::new(Gatekeeper::new(installed, clock.clone()));
        let channels = installed
            .into_iter()
            .map(|(channel, providers)| (channel, providers.into_iter().map(guard).collect()))
            .collect();
        let fallback = fallback.map(guard);
        Self { channels, fallback, clock, timeout }
    }

    /// What the gates ask of a channel: its first provider's answer.
    pub fn traits(&self, channel: &ChannelName) -> Option<&Traits> {
        let first = self.channels.get(channel).and_then(|providers| providers.first());
        first.or(self.fallback.as_ref()).map(|provider| provider.traits())
    }

    /// Whether `provider` tells repetitions apart, or the operator accepts them.
    pub fn retries_unknown(&self, channel: &ChannelName, provider: &ProviderName) -> bool {
        self.provider(channel, std::slice::from_ref(provider))
            .is_some_and(|provider| provider.retries_unknown())
    }

    /// Makes one attempt with the first of `order` (the channel's own order where empty).
    ///
    /// `depart` is called when the provider's turn has come, just before it hears of the message;
    /// an error of it is passed on, and nothing was sent.
    pub async fn send<E>(
        &self,
        rendered: &Rendered,
        attempt: AttemptNumber,
        order: &[ProviderName],
        depart: impl AsyncFnOnce(&ProviderName, Timestamp) -> Result<bool, E>,
    ) -> Result<Dispatched, E> {
        let Some(provider) = self.provider(rendered.channel(), order) else {
            return Ok(Dispatched::NoProvider);
        };
        if let Err(at) = provider.take_rate() {
            return Ok(Dispatched::Later { provider: provider.name().clone(), at });
        }
        let _turn = provider.turn().await;
        let started_at = self.clock.now();
        if !depart(provider.name(), started_at).await? {
            return Ok(Dispatched::Withdrawn);
        }
        let parcel = rendered.parcel(attempt, started_at);
        let outcome = provider.send(&parcel, self.timeout).await;
        Ok(Dispatched::Attempted {
            provider: provider.name().clone(),
            started_at,
            finished_at: self.clock.now(),
            outcome,
            retry_unknown: provider.retries_unknown(),
        })
    }

    fn provider(&self, channel: &ChannelName, order: &[ProviderName]) -> Option<&Arc<Gatekeeper>> {
        let providers = self.channels.get(channel).map(Vec::as_slice).unwrap_or_default();
        let chosen = match order {
            [] => providers.first(),
            order => order
                .iter()
                .find_map(|name| providers.iter().find(|provider| provider.name() == name)),
        };
        chosen.or(self.fallback.as_ref())
    }
}

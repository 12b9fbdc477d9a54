//! From a rendered message to the outcome of a provider: rates and turns, breakers, failover.
//!
//! The only caller of [`Channel::send`], and only for a `Rendered`. A message is let in by the
//! first provider of its channel that is well and has a place; one that surely did not send it
//! gives it to the next. What keeps it from all of them puts it off, and never fails it.
//!
//! Of the store it knows the breakers alone: the caller hands in a [`Depart`], which makes
//! each attempt durable before its provider hears of it.

mod board;
mod destination;
mod door;
mod entry;
mod line;
mod pace;
mod provider;
mod refusal;
mod setback;
mod standing;
mod turn;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::channel::{Channel, Outcome, Traits};
use crate::clock::Clock;
use crate::config::{self, OnUnknown, Rate};
use crate::model::{AttemptNumber, ChannelName, Priority, ProviderName};
use crate::render::Rendered;
use crate::store::Store;
use board::Board;
use destination::Destination;
use entry::Entry;
use provider::{Asking, Gatekeeper};
use refusal::Refusal;

pub use pace::{OwnPace, Pace, SharedPace};

/// A probe's time beyond that of its attempt: to be written down.
const WRITTEN: Duration = Duration::from_secs(5);

/// A provider to be put behind a channel's name.
pub struct Installed {
    pub name: ProviderName,
    pub channel: Arc<dyn Channel>,
    pub rate: Option<Rate>,
    /// Sends at once.
    pub concurrency: usize,
    pub on_unknown: OnUnknown,
    pub breaker: config::Breaker,
}

/// Every channel with its providers, in the order of failover.
pub struct Dispatch {
    channels: BTreeMap<ChannelName, Vec<Arc<Gatekeeper>>>,
    fallback: Option<Arc<Gatekeeper>>,
    clock: Clock,
    timeout: Duration,
    board: Board,
    pace: Arc<dyn Pace>,
}

/// How it went.
#[derive(Debug)]
pub enum Dispatched {
    /// A provider was asked.
    Attempted {
        /// The last attempt; those before it went with the departures.
        tried: Tried,
        /// Providers that were not asked, each with why.
        passed: Vec<Passed>,
    },
    /// None could be asked, and it comes back at `at`; no attempt was made.
    Later { passed: Passed, at: Timestamp },
    /// [`Depart`] said no: the message is another's now, or cancelled.
    Withdrawn,
    /// No provider is configured for the channel.
    NoProvider,
}

/// One attempt at one provider.
#[derive(Clone, Debug)]
pub struct Tried {
    pub provider: ProviderName,
    pub number: AttemptNumber,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub outcome: Outcome,
    /// This provider tells repetitions, or the operator accepts them.
    pub retry_unknown: bool,
}

/// A provider that was not asked.
#[derive(Clone, Debug)]
pub struct Passed {
    pub provider: ProviderName,
    /// Stable (docs/reference/gates.md).
    pub code: Cow<'static, str>,
    /// For a reader.
    pub reason: String,
}

/// The last word before a provider hears of a message.
#[async_trait]
pub trait Depart: Send {
    type Error;

    /// Writes that it leaves; `false`: it may not.
    async fn depart(&mut self, leaving: Leaving<'_>) -> Result<bool, Self::Error>;
}

/// A message that is about to be handed over.
pub struct Leaving<'a> {
    pub provider: &'a ProviderName,
    pub at: Timestamp,
    /// The attempt at another provider that led to this one.
    pub after: Option<&'a Tried>,
}

impl Dispatch {
    /// `fallback` takes what no configured provider can (the capture provider of `dev`);
    /// `timeout` is one attempt's longest time. Rates and breakers are this process's own.
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
        let board = Board::new(clock.clone());
        let pace = Arc::new(OwnPace::new(clock.clone()));
        Self { channels, fallback, clock, timeout, board, pace }
    }

    /// Shares the breakers with the nodes on the same store.
    #[must_use]
    pub fn sharing(self, store: Arc<dyn Store>) -> Self {
        Self { board: self.board.shared(store), ..self }
    }

    /// Keeps another pace than this process's own.
    #[must_use]
    pub fn paced(self, pace: Arc<dyn Pace>) -> Self {
        Self { pace, ..self }
    }

    /// At the start: a provider that was misconfigured may have been mended, and is asked again.
    pub async fn forgive(&self) {
        self.board.refresh().await;
        for breaker in self.board.all() {
            let own = self.all().any(|provider| *provider.name() == breaker.provider);
            if own && breaker.code == "provider.misconfigured" {
                self.board.close(&breaker.provider, &breaker.host).await;
            }
        }
    }

    /// What the gates ask of a channel: its first provider's answer.
    pub fn traits(&self, channel: &ChannelName) -> Option<&Traits> {
        let first = self.channels.get(channel).and_then(|providers| providers.first());
        first.or(self.fallback.as_ref()).map(|provider| provider.traits())
    }

    /// Whether `provider` tells repetitions apart, or the operator accepts them.
    pub fn retries_unknown(&self, channel: &ChannelName, provider: &ProviderName) -> bool {
        let asked = self.order(channel, std::slice::from_ref(provider));
        asked.first().is_some_and(|provider| provider.retries_unknown())
    }

    /// Tries the providers of `order` (the channel's own order where empty) until one has taken
    /// the message, or must not be followed by another. `first` is the first attempt's number.
    ///
    /// `exit` is asked when a provider's turn has come; an error of it is passed on where nothing
    /// was sent. Once something was, that is the answer.
    pub async fn send<E: std::fmt::Display>(
        &self,
        rendered: &Rendered,
        first: AttemptNumber,
        order: &[ProviderName],
        exit: &mut impl Depart<Error = E>,
    ) -> Result<Dispatched, E> {
        self.refresh().await;
        let order = self.order(rendered.channel(), order);
        let Some(traits) = order.first().map(|provider| provider.traits()) else {
            return Ok(Dispatched::NoProvider);
        };
        let destination = Destination::of(rendered.to(), traits);
        let asking = self.asking(rendered, destination.as_ref());
        let mut journey = Journey::default();
        for provider in order {
            let mut entry = match provider.admit(&asking, &self.board, &*self.pace).await {
                Ok(entry) => entry,
                Err(refusal) => {
                    let leads_on = refusal.leads_on(self.clock.now());
                    journey.refused.push((provider, refusal));
                    if leads_on { continue } else { break }
                }
            };
            let after = journey.tried.as_ref();
            let number = after.map_or(first, |tried| tried.number + 1);
            let started_at = self.clock.now();
            let leaving = Leaving { provider: provider.name(), at: started_at, after };
            match exit.depart(leaving).await {
                Ok(true) => {}
                said => {
                    entry.give_back(&self.board).await;
                    match (said, &journey.tried) {
                        (Err(error), None) => return Err(error),
                        (Ok(_), None) => return Ok(Dispatched::Withdrawn),
                        (Err(error), _) => tracing::warn!(%error, "a failover was not written"),
                        (Ok(_), _) => {}
                    }
                    break;
                }
            }
            let tried = self.attempt(provider, entry, rendered, number, started_at).await;
            let leads_on = standing::leads_on(&tried.outcome, tried.retry_unknown);
            journey.tried = Some(tried);
            if !leads_on {
                break;
            }
        }
        Ok(journey.end(asking.lane))
    }

    async fn attempt(
        &self,
        provider: &Gatekeeper,
        entry: Entry<'_>,
        rendered: &Rendered,
        number: AttemptNumber,
        started_at: Timestamp,
    ) -> Tried {
        let outcome = provider.send(&rendered.parcel(number, started_at), self.timeout).await;
        let finished_at = self.clock.now();
        let took = finished_at.duration_since(started_at);
        // A clock that jumps meanwhile makes no call last longer than it may.
        let took = Duration::try_from(took).unwrap_or_default().min(self.timeout);
        entry.ended(&outcome, took, &self.board).await;
        let retry_unknown = provider.retries_unknown();
        let provider = provider.name().clone();
        Tried { provider, number, started_at, finished_at, outcome, retry_unknown }
    }

    fn asking<'a>(&self, rendered: &Rendered, destination: Option<&'a Destination>) -> Asking<'a> {
        let message = &rendered.planned().message;
        let urgent = matches!(message.priority, Priority::Critical | Priority::High);
        Asking {
            lane: message.lane,
            goes_first: urgent || message.code.as_deref() == Some("provider.rate"),
            destination,
            lasts: self.timeout + WRITTEN,
        }
    }

    async fn refresh(&self) {
        if self.board.refresh().await {
            self.board.tell(self.all().map(|provider| provider.name()));
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Gatekeeper>> {
        self.channels.values().flatten()
    }

    /// The providers to ask, the first first; the fallback where none of them is there.
    fn order(&self, channel: &ChannelName, order: &[ProviderName]) -> Vec<&Arc<Gatekeeper>> {
        let providers = self.channels.get(channel).map(Vec::as_slice).unwrap_or_default();
        let named = |name| providers.iter().find(|provider| provider.name() == name);
        let mut chosen: Vec<_> = match order {
            [] => providers.iter().collect(),
            order => order.iter().filter_map(named).collect(),
        };
        if chosen.is_empty() {
            chosen.extend(&self.fallback);
        }
        chosen
    }
}

/// One message's way from provider to provider.
#[derive(Default)]
struct Journey<'d> {
    tried: Option<Tried>,
    refused: Vec<(&'d Arc<Gatekeeper>, Refusal)>,
}

impl Journey<'_> {
    fn end(self, lane: crate::model::Lane) -> Dispatched {
        let passed = |refusal: &Refusal| Passed {
            provider: refusal.provider.clone(),
            code: refusal.code(),
            reason: refusal.reason(),
        };
        if let Some(tried) = self.tried {
            let passed = self.refused.iter().map(|(_, refusal)| passed(refusal)).collect();
            return Dispatched::Attempted { tried, passed };
        }
        // The one that can be asked first is the one to come back for.
        let soonest = self.refused.into_iter().min_by_key(|(_, refusal)| refusal.from);
        let Some((provider, refusal)) = soonest else { return Dispatched::NoProvider };
        let at = provider.put_off(&refusal, lane);
        Dispatched::Later { passed: passed(&refusal), at }
    }
}

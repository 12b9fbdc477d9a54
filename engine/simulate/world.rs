//! What simulations have in common: the files, the channels, the operator's rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Simulation;
use super::fake::{Fake, Post};
use super::presence::Present;
use super::shown::Shown;
use crate::channel::Traits;
use crate::channel::capture::Capture;
use crate::check::Catalog;
use crate::clock::Clock;
use crate::config::{self, OnUnknown, Rate};
use crate::dispatch::{Dispatch, Installed};
use crate::ingest::preferences::Known;
use crate::model::{ChannelName, ProviderName, WorkflowName};
use crate::pipeline::{Pipeline, Rules};
use crate::store::memory::MemoryStore;
use crate::workflow::StepKind;

/// An attempt's longest time; the fakes take none.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Made once, shared by any number of simulations.
pub struct World {
    catalog: Arc<Catalog>,
    providers: BTreeMap<ChannelName, Vec<Provider>>,
    rules: Rules,
    seed: u64,
}

/// One provider to be faked.
#[derive(Clone, Debug)]
pub struct Provider {
    pub name: ProviderName,
    pub traits: Traits,
    pub rate: Option<Rate>,
    pub on_unknown: OnUnknown,
    pub breaker: config::Breaker,
}

impl World {
    /// `channels` are those that files may name, `configured` their providers in the order of
    /// failover. A channel without one gets the provider `capture`; a provider that a step names
    /// and nobody configured is there too, after the others. `seed` gives jitter and ids.
    pub fn new(
        catalog: Arc<Catalog>,
        channels: &BTreeMap<ChannelName, Traits>,
        configured: BTreeMap<ChannelName, Vec<Provider>>,
        rules: Rules,
        seed: u64,
    ) -> Self {
        let mut providers = configured;
        for (channel, traits) in channels.iter().filter(|(channel, _)| !channel.is_in_app()) {
            let of_channel = providers.entry(channel.clone()).or_default();
            if of_channel.is_empty() {
                of_channel.push(Provider::of_its_own(Capture::PROVIDER.into(), traits));
            }
            for name in named(&catalog, channel) {
                if !of_channel.iter().any(|provider| provider.name == name) {
                    of_channel.push(Provider::of_its_own(name, traits));
                }
            }
        }
        Self { catalog, providers, rules, seed }
    }

    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What preferences may speak of here.
    pub fn known(&self) -> Known {
        let channels = self.providers.keys().cloned().chain([ChannelName::IN_APP.into()]);
        Known {
            types: self.catalog.categories().into_iter().collect(),
            channels: channels.collect(),
        }
    }

    /// Whether a fault of this channel or provider could ever come true.
    pub(super) fn has(&self, channel: &ChannelName) -> bool {
        self.providers.contains_key(channel)
    }

    pub(super) fn channel_names(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(ChannelName::as_str)
    }

    pub(super) fn provider_names(&self) -> impl Iterator<Item = &str> {
        self.providers.values().flatten().map(|provider| provider.name.as_str())
    }

    /// A world in which nothing has happened and nobody is known, at `at`. Its time line tells of
    /// `workflow`.
    pub fn begin(&self, at: Timestamp, workflow: WorkflowName) -> Simulation {
        let clock = Clock::manual(at, self.seed);
        let store = MemoryStore::new(clock.clone());
        let (post, present) = (Post::default(), Arc::new(Present::default()));
        let fake = |provider: &Provider| Installed {
            name: provider.name.clone(),
            channel: Arc::new(Fake {
                name: provider.name.clone(),
                traits: provider.traits.clone(),
                post: post.clone(),
                clock: clock.clone(),
            }),
            rate: provider.rate,
            concurrency: 1,
            on_unknown: provider.on_unknown,
            breaker: provider.breaker,
        };
        let installed = self
            .providers
            .iter()
            .map(|(channel, providers)| (channel.clone(), providers.iter().map(fake).collect()))
            .collect();
        let dispatch = Dispatch::new(installed, None, clock.clone(), TIMEOUT);
        let pipeline = Pipeline::new(
            clock.clone(),
            Arc::new(store.clone()),
            self.catalog.clone(),
            dispatch,
            present.clone(),
            self.rules.clone(),
        );
        let shown = Shown::new(workflow);
        Simulation { clock, store, pipeline, post, present, shown, instants: 0 }
    }
}

impl Provider {
    fn of_its_own(name: ProviderName, traits: &Traits) -> Self {
        Self {
            name,
            traits: traits.clone(),
            rate: None,
            on_unknown: OnUnknown::Retry,
            breaker: config::Breaker::default(),
        }
    }
}

/// The providers that steps name for a channel.
fn named(catalog: &Catalog, channel: &ChannelName) -> Vec<ProviderName> {
    let mut names = Vec::new();
    for workflow in catalog.workflows.all() {
        for step in workflow.all_steps() {
            if let StepKind::Send(send) = &step.kind
                && send.channels.contains(channel)
            {
                names.extend(send.providers.iter().cloned());
            }
        }
    }
    names
}

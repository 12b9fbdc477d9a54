//! What the API shows of a running node.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serde_json::Value;

use super::channels::Channels;
use crate::api::{
    Catalog, LoadedChannel, LoadedProvider, LoadedWorkflow, Outbox, Readiness, Reload,
};
use crate::channel::Traits;
use crate::channel::capture::Capture;
use crate::model::{Category, ChannelName, ProviderName};
use crate::pipeline::Pipeline;
use crate::store::StoreError;

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

/// Loaded workflows, installed channels, and whether the node takes work.
pub struct View {
    channels: BTreeMap<ChannelName, (Traits, Vec<ProviderName>)>,
    about: Vec<LoadedProvider>,
    root: PathBuf,
    pipeline: OnceLock<Arc<Pipeline>>,
    /// Whether sensitive workflows may be loaded.
    has_key: OnceLock<bool>,
    state: AtomicU8,
}

/// The capture provider as `GET /dev/outbox` shows it.
pub(super) struct Captured(pub Capture);

impl View {
    pub(super) fn new(
        installed: &Channels,
        about: Vec<LoadedProvider>,
        root: PathBuf,
    ) -> Arc<Self> {
        let channel = |(name, providers): (&ChannelName, &Vec<crate::dispatch::Installed>)| {
            let traits = providers.first()?.channel.traits().clone();
            let names = providers.iter().map(|provider| provider.name.clone()).collect();
            Some((name.clone(), (traits, names)))
        };
        Arc::new(Self {
            channels: installed.iter().filter_map(channel).collect(),
            about,
            root,
            pipeline: OnceLock::new(),
            has_key: OnceLock::new(),
            state: AtomicU8::new(STARTING),
        })
    }

    pub(super) fn follow(&self, pipeline: &Arc<Pipeline>, has_key: bool) {
        // Called once, at the start.
        let _ = self.has_key.set(has_key);
        let _ = self.pipeline.set(pipeline.clone());
    }

    pub(super) fn ready(&self) {
        self.state.store(READY, Ordering::Release);
    }

    pub(super) fn stopping(&self) {
        self.state.store(STOPPING, Ordering::Release);
    }

    /// What is loaded, for a reader.
    pub fn summary(&self) -> String {
        self.pipeline.get().map(|pipeline| pipeline.catalog().summary()).unwrap_or_default()
    }

    /// The folder of workflows/ and templates/.
    pub fn root(&self) -> &std::path::Path {
        &self.root
    }

    /// Channels that files may name, with what their plugins say of themselves.
    pub fn traits(&self) -> BTreeMap<ChannelName, Traits> {
        let mut known = super::known_channels();
        let own = self.channels.iter().map(|(name, (traits, _))| (name.clone(), traits.clone()));
        known.extend(own);
        known
    }

    /// Channels with their providers, `in_app` left out.
    pub fn providers(&self) -> impl Iterator<Item = (&ChannelName, &[ProviderName])> {
        self.channels.iter().map(|(name, (_, providers))| (name, providers.as_slice()))
    }
}

#[async_trait]
impl Catalog for View {
    async fn reload(&self, who: &str) -> Result<Reload, StoreError> {
        let (Some(pipeline), Some(&has_key)) = (self.pipeline.get(), self.has_key.get()) else {
            return Err(StoreError::Closed);
        };
        let done = super::reload::reload(pipeline, self, has_key, who).await?;
        Ok(Reload {
            reloaded: done.in_force,
            problems: done.problems,
            runs_on_older_versions: done.runs_on_older_versions,
        })
    }

    fn types(&self) -> Vec<Category> {
        let categories = self.pipeline.get().map(|pipeline| pipeline.catalog().categories());
        categories.into_iter().flatten().collect()
    }

    fn workflows(&self) -> Vec<LoadedWorkflow> {
        let Some(pipeline) = self.pipeline.get() else { return Vec::new() };
        let catalog = pipeline.catalog();
        let shown = catalog.workflows.all().into_iter().map(|workflow| LoadedWorkflow {
            workflow: workflow.name.clone(),
            on: workflow.on.iter().map(ToString::to_string).collect(),
            category: workflow.category.clone(),
            file: workflow.path.to_string(),
            version: workflow.version.clone(),
        });
        shown.collect()
    }

    fn channels(&self) -> Vec<LoadedChannel> {
        let about = |provider: &ProviderName| {
            let known = self.about.iter().find(|about| about.provider == provider.as_str());
            known.cloned().unwrap_or_else(|| LoadedProvider {
                provider: provider.to_string(),
                plugin: Capture::PROVIDER.into(),
                version: env!("CARGO_PKG_VERSION").into(),
                rights: Vec::new(),
            })
        };
        let shown = self.channels.iter().map(|(name, (traits, providers))| LoadedChannel {
            channel: name.clone(),
            interrupts: traits.interrupts,
            providers: providers.iter().map(about).collect(),
        });
        shown.collect()
    }

    fn readiness(&self) -> Readiness {
        let ready = self.state.load(Ordering::Acquire) == READY;
        Readiness { queue: ready, plugins: ready }
    }
}

impl Outbox for Captured {
    fn list(&self) -> Vec<Value> {
        let held = self.0.list();
        held.iter().filter_map(|one| serde_json::to_value(one).ok()).collect()
    }

    fn clear(&self) {
        self.0.clear();
    }
}

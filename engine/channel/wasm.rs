//! Channels that are plugins: WASM components without rights of their own (`plugins/wit`).
//!
//! The only room that names wasmtime. Each send gets an instance made for it (some microseconds)
//! and thrown away after it: no leak, no state of another tenant, nothing poisoned. What a plugin
//! does wrong (a trap, too much memory or time) is an [`Outcome`](super::Outcome), never a panic.
//!
//! ```text
//! Host ──load──▶ Plugin (manifest, compiled) ──provider──▶ dyn Channel (settings, secrets, rights)
//! ```

mod bindings;
mod cache;
mod callback;
mod compile;
mod engine;
mod fault;
mod import;
mod instance;
mod kv;
mod limits;
mod load;
mod manifest;
mod outcome;
mod provider;
mod rights;
mod secret;
mod setup;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, Linker};

use crate::clock::Clock;
use crate::egress::Egress;

use bindings::ChannelPre;
use bindings::reporting::ReportingPre;
use cache::Cache;
use instance::State;

pub use compile::{Compiler, compile_for_parent};
pub use kv::{KeyValue, KvEntry, MemoryKeyValue, Owner};
pub use limits::Limits;
pub use load::{BUILT_IN, LoadError};
pub use manifest::{CallbackRule, ContentRule, Manifest, ManifestError, PartRule, SecretRule};
pub use setup::{ProviderError, SettingError, Setup};

/// Where plugins are compiled and run. Cheap to clone; clones share the pool of instances.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    engine: wasmtime::Engine,
    linker: Linker<State>,
    cache: Cache,
    compiler: Compiler,
    clock: Clock,
    egress: Egress,
    limits: Limits,
    kv: Arc<dyn KeyValue>,
    /// As many as the pool has slots: past that, wasmtime gives an error rather than a place.
    slots: Semaphore,
}

/// One loaded plugin. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    host: Host,
    manifest: Manifest,
    component: ChannelPre<State>,
    /// Of one that its manifest says is called back.
    reporting: Option<ReportingPre<State>>,
}

impl Host {
    /// `cache` is a folder for compiled plugins: made if it is not there, closed to all other
    /// users, and never to be filled by anyone else.
    pub fn new(
        cache: &Path,
        clock: Clock,
        egress: Egress,
        limits: Limits,
        compiler: Compiler,
    ) -> Result<Self, LoadError> {
        let engine = engine::build(&limits).map_err(LoadError::engine)?;
        let linker = import::link(&engine).map_err(LoadError::engine)?;
        let kv = Arc::new(MemoryKeyValue::new(clock.clone(), &limits));
        Ok(Self(Arc::new(Inner {
            cache: Cache::open(cache, &clock)?,
            compiler,
            slots: Semaphore::new(limits.slots),
            engine,
            linker,
            clock,
            egress,
            limits,
            kv,
        })))
    }

    /// Loads a built-in plugin by its name, or one from a file by its path (`./x.nuncio.wasm`).
    ///
    /// Takes a tenth of a millisecond from the cache, and a tenth of a second or more where the
    /// plugin has to be compiled, off the caller's thread. The plugin is instantiated once, so that one that does not fit is found here.
    pub async fn load(&self, name_or_path: &str) -> Result<Plugin, LoadError> {
        load::load(self, name_or_path).await
    }

    fn prepare(&self, manifest: Manifest, component: &Component) -> wasmtime::Result<Plugin> {
        let linked = self.0.linker.instantiate_pre(component)?;
        let reports = manifest.callbacks.as_ref();
        let reporting = reports.map(|_| ReportingPre::new(linked.clone())).transpose()?;
        let component = ChannelPre::new(linked)?;
        Ok(Plugin(Arc::new(Loaded { host: self.clone(), manifest, component, reporting })))
    }
}

impl Plugin {
    /// What the plugin says of itself: what it asks for, and the schema of its settings.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// Sets a provider up: checks its settings and secrets, and asks the plugin for its view.
    /// The error holds everything that is wrong.
    pub async fn provider(&self, setup: Setup) -> Result<Arc<dyn super::Channel>, ProviderError> {
        Ok(Arc::new(provider::Provider::new(self, setup).await?))
    }
}

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use wasmtime::{PoolConcurrencyLimitError, Store};

use super::bindings::exports::nuncio::channel::sender::{Message, Receipt, SendError};
use super::bindings::nuncio::channel::types::FieldParam;
use super::fault::Fault;
use super::instance::State;
use super::rights::Rights;
use super::setup::{self, SettingError};
use super::{Plugin, ProviderError, Setup, outcome};
use crate::channel::{CallbackError, Called, Channel, Failure, Inbound, Outcome, Traits};
use crate::model::Parcel;

/// One plugin with one provider's settings and rights.
pub(super) struct Provider {
    pub(super) plugin: Plugin,
    pub(super) rights: Arc<Rights>,
    traits: Traits,
    /// The settings as the plugin gets them.
    pub(super) config: String,
    concurrency: Semaphore,
}

impl Provider {
    pub(super) async fn new(plugin: &Plugin, setup: Setup) -> Result<Self, ProviderError> {
        let rights = Arc::new(setup::rights(plugin, &setup)?);
        let settings = Value::Object(setup.settings.clone());
        let provider = Self {
            traits: plugin.manifest().traits(&settings),
            config: settings.to_string(),
            concurrency: Semaphore::new(setup.concurrency.max(1)),
            plugin: plugin.clone(),
            rights,
        };
        match provider.validate().await {
            Ok(Ok(())) => Ok(provider),
            Ok(Err(problems)) => {
                let error = |problem| SettingError::new("/settings", problem);
                let errors = problems.into_iter().map(error).collect();
                Err(ProviderError::settings(plugin, &setup, errors))
            }
            Err(fault) => Err(ProviderError::plugin(plugin, &setup, fault)),
        }
    }

    async fn validate(&self) -> Result<Result<(), Vec<String>>, Fault> {
        let until = Instant::now() + self.rights.limits.wall;
        let _slot = self.plugin.0.host.0.slots.acquire().await.map_err(|_| Fault::Wall)?;
        let mut store = self.store("", until);
        let asking = async {
            let plugin = self.plugin.0.component.instantiate_async(&mut store).await?;
            plugin.nuncio_channel_sender().call_validate_config(&mut store, &self.config).await
        };
        match timeout_at(until, asking).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(self.fault(&why, &store)),
            Err(_) => Err(Fault::Wall),
        }
    }

    async fn attempt(&self, parcel: &Parcel, until: Instant) -> Outcome {
        let mut store = self.store(&parcel.tenant, until);
        let parts = fields(&parcel.content.parts);
        let extra = fields(&parcel.extra);
        let id = parcel.message.to_string();
        let message = message(parcel, &id, self.plugin.manifest().kind(), &parts, &extra);
        let sending = async {
            let plugin = self.plugin.0.component.instantiate_async(&mut store).await?;
            plugin.nuncio_channel_sender().call_send(&mut store, message, &self.config).await
        };
        let fault = match timeout_at(until, sending).await {
            Ok(Ok(result)) => return self.outcome(result),
            Ok(Err(why)) if why.is::<PoolConcurrencyLimitError>() => return busy(),
            Ok(Err(why)) => self.fault(&why, &store),
            Err(_) => Fault::Wall,
        };
        self.count(fault);
        // Whatever broke, it broke after the provider may have got the message.
        if store.data().may_have_arrived {
            return Outcome::Unknown { failure: fault.failure() };
        }
        Outcome::PluginFault { failure: fault.failure() }
    }

    fn outcome(&self, result: Result<Receipt, SendError>) -> Outcome {
        match result {
            Ok(receipt) => outcome::accepted(receipt, &self.rights.vault),
            Err(error) => outcome::failed(error, &self.rights.vault),
        }
    }

    pub(super) fn count(&self, fault: Fault) {
        metrics::counter!(
            "nuncio_plugin_faults_total",
            "plugin" => self.rights.plugin.clone(),
            "cause" => fault.code()
        )
        .increment(1);
    }

    pub(super) fn fault(&self, error: &wasmtime::Error, store: &Store<State>) -> Fault {
        let fault = Fault::of(error, store.data().held.refused);
        let why = self.rights.vault.scrub(format!("{error:#}"));
        tracing::warn!(
            plugin = self.rights.plugin,
            provider = self.rights.provider,
            code = fault.code(),
            why,
            "a plugin was stopped"
        );
        fault
    }

    fn store(&self, tenant: &str, until: Instant) -> Store<State> {
        State::store(&self.plugin.0.host.0.engine, Arc::clone(&self.rights), tenant, until)
    }
}

#[async_trait]
impl Channel for Provider {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn send(&self, parcel: &Parcel, deadline: Duration) -> Outcome {
        let until = Instant::now() + deadline.min(self.rights.limits.wall);
        let slots = &self.plugin.0.host.0.slots;
        // Most often there is a place, and no timer to be set for it.
        if let (Ok(_mine), Ok(_slot)) = (self.concurrency.try_acquire(), slots.try_acquire()) {
            return self.attempt(parcel, until).await;
        }
        let places = async { (self.concurrency.acquire().await, slots.acquire().await) };
        match timeout_at(until, places).await {
            Ok((Ok(_mine), Ok(_slot))) => self.attempt(parcel, until).await,
            _ => busy(),
        }
    }

    async fn callback(&self, inbound: &Inbound) -> Result<Called, CallbackError> {
        self.called(inbound).await
    }
}

/// Before the plugin was begun with.
fn busy() -> Outcome {
    let failure = Failure::new("plugin.busy", "no place came free in time");
    Outcome::Retry { failure, after: None }
}

fn fields(bag: &std::collections::BTreeMap<String, String>) -> Vec<FieldParam<'_>> {
    bag.iter().map(|(name, value)| FieldParam { name, value }).collect()
}

fn message<'a>(
    parcel: &'a Parcel,
    id: &'a str,
    default_kind: &'a str,
    parts: &'a [FieldParam<'a>],
    extra: &'a [FieldParam<'a>],
) -> Message<'a> {
    Message {
        id,
        tenant: &parcel.tenant,
        idempotency_key: &parcel.idempotency_key,
        attempt: parcel.attempt,
        recipient: &parcel.to,
        kind: if parcel.content.kind.is_empty() { default_kind } else { parcel.content.kind },
        subject: parcel.content.subject.as_deref(),
        body: &parcel.content.body,
        parts,
        attachments: &[],
        extra,
    }
}

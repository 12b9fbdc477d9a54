//! A provider's report, read by the plugin: an instance of its own, with less time than a send.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::bindings::reporting::exports::nuncio::channel::callbacks as guest;
use super::fault::Fault;
use super::instance::State;
use super::outcome::{CODE_BYTES, TEXT_BYTES, clean};
use super::provider::Provider;
use super::secret::Vault;
use crate::channel::{CallbackError, Called, Inbound, Update};
use crate::model::Fate;

/// A callback's time on the processor, and on the wall.
const CPU: Duration = Duration::from_millis(100);
const WALL: Duration = Duration::from_secs(5);
/// Updates of one request that are looked at.
const MOST_UPDATES: usize = 1000;
/// What a provider is answered.
const MOST_ANSWERED: usize = 64 << 10;

impl Provider {
    pub(super) async fn called(&self, inbound: &Inbound) -> Result<Called, CallbackError> {
        let Some(reporting) = &self.plugin.0.reporting else {
            return Err(CallbackError::Unsupported);
        };
        let until = Instant::now() + WALL.min(self.rights.limits.wall);
        let slot = timeout_at(until, self.plugin.0.host.0.slots.acquire()).await;
        let Ok(Ok(_slot)) = slot else { return Err(CallbackError::Busy) };
        let mut store =
            State::store(&self.plugin.0.host.0.engine, Arc::clone(&self.rights), "", until);
        store.data_mut().cpu = CPU.min(self.rights.limits.cpu);
        let request = request(inbound);
        let asking = async {
            let plugin = reporting.instantiate_async(&mut store).await?;
            let callbacks = plugin.nuncio_channel_callbacks();
            callbacks.call_handle_callback(&mut store, &request, &self.config).await
        };
        let fault = match timeout_at(until, asking).await {
            Ok(Ok(Ok(reply))) => return called(reply, &self.rights.vault),
            Ok(Ok(Err(why))) => {
                let why = clean(why, TEXT_BYTES, &self.rights.vault);
                tracing::warn!(provider = self.rights.provider, why, "a callback was refused");
                return Err(CallbackError::Refused);
            }
            Ok(Err(why)) => self.fault(&why, &store),
            Err(_) => Fault::Wall,
        };
        self.count(fault);
        Err(CallbackError::Fault(fault.failure()))
    }
}

fn request(inbound: &Inbound) -> guest::Inbound {
    let fields = |pairs: &[(String, String)]| {
        let field = |(name, value): &(String, String)| guest::Field {
            name: name.clone(),
            value: value.clone(),
        };
        pairs.iter().map(field).collect()
    };
    guest::Inbound {
        method: inbound.method.clone(),
        path: inbound.path.clone(),
        query: fields(&inbound.query),
        headers: fields(&inbound.headers),
        body: inbound.body.clone(),
    }
}

/// A plugin that answers 401 or 403 says the same as one that refuses.
fn called(reply: guest::Reply, vault: &Vault) -> Result<Called, CallbackError> {
    if matches!(reply.status, 401 | 403) {
        return Err(CallbackError::Refused);
    }
    let is_type = |field: &&guest::Field| field.name.eq_ignore_ascii_case("content-type");
    let content_type = reply.headers.iter().find(is_type).map(|field| field.value.clone());
    let mut body = reply.body;
    body.truncate(MOST_ANSWERED);
    let updates = reply.updates.into_iter().take(MOST_UPDATES);
    Ok(Called {
        status: reply.status,
        content_type,
        body,
        updates: updates.map(|update| read(update, vault)).collect(),
        incoming: reply.incoming.len(),
    })
}

fn read(update: guest::Update, vault: &Vault) -> Update {
    let is_soft = |field: &guest::Field| field.name == "bounce" && field.value == "soft";
    Update {
        receipt: clean(update.provider_id, TEXT_BYTES, vault),
        fate: Fate::ALL.into_iter().find(|fate| fate.as_str() == update.state),
        soft: update.extra.iter().any(is_soft),
        code: update.code.map(|code| clean(code, CODE_BYTES, vault)),
        detail: update.detail.map(|detail| clean(detail, TEXT_BYTES, vault)),
    }
}

//! Answers of servers, asked once where one answer does for many.

use std::sync::Arc;

use jiff::Timestamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Pipeline;
use crate::egress::{Ask, EgressError, Fetch, Fetched, Unreachable};
use crate::model::Once;
use crate::plan::Inquiry;
use crate::store::{Store, StoreError};

/// Bytes of answers that are shared, roughly.
const SHARED_BYTES: u64 = 64 << 20;
/// Answers to `once`, being asked or just asked.
const ONCE: usize = 1_000;

/// Whom `fetch` steps ask, and what is known already.
pub(super) struct Fetcher {
    outlet: Arc<dyn Fetch>,
    shared: Cache<[u8; 32], Shared, Size>,
    /// Those who want the same wait for the first.
    once: Cache<Once, Value>,
}

/// An answer that serves all who ask the same, until then.
#[derive(Clone)]
struct Shared {
    until: Timestamp,
    fetched: Fetched,
    size: u64,
}

#[derive(Clone)]
struct Size;

/// Why an answer that many wait for did not come.
enum Missed {
    Fetch(EgressError),
    /// Any status but a success is the asker's alone.
    Status(Fetched),
    Store(StoreError),
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::new(Arc::new(Unreachable))
    }
}

impl Fetcher {
    pub fn new(outlet: Arc<dyn Fetch>) -> Self {
        Self {
            outlet,
            shared: Cache::with_weighter(10_000, SHARED_BYTES, Size),
            once: Cache::new(ONCE),
        }
    }

    async fn ask(&self, inquiry: &Inquiry, now: Timestamp) -> Result<Fetched, EgressError> {
        let Some(lasts) = inquiry.cache else { return self.outlet.fetch(&inquiry.ask).await };
        let key = fingerprint(&inquiry.ask);
        if let Some(shared) = self.shared.get(&key)
            && shared.until > now
        {
            return Ok(shared.fetched);
        }
        let fetched = self.outlet.fetch(&inquiry.ask).await?;
        if is_success(&fetched) {
            let size = fetched.body.to_string().len() as u64 + 100;
            let until = now.saturating_add(lasts.0).unwrap_or(Timestamp::MAX);
            self.shared.insert(key, Shared { until, fetched: fetched.clone(), size });
        }
        Ok(fetched)
    }

    /// What the first run of the event was answered.
    async fn ask_once(
        &self,
        once: &Once,
        inquiry: &Inquiry,
        now: Timestamp,
        store: &dyn Store,
    ) -> Result<Fetched, Missed> {
        let asking = async {
            if let Some(kept) = store.kept(once).await.map_err(Missed::Store)? {
                return Ok(kept);
            }
            let fetched = self.ask(inquiry, now).await.map_err(Missed::Fetch)?;
            if !is_success(&fetched) {
                return Err(Missed::Status(fetched));
            }
            let result = json!({ "status": fetched.status, "body": fetched.body });
            store.keep(once, result).await.map_err(Missed::Store)
        };
        let kept = self.once.get_or_insert_async(once, asking).await?;
        let status = kept["status"].as_u64().and_then(|status| status.try_into().ok());
        Ok(Fetched { status: status.unwrap_or_default(), body: kept["body"].clone() })
    }
}

impl Pipeline {
    /// # Errors
    /// The outer one is the store's; what the server did wrong is the answer.
    pub(super) async fn fetched(
        &self,
        inquiry: &Inquiry,
    ) -> Result<Result<Fetched, EgressError>, StoreError> {
        let now = self.clock.now();
        let Some(once) = &inquiry.once else { return Ok(self.fetcher.ask(inquiry, now).await) };
        match self.fetcher.ask_once(once, inquiry, now, &*self.store).await {
            Ok(fetched) | Err(Missed::Status(fetched)) => Ok(Ok(fetched)),
            Err(Missed::Fetch(error)) => Ok(Err(error)),
            Err(Missed::Store(error)) => Err(error),
        }
    }
}

impl Weighter<[u8; 32], Shared> for Size {
    fn weight(&self, _key: &[u8; 32], shared: &Shared) -> u64 {
        shared.size
    }
}

fn is_success(fetched: &Fetched) -> bool {
    (200..300).contains(&fetched.status)
}

/// Of all that makes two requests the same; the length before each part keeps them apart.
fn fingerprint(ask: &Ask) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    part(&ask.method);
    part(&ask.url);
    for (name, value) in &ask.headers {
        part(name);
        part(value);
    }
    part(ask.body.as_deref().unwrap_or_default());
    hash.finalize().into()
}

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::{Scope, Scopes};
use crate::clock::Clock;
use crate::store::{ApiKey, Store, StoreError};

/// What every key's text begins with: it is told from a token, and found by secret scanners.
const PREFIX: &str = "nk_";

/// A key revoked by another process is refused this much later at the latest.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Keys in use at once that are remembered; more only cost a look into the store.
const REMEMBERED_KEYS: usize = 1024;

/// The service that calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key's name.
    pub name: Arc<str>,
    pub scopes: Scopes,
}

/// Checks API keys against the store.
pub struct KeyRing {
    store: Arc<dyn Store>,
    clock: Clock,
    known: Cache<[u8; 32], (Caller, Timestamp)>,
}

/// Makes a key: its text, shown once and never again, and what the store keeps of it.
pub fn issue(clock: &Clock, name: &str, scopes: Vec<String>) -> (String, ApiKey) {
    let mut random = [0; 32];
    clock.fill_random(&mut random);
    let text = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random));
    let key = held(clock, name, scopes, &text);
    (text, key)
}

/// What the store keeps of a key that was made before.
pub fn held(clock: &Clock, name: &str, scopes: Vec<String>, text: &str) -> ApiKey {
    ApiKey {
        name: name.into(),
        hash: hash(text),
        scopes,
        created_at: clock.now(),
        revoked_at: None,
    }
}

impl KeyRing {
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock, known: Cache::new(REMEMBERED_KEYS) }
    }

    /// Who holds the key of that text; `None` if it is none in force.
    pub async fn caller(&self, text: &str) -> Result<Option<Caller>, StoreError> {
        if !text.starts_with(PREFIX) {
            return Ok(None);
        }
        let hash = hash(text);
        let now = self.clock.now();
        if let Some((caller, checked_at)) = self.known.get(&hash)
            && is_fresh(checked_at, now)
        {
            return Ok(Some(caller));
        }
        let Some(key) = self.store.key_by_hash(&hash).await? else {
            self.known.remove(&hash);
            return Ok(None);
        };
        let scopes = Scopes::stored(key.scopes.iter().map(String::as_str));
        let caller = Caller { name: key.name.into(), scopes };
        self.known.insert(hash, (caller.clone(), now));
        Ok(Some(caller))
    }

    /// Forgets what was remembered: after a revocation by this process.
    pub fn forget(&self) {
        self.known.clear();
    }
}

impl Caller {
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.holds(scope)
    }
}

fn is_fresh(checked_at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(checked_at);
    !age.is_negative() && age.unsigned_abs() < REMEMBERED
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Keys;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn a_key_serves_until_it_is_revoked() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 1);
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let ring = KeyRing::new(store.clone(), clock.clone());
        let (text, key) = issue(&clock, "shop", vec!["events:write".into()]);
        assert_eq!(ring.caller(&text).await.expect("the store answers"), None);

        store.put_key(&key).await.expect("the store answers");
        let caller = ring.caller(&text).await.expect("the store answers").expect("it is in force");
        assert_eq!(&*caller.name, "shop");
        assert!(caller.may(Scope::EventsWrite) && !caller.may(Scope::EventsRead));

        store.revoke_key("shop", clock.now()).await.expect("the store answers");
        clock.advance(REMEMBERED);
        assert_eq!(ring.caller(&text).await.expect("the store answers"), None);
    }

    #[test]
    fn two_keys_differ_and_the_record_does_not_hold_the_text() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 1);
        let (first, record) = issue(&clock, "a", vec![]);
        let (second, _) = issue(&clock, "b", vec![]);
        assert_ne!(first, second);
        assert_eq!(first.len(), PREFIX.len() + 43);
        assert!(!format!("{record:?}").contains(&first));
    }
}

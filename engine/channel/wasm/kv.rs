use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::Limits;
use crate::clock::Clock;

/// A plugin's little state (an access token, say). Calls must not block for long.
pub trait KeyValue: Send + Sync {
    fn get(&self, owner: &Owner, key: &str) -> Option<KvEntry>;

    /// `Err` where the owner's quota is used up, and then nothing changed.
    fn set(
        &self,
        owner: &Owner,
        key: &str,
        value: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<(), String>;

    fn delete(&self, owner: &Owner, key: &str);
}

/// Whose state it is: no owner sees another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    pub plugin: String,
    pub provider: String,
    pub tenant: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvEntry {
    pub value: Vec<u8>,
    pub expires_at: Option<Timestamp>,
}

/// Gone with the process: what plugins keep is a cache until the store takes it.
pub struct MemoryKeyValue {
    clock: Clock,
    keys: usize,
    value_bytes: usize,
    owners: Mutex<HashMap<Owner, HashMap<String, KvEntry>>>,
}

/// A key's length is part of the quota too.
const KEY_BYTES: usize = 256;

impl MemoryKeyValue {
    pub fn new(clock: Clock, limits: &Limits) -> Self {
        Self {
            clock,
            keys: limits.kv_keys,
            value_bytes: limits.kv_value_bytes,
            owners: Mutex::default(),
        }
    }
}

impl KeyValue for MemoryKeyValue {
    fn get(&self, owner: &Owner, key: &str) -> Option<KvEntry> {
        let now = self.clock.now();
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.get(owner)?.get(key).filter(|entry| entry.lives(now)).cloned()
    }

    fn set(
        &self,
        owner: &Owner,
        key: &str,
        value: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<(), String> {
        if key.len() > KEY_BYTES {
            return Err(format!("a key may have {KEY_BYTES} bytes"));
        }
        if value.len() > self.value_bytes {
            return Err(format!("a value may have {} bytes", self.value_bytes));
        }
        let now = self.clock.now();
        let expires_at = ttl.map(|ttl| self.clock.after(ttl));
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = owners.entry(owner.clone()).or_default();
        if !entries.contains_key(key) && entries.len() >= self.keys {
            entries.retain(|_, entry| entry.lives(now));
            if entries.len() >= self.keys {
                return Err(format!("there may be {} keys", self.keys));
            }
        }
        entries.insert(key.into(), KvEntry { value, expires_at });
        Ok(())
    }

    fn delete(&self, owner: &Owner, key: &str) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = owners.get_mut(owner) {
            entries.remove(key);
        }
    }
}

impl KvEntry {
    fn lives(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(tenant: &str) -> Owner {
        Owner { plugin: "p".into(), provider: "a".into(), tenant: tenant.into() }
    }

    #[test]
    fn state_has_an_owner_a_quota_and_an_end() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 1);
        let limits = Limits { kv_keys: 2, kv_value_bytes: 4, ..Limits::default() };
        let kv = MemoryKeyValue::new(clock.clone(), &limits);
        let (mine, other) = (owner("x"), owner("y"));
        let second = Some(Duration::from_secs(1));

        kv.set(&mine, "a", vec![1], second).unwrap();
        kv.set(&mine, "b", vec![2], None).unwrap();
        assert_eq!(kv.get(&other, "a"), None);
        assert!(kv.set(&mine, "c", vec![3], None).is_err());
        assert!(kv.set(&mine, "b", vec![0; 5], None).is_err());
        assert_eq!(kv.get(&mine, "b").unwrap().value, [2]);

        clock.advance(Duration::from_secs(1));
        assert_eq!(kv.get(&mine, "a"), None);
        kv.set(&mine, "c", vec![3], None).unwrap();
        kv.delete(&mine, "c");
        assert_eq!(kv.get(&mine, "c"), None);
    }
}

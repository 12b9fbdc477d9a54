use async_trait::async_trait;
use jiff::Timestamp;

use super::{MemoryStore, State};
use crate::store::{ApiKey, Keys, Result};

#[async_trait]
impl Keys for MemoryStore {
    async fn put_key(&self, key: &ApiKey) -> Result<bool> {
        let mut state = self.state();
        let free = state.in_force(&key.name).is_none();
        if free {
            state.keys.push(key.clone());
        }
        Ok(free)
    }

    async fn keys(&self) -> Result<Vec<ApiKey>> {
        Ok(self.state().keys.clone())
    }

    async fn revoke_key(&self, name: &str, now: Timestamp) -> Result<bool> {
        let mut state = self.state();
        let Some(key) = state.in_force(name) else { return Ok(false) };
        key.revoked_at = Some(now);
        Ok(true)
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
        let state = self.state();
        let mut keys = state.keys.iter();
        Ok(keys.find(|key| key.hash == *hash && key.revoked_at.is_none()).cloned())
    }
}

impl State {
    fn in_force(&mut self, name: &str) -> Option<&mut ApiKey> {
        self.keys.iter_mut().find(|key| key.name == name && key.revoked_at.is_none())
    }
}

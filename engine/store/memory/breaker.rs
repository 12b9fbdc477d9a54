use async_trait::async_trait;
use jiff::Timestamp;

use super::MemoryStore;
use crate::model::ProviderName;
use crate::store::{Breaker, Breakers, Result};

#[async_trait]
impl Breakers for MemoryStore {
    async fn breakers(&self) -> Result<Vec<Breaker>> {
        Ok(self.state().breakers.values().cloned().collect())
    }

    async fn open_breaker(&self, breaker: &Breaker) -> Result<()> {
        let key = (breaker.provider.clone(), breaker.host.clone());
        let new = || Breaker { probe_until: None, ..breaker.clone() };
        let mut state = self.state();
        state.breakers.entry(key).and_modify(|open| open.merge(breaker)).or_insert_with(new);
        Ok(())
    }

    async fn take_probe(
        &self,
        provider: &ProviderName,
        host: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool> {
        let key = (provider.clone(), host.to_owned());
        let mut state = self.state();
        Ok(state.breakers.get_mut(&key).is_some_and(|breaker| breaker.take(now, until)))
    }

    async fn close_breaker(&self, provider: &ProviderName, host: &str) -> Result<()> {
        self.state().breakers.remove(&(provider.clone(), host.to_owned()));
        Ok(())
    }
}

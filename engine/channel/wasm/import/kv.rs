use std::time::Duration;

use crate::channel::wasm::bindings::nuncio::channel::kv::{Entry, Host};
use crate::channel::wasm::instance::State;

impl Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Entry>> {
        let found = self.rights.kv.get(&self.rights.owner(&self.tenant), &key);
        Ok(found.map(|entry| Entry {
            value: entry.value,
            expires_at_ms: entry
                .expires_at
                .map(|at| u64::try_from(at.as_millisecond()).unwrap_or_default()),
        }))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        self.rights.kv.delete(&self.rights.owner(&self.tenant), &key);
        Ok(())
    }

    fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<(), String>> {
        let owner = self.rights.owner(&self.tenant);
        Ok(self.rights.kv.set(&owner, &key, value, ttl_ms.map(Duration::from_millis)))
    }
}

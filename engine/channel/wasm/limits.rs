use std::time::Duration;

use wasmtime::ResourceLimiter;

/// What one call of a plugin may use. The defaults are those of the plugin documentation; what an
/// operator may raise them to stands behind the arrow.
#[derive(Clone, Debug)]
pub struct Limits {
    /// All memories of an instance together. 32 MiB → 128 MiB.
    pub memory_bytes: usize,
    /// All tables of an instance together. 100,000.
    pub table_elements: usize,
    /// Core instances of a component. 64.
    pub core_instances: usize,
    /// Handles (of timers, streams, kinds of its own) that an instance holds at once. 4096.
    pub handles: usize,
    /// Time on the processor, in steps of 10 ms. 500 ms → 5 s.
    pub cpu: Duration,
    /// Time on the wall. 30 s → 120 s.
    pub wall: Duration,
    /// HTTP requests and mails. 16 → 64.
    pub outbound_calls: u32,
    /// What crosses from the plugin to the host in one call. 4 MiB.
    pub hostcall_bytes: usize,
    /// What is written of a call's log; past 16 times that the plugin is stopped. 64 KiB.
    pub log_bytes: usize,
    /// Likewise. 200.
    pub log_lines: u32,
    /// Bytes of `runtime.random`. 256.
    pub random_bytes: u32,
    /// Keys of one plugin, provider and tenant. 64.
    pub kv_keys: usize,
    /// 8 KiB.
    pub kv_value_bytes: usize,
    /// A plugin's file. 32 MiB.
    pub component_bytes: u64,
    /// Instances at once, over all plugins. 128.
    pub slots: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 32 << 20,
            table_elements: 100_000,
            core_instances: 64,
            handles: 4096,
            cpu: Duration::from_millis(500),
            wall: Duration::from_secs(30),
            outbound_calls: 16,
            hostcall_bytes: 4 << 20,
            log_bytes: 64 << 10,
            log_lines: 200,
            random_bytes: 256,
            kv_keys: 64,
            kv_value_bytes: 8 << 10,
            component_bytes: 32 << 20,
            slots: 128,
        }
    }
}

/// What an instance holds of memory and tables. Sums over all of them: wasmtime's own limiter
/// counts each memory by itself, and eight small ones make a big one.
pub(super) struct Held {
    memory_bytes: usize,
    memory_limit: usize,
    table_elements: usize,
    table_limit: usize,
    instance_limit: usize,
    /// The last growth that was allowed, to be taken back if the pool has no room for it.
    last_growth: usize,
    /// Something was refused: then a trap soon after is about memory.
    pub(super) refused: bool,
}

impl Held {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: 0,
            memory_limit: limits.memory_bytes,
            table_elements: 0,
            table_limit: limits.table_elements,
            instance_limit: limits.core_instances,
            last_growth: 0,
            refused: false,
        }
    }
}

impl Held {
    /// Memories only grow: what an instance holds is the most that it held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for Held {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let fits = growth <= self.memory_limit.saturating_sub(self.memory_bytes);
        self.refused |= !fits;
        self.last_growth = if fits { growth } else { 0 };
        self.memory_bytes += self.last_growth;
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes -= std::mem::take(&mut self.last_growth);
        self.refused = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let fits = growth <= self.table_limit.saturating_sub(self.table_elements);
        self.refused |= !fits;
        self.table_elements += if fits { growth } else { 0 };
        Ok(fits)
    }

    fn instances(&self) -> usize {
        self.instance_limit
    }

    fn tables(&self) -> usize {
        self.instance_limit
    }

    fn memories(&self) -> usize {
        self.instance_limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed() {
        let mut held = Held::new(&Limits::default());
        for _ in 0..8 {
            assert!(held.memory_growing(0, 4 << 20, None).unwrap());
        }
        assert!(!held.memory_growing(0, 64 << 10, None).unwrap());
        assert!(held.refused);
    }

    #[test]
    fn a_growth_that_failed_is_given_back() {
        let mut held = Held::new(&Limits::default());
        assert!(held.memory_growing(0, 32 << 20, None).unwrap());
        held.memory_grow_failed(wasmtime::Error::msg("no room")).unwrap();
        assert!(held.memory_growing(0, 32 << 20, None).unwrap());
    }
}

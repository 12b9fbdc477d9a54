use std::thread;
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

use super::Limits;

/// The unit in which a plugin's time on the processor is counted.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// What a slot keeps of its memory for the next instance. With the page map (below) these are
/// pages that were really written (16 KiB for the webhook plugin), which spares a send `madvise`:
/// its page faults, and its flushes on the other processors, made sends three times as dear.
const KEEP_RESIDENT_BYTES: usize = 64 << 10;

pub(super) fn build(limits: &Limits) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .parallel_compilation(true)
        .cranelift_opt_level(OptLevel::Speed)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    let engine = Engine::new(&config)?;
    tick(&engine)?;
    Ok(engine)
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let slots = u32::try_from(limits.slots).unwrap_or(u32::MAX);
    let per_component = u32::try_from(limits.core_instances).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    // A component of one language's tool chain holds up to a dozen core instances and three
    // memories; what exceeds these shares of the pool gets an error, and is tried again.
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(40))
        .total_memories(slots.saturating_mul(3))
        .total_tables(slots.saturating_mul(12))
        .total_stacks(slots)
        .max_core_instances_per_component(per_component)
        .max_memories_per_component(per_component)
        .max_tables_per_component(per_component)
        .table_elements(limits.table_elements)
        .max_memory_size(limits.memory_bytes)
        // Slots used before come first: as many are ever touched as were needed at once.
        .max_unused_warm_slots(0)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        // Linux from 6.7 on says which pages were written; elsewhere the first ones are meant.
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(KEEP_RESIDENT_BYTES);
    pool
}

/// Counts the engine's epoch up until the engine is gone.
fn tick(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    let ticking = thread::Builder::new().name("plugin-ticks".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::park_timeout(TICK);
        }
    });
    ticking.map(drop).map_err(wasmtime::Error::from)
}

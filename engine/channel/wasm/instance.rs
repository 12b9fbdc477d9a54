use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::engine::TICK;
use super::fault::Fault;
use super::limits::Held;
use super::rights::Rights;
use crate::clock::Clock;

/// What is left to a plugin to react to the end of its last call.
const REACTION: Duration = Duration::from_millis(250);

/// What belongs to one instance, that is to one call.
pub(super) struct State {
    pub(super) rights: Arc<Rights>,
    pub(super) tenant: Box<str>,
    pub(super) held: Held,
    /// The call's end, whatever the plugin does.
    pub(super) until: Instant,
    /// Time on the processor that it has.
    pub(super) cpu: Duration,
    /// Outbound calls so far.
    pub(super) calls: u32,
    pub(super) logged: Logged,
    /// A provider may have taken something: from here on a fault leaves the outcome open.
    pub(super) may_have_arrived: bool,
    ticks: u32,
    /// Made when first asked for: most plugins never do.
    wasi: Option<Box<Wasi>>,
}

#[derive(Default)]
pub(super) struct Logged {
    pub(super) lines: u32,
    pub(super) bytes: usize,
}

/// Enough of WASI for ordinary tool chains to work, and nothing in it: no arguments, environment,
/// folders or network; input at its end, output lost.
struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl State {
    pub(super) fn store(
        engine: &Engine,
        rights: Arc<Rights>,
        tenant: &str,
        until: Instant,
    ) -> Store<Self> {
        let held = Held::new(&rights.limits);
        let (hostcall_bytes, cpu) = (rights.limits.hostcall_bytes, rights.limits.cpu);
        let handles = rights.limits.handles;
        let mut store = Store::new(
            engine,
            Self {
                rights,
                tenant: tenant.into(),
                held,
                until,
                cpu,
                calls: 0,
                logged: Logged::default(),
                may_have_arrived: false,
                ticks: 0,
                wasi: None,
            },
        );
        store.limiter(|state| &mut state.held);
        store.set_hostcall_fuel(hostcall_bytes);
        // Each takes memory of ours, which no limit of the plugin's own counts.
        store.set_max_component_handles(handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(Self::tick);
        store
    }

    /// Called once for each tick in which the plugin ran: a wait in the host counts as one.
    fn tick(mut store: StoreContextMut<'_, Self>) -> wasmtime::Result<UpdateDeadline> {
        let state = store.data_mut();
        state.ticks += 1;
        if TICK * state.ticks >= state.cpu {
            return Err(Fault::Cpu.into());
        }
        Ok(UpdateDeadline::Yield(1))
    }

    /// Counts one outbound call; `false` once there may be no more.
    pub(super) fn count_call(&mut self) -> bool {
        self.calls = self.calls.saturating_add(1);
        self.calls <= self.rights.limits.outbound_calls
    }

    /// How long a call to the outside may take, so that the plugin still hears of its end.
    pub(super) fn time_left(&self) -> Duration {
        let left = self.until.saturating_duration_since(Instant::now());
        left.saturating_sub(REACTION.min(left / 10))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let clock = &self.rights.clock;
        let wasi = self.wasi.get_or_insert_with(|| Box::new(Wasi::new(clock.clone())));
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

impl Wasi {
    fn new(clock: Clock) -> Self {
        let mut context = WasiCtx::builder();
        context
            .wall_clock(WallClock(clock))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(64 << 10);
        Self { context: context.build(), table: ResourceTable::new() }
    }
}

/// The engine's clock, so that a manual one holds inside of plugins too.
struct WallClock(Clock);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::try_from(self.0.now().duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default()
    }
}

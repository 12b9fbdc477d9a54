//! What the operator gets to see: log lines, metrics and traces.
//!
//! The first two come from the typed events of `event`: one struct a thing that happened, whose `emit`
//! holds line and counter together. `table` names every metric, `family` keeps its series. Metric
//! names are `nuncio_<name>_<unit>_total`, without `_total` for gauges and histograms. Never
//! logged: addresses, bodies, tokens, keys, names.

mod event;
mod family;
mod process;
mod table;
mod trace;

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tracing_subscriber::EnvFilter;

pub use event::{
    BacklogSeen, BreakerChanged, BreakerStands, ConnectionClosed, ConnectionOpened,
    ConnectionRefused, ConnectionsCounted, EventsAccepted, EventsRefused, EventsSetAside,
    FrameReceived, FramesFetched, FramesSent, HandlerPanicked, MessageAttempted, MessageDecided,
    MessageReported, MessageSent, PluginCalled, PluginStopped, RedisChanged, RedisFailed,
    RequestAnswered, RowsClaimed, RowsCommitted, RowsPruned, RunDecided, SourceDrained,
    SourceFound, SourceLost, SpansDropped, StoreFailed,
};
pub use family::{About, Kind};
pub use table::{ALL as METRICS, reference as metrics_reference};
pub use trace::{Export, Exporting, Fact, Traced, propagated, trace, traceparent};

use crate::clock::Clock;

/// Sample storage grows until it is tended: so often is enough at any rate we reach.
const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    #[error("`{filter}` is no log filter")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("a log, metrics or trace recorder is installed already")]
    Installed,
    #[error("`telemetry.otlp` cannot be used: {0}")]
    Exporter(String),
}

/// Starts writing log lines to standard error: as JSON objects, or for people, coloured on a terminal.
///
/// `filter` is a `tracing` filter (`info,nuncio=debug`). Once a process.
pub fn log(json: bool, filter: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.into(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let lines = if std::io::stderr().is_terminal() { lines } else { lines.with_ansi(false) };
    let started = if json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_target(false).try_init()
    };
    started.map_err(|_| TelemetryError::Installed)
}

/// The process's metrics. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Starts recording; a second call answers the first's handle.
    ///
    /// The caller runs [`Metrics::upkeep`] beside everything else: without it samples pile up.
    pub fn install() -> Result<Self, TelemetryError> {
        static INSTALLED: Mutex<bool> = Mutex::new(false);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if !*installed {
            let recorder: &'static _ = &*family::RECORDER;
            metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::Installed)?;
            *installed = true;
        }
        Ok(Self(family::RECORDER.handle()))
    }

    /// The Prometheus text format, with the process's own figures of this moment.
    pub fn render(&self) -> String {
        if let Some(bytes) = process::resident_bytes() {
            table::RESIDENT_BYTES.with([], |gauge| gauge.set(bytes as f64));
        }
        if let Some(files) = process::open_files() {
            table::OPEN_FILES.with([], |gauge| gauge.set(files as f64));
        }
        self.0.render()
    }

    /// Tends the recorder until the future is dropped.
    pub async fn upkeep(&self, clock: &Clock) {
        loop {
            clock.sleep(UPKEEP).await;
            self.0.run_upkeep();
        }
    }
}

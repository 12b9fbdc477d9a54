//! What the operator gets to see: log lines and metrics.
//!
//! Both come from the typed events of `event`: one struct a thing that happened, whose `emit`
//! holds line and counter together. Metric names are `nuncio_<name>_<unit>_total`, without
//! `_total` for gauges and histograms. Never logged: addresses, bodies, tokens, keys, names.

mod event;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

pub use event::{
    ConnectionClosed, ConnectionOpened, EventsAccepted, EventsRefused, EventsSetAside,
    FramesFetched, HandlerPanicked, MessageAttempted, MessageDecided, MessageReported,
    RedisChanged, RedisFailed, RequestAnswered, SourceDrained, SourceFound, SourceLost,
    StoreFailed,
};

use crate::clock::Clock;

/// Sample storage grows until it is tended: so often is enough at any rate we reach.
const UPKEEP: Duration = Duration::from_secs(5);

/// Seconds: from a commit to a slow provider's deadline.
const BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    #[error("`{filter}` is no log filter")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("a log or metrics recorder is installed already")]
    Installed,
    #[error("the metrics' buckets are refused")]
    Buckets(#[source] metrics_exporter_prometheus::BuildError),
}

/// Starts writing log lines to standard error: as JSON objects, or for people.
///
/// `filter` is a `tracing` filter (`info,nuncio=debug`). Once a process.
pub fn log(json: bool, filter: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.into(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
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
        static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = &*installed {
            return Ok(metrics.clone());
        }
        let builder =
            PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(TelemetryError::Buckets)?;
        let handle = builder.install_recorder().map_err(|_| TelemetryError::Installed)?;
        let metrics = Self(handle);
        *installed = Some(metrics.clone());
        Ok(metrics)
    }

    /// The Prometheus text format.
    pub fn render(&self) -> String {
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

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::TelemetryError;
use crate::clock::Clock;
use crate::telemetry::SpansDropped;

/// Spans that wait to be sent; what comes more is dropped, and counted.
const WAITING: usize = 8192;
/// Spans of one request.
const BATCH: usize = 512;
/// Between two requests, unless there is enough for one.
const REST: Duration = Duration::from_secs(1);
/// For one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where traces go, and which.
pub struct Export {
    /// The collector's traces endpoint, whole: `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: String,
    pub headers: HashMap<String, String>,
    /// The share of traces that begin here and are kept, from 0 to 1.
    pub sample: f64,
    /// Tells providers the trace, as `traceparent`.
    pub propagate: bool,
}

/// The sending of spans.
pub struct Exporting {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Exporting {
    /// Sends what there is, and no more.
    pub async fn stop(self) {
        self.stop.cancel();
        // It ends by itself; a panic in it is its own.
        let _ = self.task.await;
    }
}

/// What ended, on its way out. Never waited for: the work goes on before its trace.
#[derive(Debug)]
pub(super) struct Queue(mpsc::Sender<SpanData>);

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _cx: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        if self.0.try_send(span).is_err() {
            SpansDropped { count: 1 }.emit();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

pub(super) fn start(export: &Export, clock: Clock) -> Result<(Queue, Exporting), TelemetryError> {
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(&export.endpoint)
        .with_headers(export.headers.clone())
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
    exporter.set_resource(&Resource::builder().with_service_name("nuncio").build());
    let (sender, spans) = mpsc::channel(WAITING);
    let stop = CancellationToken::new();
    let task = tokio::spawn(send(exporter, spans, clock, stop.clone()));
    Ok((Queue(sender), Exporting { task, stop }))
}

async fn send(
    exporter: SpanExporter,
    mut spans: mpsc::Receiver<SpanData>,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let stopped = stop.run_until_cancelled(clock.sleep(REST)).await.is_none();
        loop {
            while batch.len() < BATCH
                && let Ok(span) = spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                break;
            }
            let count = batch.len() as u64;
            if let Err(error) = exporter.export(std::mem::take(&mut batch)).await {
                SpansDropped { count }.emit();
                tracing::warn!(%error, "traces could not be sent");
                break;
            }
        }
        if stopped {
            return;
        }
    }
}

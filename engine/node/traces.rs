use super::StartError;
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::egress;
use crate::telemetry::{self, Export, Exporting};

/// Starts tracing, where the operator named a collector.
pub(super) fn start(
    config: &Config,
    environment: &Environment,
    clock: &Clock,
) -> Result<Option<Exporting>, StartError> {
    let otlp = &config.telemetry.otlp;
    let Some(collector) = &otlp.endpoint else { return Ok(None) };
    // The exporter's HTTP client asks for it.
    egress::use_ring();
    let header =
        |(name, secret): (&String, &crate::config::Secret)| match secret.resolve(environment) {
            Ok(text) => Ok((name.clone(), text)),
            Err(source) => {
                Err(StartError::Secret { key: format!("telemetry.otlp.headers.{name}"), source })
            }
        };
    let export = Export {
        endpoint: format!("{}/v1/traces", collector.as_str().trim_end_matches('/')),
        headers: otlp.headers.iter().map(header).collect::<Result<_, _>>()?,
        sample: otlp.sample,
        propagate: otlp.propagate,
    };
    Ok(Some(telemetry::trace(&export, clock.clone())?))
}

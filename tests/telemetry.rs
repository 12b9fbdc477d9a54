//! What is told to the operator, and what is not.

use nuncio::telemetry::{Metrics, TelemetryError, log};

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    let refused = log(true, "info,nuncio=loud");
    assert!(matches!(refused, Err(TelemetryError::Filter { .. })), "{refused:?}");
}

#[test]
fn one_recorder_serves_all_who_install_it() {
    let first = Metrics::install().expect("it installs");
    let again = Metrics::install().expect("it answers the first");
    nuncio::telemetry::MessageAttempted {
        channel: "email",
        provider: "smtp",
        outcome: "accepted",
        took: std::time::Duration::from_millis(3),
    }
    .emit();
    let text = again.render();
    assert!(first.render().contains("nuncio_attempted_messages_total{"), "{text}");
    assert!(
        text.contains(r#"nuncio_attempt_seconds_bucket{channel="email",le="0.005"}"#),
        "{text}"
    );
}

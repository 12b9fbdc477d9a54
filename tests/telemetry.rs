//! What is told to the operator, and what is not.

mod logs;
mod retention;
mod tail;
mod trace;

use nuncio::telemetry::{About, METRICS, Metrics, TelemetryError, log};
use serde_json::json;

use crate::harness::node::Installation;
use crate::harness::smtp::{Options, SmtpServer};

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    let refused = log(true, "info,nuncio=loud");
    assert!(matches!(refused, Err(TelemetryError::Filter { .. })), "{refused:?}");
}

#[test]
fn the_reference_shows_the_table_of_metrics() {
    let file = "docs/reference/metrics.md";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let page = std::fs::read_to_string(path).expect("the page is there");
    let (begin, end) = ("<!-- metrics: made from the code -->\n", "<!-- end of metrics -->");
    let (before, rest) = page.split_once(begin).expect("the table has a place");
    let (_, after) = rest.split_once(end).expect("and an end");
    let table = nuncio::telemetry::metrics_reference();
    crate::reference::same(file, &format!("{before}{begin}\n{table}\n{end}{after}"));
}

#[test]
fn names_of_metrics_tell_kind_and_unit() {
    for About { name, kind, .. } in METRICS {
        assert!(name.starts_with("nuncio_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind.word() == "counter", "{name}");
        if kind.word() == "histogram" {
            let unit = name.rsplit('_').next().expect("a last word");
            assert!(["seconds", "bytes", "rows"].contains(&unit), "{name}");
        }
        assert_eq!(METRICS.iter().filter(|other| other.name == *name).count(), 1, "{name}");
    }
}

/// A node that has delivered prints what the table says, and nothing else.
#[tokio::test]
async fn what_is_printed_stands_in_the_table() {
    let smtp = SmtpServer::start(Options::default()).await;
    let installation = shop(smtp.address.port());
    let node = installation.dev().await;
    node.put_user("42", json!({"email": "nadia@example.com", "first_name": "Nadia"})).await;
    let (mut socket, _) = node.connect("42").await;
    let event = node.emit("order.placed", json!({"customer": 42})).await;
    socket.frame().await;
    node.explained(&event, sent).await;
    let text = node.metrics().await;
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            let about = METRICS.iter().find(|about| about.name == name);
            let about = about.unwrap_or_else(|| panic!("{name} is not in the table"));
            assert_eq!(about.kind.word(), kind, "{name}");
            seen.insert(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a sentence");
            assert!(METRICS.iter().any(|about| about.name == name && about.help == help), "{line}");
        } else {
            let name = line.split(['{', ' ']).next().expect("a name");
            let about = METRICS.iter().find(|about| {
                name.strip_prefix(about.name)
                    .is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
            });
            let about = about.unwrap_or_else(|| panic!("{name} is not in the table"));
            let labels: Vec<_> = labels(line).into_iter().filter(|name| *name != "le").collect();
            assert_eq!(labels, about.labels, "{line}");
        }
    }
    for name in [
        "nuncio_accepted_events_total",
        "nuncio_accepted_to_sent_seconds",
        "nuncio_answered_requests_total",
        "nuncio_attempted_messages_total",
        "nuncio_claimed_rows",
        "nuncio_commit_seconds",
        "nuncio_due_jobs",
        "nuncio_http_connections",
        "nuncio_oldest_due_seconds",
        "nuncio_open_connections",
        "nuncio_open_files",
        "nuncio_plugin_cpu_seconds",
        "nuncio_plugin_memory_bytes",
        "nuncio_plugin_seconds",
        "nuncio_resident_bytes",
        "nuncio_sent_frames_total",
    ] {
        assert!(seen.contains(name), "{name} is missing:\n{text}");
    }
    assert!(!text.contains("nadia"), "{text}");
}

/// One workflow, by inbox and by mail through the plugin.
fn shop(smtp: u16) -> Installation {
    let workflow = "workflow: order\non: order.placed\ncategory: system\n\
        recipients: [{ user: event.data.customer }]\n\
        steps: [{ send: in_app, template: order }, { send: email, template: order }]\n";
    let config = format!(
        "[telemetry]\nlog = \"info,nuncio=debug\"\n[channels.email]\nproviders = [\"smtp\"]\n\
         [providers.smtp]\nplugin = \"email\"\n\
         settings = {{ host = \"127.0.0.1\", port = {smtp}, from = \"shop@shop.example\" }}\n"
    );
    Installation::empty()
        .file("nuncio.toml", &config)
        .file("workflows/order.yaml", workflow)
        .file("templates/order/in_app.hbs", "---\ntitle: 'Order'\n---\nThank you.\n")
        .file("templates/order/email.hbs", "---\nsubject: 'Order'\n---\n<p>Thank you.</p>\n")
}

fn sent(rows: &[serde_json::Value]) -> bool {
    rows.iter().any(|row| row["channel"] == "email" && row["outcome"] == "accepted")
}

/// The names of a line's labels.
fn labels(line: &str) -> Vec<&str> {
    let Some((_, rest)) = line.split_once('{') else { return Vec::new() };
    let (labels, _) = rest.rsplit_once('}').expect("an end");
    labels.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name).collect()
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

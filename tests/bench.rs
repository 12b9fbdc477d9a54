//! `nuncio bench` measures what it says: all that it loads arrives, on both stores.

use serde_json::Value;
use tokio::process::Command;

use crate::harness::postgres::Postgres;

const EVENTS: u64 = 300;

/// A small load; prints the report as JSON.
fn bench(further: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nuncio"));
    let events = EVENTS.to_string();
    command.args(["bench", "--format", "json", "--events", &events, "--users", "20"]);
    command.args(["--array", "50", "--connections", "4", "--concurrency", "16"]);
    command.args(["--beside", "200"]).args(further);
    command
}

async fn report(further: &[&str]) -> Value {
    let output = bench(further).output().await.expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report is JSON")
}

#[track_caller]
fn is_whole(report: &Value) {
    for part in ["http", "busy", "in_app"] {
        assert_eq!(report[part]["sent_rows"], EVENTS, "{part}: {report:#}");
        let rate = report[part]["delivered"]["per_second"].as_f64();
        assert!(rate.is_some_and(|rate| rate > 0.0 && rate.is_finite()), "{part}: {report:#}");
    }
    for (part, rate) in [("bare_before", "per_second"), ("singles", "per_second")] {
        assert!(report[part][rate].as_f64().is_some_and(|rate| rate > 0.0), "{part}: {report:#}");
    }
    assert!(report["seen"]["p99_ms"].as_f64() >= report["seen"]["p50_ms"].as_f64(), "{report:#}");
}

#[tokio::test]
async fn a_backlog_arrives_and_is_measured() {
    is_whole(&report(&[]).await);
}

#[tokio::test]
async fn two_nodes_share_a_backlog() {
    let url = Postgres::shared().await.database().await;
    is_whole(&report(&["--store", &url, "--nodes", "2"]).await);
}

#[tokio::test]
async fn two_nodes_need_a_store_that_they_can_share() {
    let output = bench(&["--nodes", "2"]).output().await.expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--store"), "{output:?}");
}

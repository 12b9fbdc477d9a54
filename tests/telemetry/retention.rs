//! What is past its time goes beside the work of a real node.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use tokio::time::timeout;

use super::shop;
use crate::harness::node::{Node, PATIENCE};
use crate::harness::smtp::{Options, SmtpServer};

/// Old events, all planned, nobody's.
const OLD: &str = "INSERT INTO event (id, tenant, name, body_hash, data, at, received_at)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
    SELECT unhex(printf('%012x70008000%012x', 1700000000000 + i, i)), '', 'old', x'00', '{}',
      1700000000000 + i, 1700000000000 + i FROM n";

/// Rows that were cleared, as the node counts them.
async fn cleared(node: &Node) -> u64 {
    let text = node.metrics().await;
    let line = text.lines().find_map(|line| line.strip_prefix("nuncio_pruned_rows_total{"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_backlog_of_old_rows_is_cleared_beside_the_work() {
    let smtp = SmtpServer::start(Options::default()).await;
    let installation = shop(smtp.address.port());
    assert_eq!(installation.dev().await.stop().await, Some(0));
    let url = format!("sqlite:{}", installation.path(".nuncio/nuncio.db").display());
    let mut store = SqliteConnection::connect(&url).await.expect("it opens");
    sqlx::query(OLD).execute(&mut store).await.expect("they are written");
    let node = installation.dev().await;
    let mut slowest = Duration::ZERO;
    let working = timeout(PATIENCE, async {
        // Several slices, and work between them.
        while cleared(&node).await < 5000 {
            let began = Instant::now();
            node.emit("order.placed", json!({"customer": 42})).await;
            slowest = slowest.max(began.elapsed());
        }
    });
    working.await.expect("they are cleared");
    assert!(slowest < Duration::from_secs(5), "an accept waited for {slowest:?}");
    assert_eq!(node.stop().await, Some(0));
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM event WHERE name = 'old'")
        .fetch_one(&mut store)
        .await
        .expect("it counts");
    assert!((1..=95_000).contains(&left), "a pass has pauses: {left} are left");
}

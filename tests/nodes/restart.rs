use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::sync::{RwLock, watch};

use super::cluster::Cluster;
use crate::harness::node::Node;

const NODES: usize = 3;
/// Events accepted between two restarts, at least.
const BETWEEN: usize = 30;

/// With `NUNCIO_PREVIOUS` it is a rolling update: the nodes that are replaced are of that build, and
/// the two versions work side by side until the last of them is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_nothing_and_sends_nothing_twice() {
    let cluster = Cluster::found().await;
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(cluster.node_before().await);
    }
    cluster.person(&nodes[0]).await;
    let service = Service::begin(&cluster.api_key, nodes.iter().map(|node| node.url.clone()));

    for place in 0..NODES {
        service.accepted(BETWEEN * (place + 1)).await;
        let old = nodes.remove(0);
        let url = old.url.clone();
        assert_eq!(old.stop().await, Some(0), "a stop in order");
        service.leave_out(&url).await;
        let new = cluster.node().await;
        service.add(&new).await;
        nodes.push(new);
    }
    let accepted = service.end().await;

    cluster.settled(&nodes[0]).await;
    assert!(accepted.len() >= BETWEEN * NODES);
    assert_eq!(cluster.each_once(), accepted.len());
}

/// A service that posts events one after another to whichever node it is told of.
struct Service {
    nodes: Arc<RwLock<Vec<String>>>,
    stop: watch::Sender<bool>,
    count: watch::Receiver<usize>,
    posting: tokio::task::JoinHandle<BTreeSet<String>>,
}

impl Service {
    fn begin(api_key: &str, nodes: impl Iterator<Item = String>) -> Self {
        nuncio::egress::use_ring();
        let nodes = Arc::new(RwLock::new(nodes.collect::<Vec<_>>()));
        let (stop, stopped) = watch::channel(false);
        let (counted, count) = watch::channel(0);
        let (urls, key) = (nodes.clone(), api_key.to_owned());
        let posting = tokio::spawn(async move {
            let http = reqwest::Client::new();
            let turn = AtomicUsize::new(0);
            let mut accepted = BTreeSet::new();
            while !*stopped.borrow() {
                let n = accepted.len();
                let event = json!({
                    "name": "order.placed",
                    "data": {"user_id": 42, "n": n},
                    "idempotency_key": format!("order {n}"),
                });
                let url = {
                    let urls = urls.read().await;
                    urls[turn.fetch_add(1, Ordering::Relaxed) % urls.len()].clone()
                };
                let posted = http.post(format!("{url}/v1/events")).bearer_auth(&key).json(&event);
                // A node that goes away answers nothing, or 503: the next one is asked.
                let Ok(answer) = posted.send().await else { continue };
                let Ok(answer) = answer.error_for_status() else { continue };
                let Ok(answer) = answer.json::<serde_json::Value>().await else { continue };
                accepted.insert(answer["id"].as_str().expect("an id").to_owned());
                counted.send_replace(accepted.len());
            }
            accepted
        });
        Self { nodes, stop, count, posting }
    }

    /// Returns once so many events are accepted.
    async fn accepted(&self, least: usize) {
        let mut count = self.count.clone();
        count.wait_for(|count| *count >= least).await.expect("it posts");
    }

    /// Late: it asked the node in vain for as long as the stop took.
    async fn leave_out(&self, gone: &str) {
        self.nodes.write().await.retain(|url| url != gone);
    }

    async fn add(&self, node: &Node) {
        self.nodes.write().await.push(node.url.clone());
    }

    async fn end(self) -> BTreeSet<String> {
        self.stop.send_replace(true);
        self.posting.await.expect("it ends")
    }
}

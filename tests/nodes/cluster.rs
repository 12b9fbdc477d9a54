use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::node::{Installation, Node, PATIENCE, PROGRAM};
use crate::harness::postgres::Postgres;
use crate::harness::sink::Sink;

/// Work is taken over within this time: the least that the configuration allows.
pub const TAKEOVER: Duration = Duration::from_secs(5);

/// A database, one set of files and one sink, for any number of nodes.
pub struct Cluster {
    pub installation: Installation,
    /// The same, with nodes of the version before: of the build that `NUNCIO_PREVIOUS` names, or
    /// else of this one.
    previous: Installation,
    pub sink: Sink,
    pub api_key: String,
}

impl Cluster {
    pub async fn found() -> Self {
        let database = Postgres::shared().await.database().await;
        let sink = Sink::start().await;
        let hook = sink.url("/hook");
        let installation = Installation::empty()
            .file(
                "nuncio.toml",
                &format!(
                    "[store]\nurl = \"{database}\"\n[engine]\nlease = \"{}s\"\nworkers = 16\n\
                     [auth]\nsecret = \"a secret that only tests know\"\n\
                     [channels.webhook]\nproviders = [\"hook\"]\n\
                     [providers.hook]\nplugin = \"webhook\"\nsettings = {{ url = \"{hook}\" }}\n",
                    TAKEOVER.as_secs()
                ),
            )
            .file(
                "workflows/order.yaml",
                "workflow: order\non: order.placed\ncategory: order\n\
                 recipients:\n  - user: event.data.user_id\n\
                 steps:\n  - send: in_app\n    template: order\n  - send: webhook\n    template: order\n",
            )
            .file("templates/order/in_app.hbs", "---\ntitle: An order\n---\n{{event.data.n}}\n")
            .file("templates/order/webhook.hbs", "{\"n\": {{event.data.n}}}\n");
        #[expect(clippy::disallowed_methods, reason = "which build is the one before")]
        let previous = match std::env::var_os("NUNCIO_PREVIOUS") {
            Some(program) => installation.of(program),
            None => installation.of(PROGRAM),
        };
        let key = previous.command(&["key", "new", "--name", "tests", "--scopes", "*"]).await;
        assert_eq!(key.code, Some(0), "{key:?}");
        Self { installation, previous, sink, api_key: key.stdout.trim().to_owned() }
    }

    /// A node that does everything.
    pub async fn node(&self) -> Node {
        self.installation.run_with(&self.api_key).await
    }

    /// A node of the version before, that does everything.
    pub async fn node_before(&self) -> Node {
        self.previous.run_with(&self.api_key).await
    }

    /// A node that does `roles` alone.
    pub async fn node_as(&self, roles: &str) -> Node {
        self.installation.run_as(&self.api_key, roles).await
    }

    /// Whom the events are for.
    pub async fn person(&self, node: &Node) {
        node.put_user("42", json!({"first_name": "Ada"})).await;
    }

    /// Returns once that many messages are sent to the sink, whatever became of them before.
    pub async fn sent(&self, node: &Node, count: usize) {
        let path = "/v1/messages?limit=100&status=sent&channel=webhook";
        let all =
            |answer: &Value| answer["results"].as_array().is_some_and(|all| all.len() == count);
        node.asked(path, all).await;
    }

    /// Returns once no message waits, is claimed, or is being sent, asked in the order in which one
    /// goes on: with no node that dies meanwhile.
    pub async fn settled(&self, node: &Node) {
        let settled = timeout(PATIENCE, async { while !self.is_settled(node).await {} });
        assert!(settled.await.is_ok(), "messages are left to do\n{}", node.said());
    }

    async fn is_settled(&self, node: &Node) -> bool {
        for status in ["pending", "leased", "sending"] {
            let path = format!("/v1/messages?limit=1&status={status}");
            if node.call("GET", &path, None).await.1["results"] != json!([]) {
                return false;
            }
        }
        true
    }

    /// Each message reached the sink once; answers how many there were.
    pub fn each_once(&self) -> usize {
        let by_id = self.sink.by_id();
        let repeated: Vec<_> = by_id.iter().filter(|(_, times)| **times > 1).collect();
        assert!(repeated.is_empty(), "sent more than once: {repeated:?}");
        by_id.len()
    }
}

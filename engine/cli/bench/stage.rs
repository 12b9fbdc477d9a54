use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::Bench;
use super::sink::Sink;
use crate::auth;
use crate::cli::Failure;
use crate::cli::migrate::in_full;
use crate::clock::Clock;
use crate::config::{Channel, Config, Environment, Provider, Secret, loopback};
use crate::model::{MessageStatus, Preferences, Row, User, UserId};
use crate::node::{Node, Roles, Setup};
use crate::store::MessageQuery;

/// About 1 kB of HTML with what the event and the recipient bring. The comment tells the sink
/// which event it is.
pub(super) const BODY: &str = include_str!("stage/body.hbs");
const HTTP: &str = include_str!("stage/bench-http.yaml");
const BUSY: &str = include_str!("stage/bench-http-busy.yaml");
const IN_APP: &str = include_str!("stage/bench-in-app.yaml");
const ENTRY: &str = include_str!("stage/in_app.hbs");
const API: Roles = Roles { api: true, worker: false, relay: false };
const WORKER: Roles = Roles { api: false, worker: true, relay: false };
/// Signs development tokens of this run alone.
const SECRET: &str = "a secret of the benchmark's own";

/// An installation of the benchmark's own: a node on durable SQLite in a temporary folder.
pub(super) struct Stage {
    node: Node,
    /// Those beside it, which only send.
    others: Vec<Node>,
    config: Config,
    pub key: String,
}

/// A connected user's end of the relay.
pub(super) struct Reader {
    frames: tokio::task::JoinHandle<Vec<(u64, Instant)>>,
}

impl Stage {
    /// Nothing is sent yet.
    pub async fn set(bench: &Bench, sink: &Sink) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("nuncio-bench-{}", std::process::id()));
        write(&folder).map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))?;
        let config = config(bench, sink, &folder);
        let node = start(&config, API).await?;
        let clock = Clock::system();
        let (key, kept) = auth::issue(&clock, "bench", vec!["*".into()]);
        node.store().put_key(&kept).await.map_err(Failure::service)?;
        users(&node, bench.users, &clock).await?;
        Ok(Self { node, others: Vec::new(), config, key })
    }

    /// The same installation, with nodes that send or one that does not.
    pub async fn play(self, bench: &Bench, sends: bool) -> Result<Self, Failure> {
        let Self { node, others, config, key } = self;
        join_all(others.into_iter().chain([node]).map(Node::stop)).await;
        let further = if sends { bench.nodes.saturating_sub(1) } else { 0 };
        let node = start(&config, if sends { Roles::default() } else { API }).await?;
        let others = (0..further).map(|_| start(&config, WORKER));
        let others = try_join_all(others).await?;
        Ok(Self { node, others, config, key })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.node.address())
    }

    /// How many messages of a workflow are sent.
    pub async fn counted(&self, workflow: &str) -> Result<u64, Failure> {
        self.node.store().count_messages(&sent_of(workflow)).await.map_err(Failure::service)
    }

    /// Waits until `wanted` messages of a workflow are in their final state, and counts them.
    pub async fn settled(&self, workflow: &str, wanted: usize) -> Result<u64, Failure> {
        let count = async {
            loop {
                let sent = self.counted(workflow).await?;
                if sent >= wanted as u64 {
                    return Ok::<u64, Failure>(sent);
                }
                // Counting reads all of them: often, and it would be what is measured.
                Clock::system().sleep(Duration::from_millis(250)).await;
            }
        };
        tokio::time::timeout(super::LONGEST, count).await.map_err(Failure::service)?
    }

    /// Connects user 0 and notes when each notification comes.
    pub async fn reader(&self, wanted: usize) -> Result<Reader, Failure> {
        let grant = auth::Grant {
            sub: "0".into(),
            role: None,
            orgs: Vec::new(),
            lifetime: Duration::from_secs(3600),
        };
        let token = auth::mint(&grant, SECRET, &crate::config::Auth::default(), &Clock::system());
        let token = token.ok_or_else(|| Failure::Service("no token could be made".into()))?;
        let url = format!("ws://{}/ws/notifications/0/?token={token}", self.node.address());
        let (mut socket, _) =
            tokio_tungstenite::connect_async(url).await.map_err(Failure::service)?;
        let frames = tokio::spawn(async move {
            let mut arrived = Vec::with_capacity(wanted);
            while arrived.len() < wanted
                && let Some(Ok(message)) = socket.next().await
            {
                let text = message.to_text().unwrap_or_default();
                let frame: Value = serde_json::from_str(text).unwrap_or_default();
                if frame["type"] == "new_notification" {
                    arrived.push((frame["seq"].as_u64().unwrap_or_default(), Instant::now()));
                }
            }
            arrived
        });
        Ok(Reader { frames })
    }

    /// Stops the node and removes what it wrote.
    pub async fn strike(self) {
        join_all(self.others.into_iter().chain([self.node]).map(Node::stop)).await;
        let folder = &self.config.engine.root;
        if let Err(error) = std::fs::remove_dir_all(folder) {
            eprintln!("{} could not be removed: {error}", folder.display());
        }
    }
}

impl Reader {
    /// All that was waited for, in the order of arrival.
    pub async fn frames(self, longest: Duration) -> Result<Vec<(u64, Instant)>, Failure> {
        let arrived = tokio::time::timeout(longest, self.frames).await;
        arrived.map_err(Failure::service)?.map_err(Failure::service)
    }
}

async fn start(config: &Config, roles: Roles) -> Result<Node, Failure> {
    let setup = Setup {
        config: config.clone(),
        environment: Environment::default(),
        cache: config.engine.root.join("plugins"),
        compiler: crate::cli::compiler(),
        listener: TcpListener::bind(loopback(0)).await.map_err(Failure::service)?,
        roles,
        dev: false,
    };
    Node::start(setup).await.map_err(|error| Failure::Service(in_full(&error)))
}

fn sent_of(workflow: &str) -> MessageQuery {
    MessageQuery {
        status: Some(MessageStatus::Sent),
        workflow: Some(workflow.into()),
        ..MessageQuery::default()
    }
}

fn write(folder: &std::path::Path) -> std::io::Result<()> {
    let files = [
        ("workflows/bench/bench-http.yaml", HTTP),
        ("workflows/bench/bench-http-busy.yaml", BUSY),
        ("workflows/bench/bench-in-app.yaml", IN_APP),
        ("templates/bench/body/webhook.hbs", BODY),
        ("templates/bench/body/in_app.hbs", ENTRY),
    ];
    for (path, content) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, content)?;
    }
    Ok(())
}

fn config(bench: &Bench, sink: &Sink, folder: &std::path::Path) -> Config {
    let mut config = Config::default();
    let file = || format!("sqlite:{}", folder.join("nuncio.db").display());
    config.store.url = bench.store.clone().unwrap_or_else(file);
    config.engine.root = folder.to_owned();
    config.engine.workers = bench.concurrency * 4;
    config.auth.secret = Some(Secret::Text(SECRET.into()));
    let settings: Map<String, Value> = Map::from_iter([("url".to_owned(), json!(sink.url()))]);
    let provider = Provider {
        plugin: "webhook".into(),
        settings,
        secrets: BTreeMap::from([(
            "signing".into(),
            Secret::Text("c2VjcmV0IG9mIHRoZSBiZW5jaG1hcms=".into()),
        )]),
        rate: None,
        concurrency: bench.concurrency,
        on_unknown: None,
        breaker: crate::config::Breaker::default(),
    };
    config.providers.insert("sink".into(), provider);
    config
        .channels
        .insert("webhook".into(), Channel { providers: vec!["sink".into()], ..Channel::default() });
    config
}

/// Users with preferences of their own, as a real inbox has.
async fn users(node: &Node, count: usize, clock: &Clock) -> Result<(), Failure> {
    let now = clock.now();
    let user = |n: usize| User {
        id: UserId::from(n.to_string()),
        username: Some(format!("user{n}")),
        email: Some(format!("user{n}@example.test")),
        phone: None,
        first_name: Some("Ada".into()),
        last_name: Some("Lovelace".into()),
        locale: Some("en".into()),
        time_zone: Some("Africa/Tunis".into()),
        role: None,
        data: Map::new(),
        created_at: now,
        updated_at: now,
    };
    let all = (0..count).map(user).collect();
    node.store().put_users(all).await.map_err(Failure::service)?;
    let mut chosen = Preferences::default();
    let channels = BTreeMap::from([("in_app".into(), true), ("webhook".into(), true)]);
    chosen.notification_types.insert("bench".into(), Row(channels));
    for n in 0..count {
        let id = UserId::from(n.to_string());
        node.store().put_preferences(&id, chosen.clone()).await.map_err(Failure::service)?;
    }
    Ok(())
}

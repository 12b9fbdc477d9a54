//! Everything in one process, for a laptop.

mod files;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::net::TcpListener;

use super::run::{Signals, not_started, older_runs, serve};
use super::{Done, Failure, block_on};
use crate::auth;
use crate::clock::Clock;
use crate::config::{Config, Environment, LogFormat, Origin, Secret};
use crate::node::{Node, Roles, Setup};
use crate::telemetry;

pub(super) use files::{Watch, read_env};

/// The first port that is tried where none is given.
const FIRST_PORT: u16 = 8080;
/// Ports tried from there on.
const PORTS: u16 = 100;

/// Everything in one process, for a laptop.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  nuncio dev --port 9000\n\nWorks in an empty folder too. What no configured provider takes is kept and shown in the outbox."
)]
pub(super) struct Dev {
    /// Default: 8080, or the next free one
    #[arg(long)]
    port: Option<u16>,
    /// Where the database, compiled plugins and dev.env are kept
    #[arg(long, default_value = ".nuncio")]
    data: PathBuf,
    #[command(flatten)]
    config: super::config::Source,
}

impl Dev {
    pub fn run(self) -> Done {
        let loaded = self.config.load()?;
        let json = loaded.config.telemetry.log_format == LogFormat::Json;
        telemetry::log(json, &quiet(&loaded.config)).map_err(Failure::input)?;
        files::make(&self.data)?;
        let mut config = loaded.config;
        let own_store = loaded
            .settings
            .iter()
            .any(|setting| setting.key == "store.url" && setting.origin != Origin::Default);
        if !own_store {
            config.store.url = format!("sqlite:{}", self.data.join("nuncio.db").display());
        }
        block_on(None, self.start(config))?
    }

    async fn start(self, mut config: Config) -> Done {
        let listener = listen(self.port).await?;
        let address = listener.local_addr().map_err(Failure::service)?;
        config.server.bind = address;
        let env_file = self.data.join("dev.env");
        let clock = Clock::system();
        let dev = files::Credentials::kept_or_made(&env_file, &clock);
        if config.auth.secret.is_none() && config.auth.public_key.is_none() {
            config.auth.secret = Some(Secret::Text(dev.jwt_secret.clone()));
        }
        if config.encryption.keys.0.is_empty() {
            let key = files::encryption_key(&self.data, &clock)?;
            config.encryption.keys.0.push(Secret::File(key));
        }
        let cache = self.data.join("plugins");
        let environment = Environment::process();
        // Before /readyz can say 200: scripts wait for that and then read the file.
        dev.write(&env_file, address)?;
        let compiler = super::compiler();
        let setup = Setup {
            config,
            environment,
            cache,
            compiler,
            listener,
            roles: Roles::default(),
            dev: true,
        };
        let signals = Signals::listen()?;
        let node = Node::start(setup).await.map_err(not_started)?;
        let held = auth::held(&clock, "dev", vec!["*".into()], &dev.api_key);
        if node.store().key_by_hash(&held.hash).await.map_err(Failure::service)?.is_none() {
            node.store().revoke_key("dev", clock.now()).await.map_err(Failure::service)?;
            node.store().put_key(&held).await.map_err(Failure::service)?;
        }
        eprint!("{}", super::shown(node.problems()));
        self.welcome(&node, address);
        older_runs(node.runs_on_older_versions().await.map_err(Failure::service)?);
        let root = node.view().root().to_owned();
        serve(node, signals, Some(files::Watch::new(root, clock))).await
    }

    /// What was loaded, what was assumed, and what to try: ten lines.
    fn welcome(&self, node: &Node, address: SocketAddr) {
        let url = format!("http://{address}");
        let data = self.data.display();
        let channels: Vec<String> = node
            .view()
            .providers()
            .map(|(channel, providers)| {
                let names: Vec<&str> = providers.iter().map(|name| name.as_str()).collect();
                format!("{channel} → {}", names.join(", "))
            })
            .collect();
        let sample = files::a_sample(node.view().root());
        let (event, sample) = sample.unwrap_or_else(|| ("order.placed".into(), "'{}'".into()));
        eprintln!("nuncio {} is ready at {url}", super::version());
        eprintln!("  files      {}", node.view().summary());
        eprintln!("  channels   in_app, {}", channels.join(", "));
        eprintln!("  data       {data}/nuncio.db; key and secret for scripts in {data}/dev.env");
        if !Path::new("nuncio.toml").exists() {
            eprintln!("  assumed    no nuncio.toml here: defaults, and no provider but capture");
        }
        eprintln!("  outbox     {url}/dev/outbox   API {url}/docs");
        eprintln!("try:");
        eprintln!("  nuncio emit {event} --data {sample}");
        eprintln!("  nuncio token --sub 42           # then ws://{address}/ws/notifications/42/");
        eprintln!("  nuncio explain EVENT_ID         # what became of it, and why");
    }
}

/// Says what goes wrong, not each thing that happens.
fn quiet(config: &Config) -> String {
    if config.telemetry.log == "info" { "warn".into() } else { config.telemetry.log.clone() }
}

/// The given port, or the first free one from 8080 on.
async fn listen(port: Option<u16>) -> Result<TcpListener, Failure> {
    let bind = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    if let Some(port) = port {
        let taken = |error| Failure::Input(format!("port {port} cannot be listened on: {error}"));
        return bind(port).await.map_err(taken);
    }
    for port in FIRST_PORT..FIRST_PORT + PORTS {
        if let Ok(listener) = bind(port).await {
            if port != FIRST_PORT {
                eprintln!("port {FIRST_PORT} is taken: using {port}");
            }
            return Ok(listener);
        }
    }
    Err(Failure::Input(format!("no port from {FIRST_PORT} on is free: give one with --port")))
}

/// Reads the files again and says what came of it.
pub(super) async fn read_again(node: &Node) {
    match node.reload().await {
        Ok(reloaded) => {
            eprint!("{}", super::shown(&reloaded.problems));
            if reloaded.in_force {
                eprintln!("read again: {}", reloaded.summary);
                older_runs(reloaded.runs_on_older_versions);
            } else {
                eprintln!("the files have errors: what was loaded before stays in force");
            }
        }
        Err(error) => eprintln!("the files could not be put in force: {error}"),
    }
}

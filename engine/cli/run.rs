use std::path::PathBuf;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::dev::{Watch, read_again};
use super::migrate::in_full;
use super::{Done, Failure, block_on};
use crate::config::{Environment, LogFormat};
use crate::node::{Node, Role, Roles, Setup, StartError};
use crate::telemetry;

/// A node in production.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  nuncio run --config /etc/nuncio.toml\n\nSIGTERM stops it in order; SIGHUP reads the workflows again."
)]
pub(super) struct Run {
    #[command(flatten)]
    config: super::config::Source,
    /// What this node does, of several on one PostgreSQL. Default: all of it
    #[arg(long, value_delimiter = ',', value_name = "ROLE,…")]
    roles: Vec<Role>,
    /// Where compiled plugins are kept
    #[arg(long, default_value = ".nuncio/plugins")]
    cache: PathBuf,
    /// Worker threads of the runtime. Default: one a core
    #[arg(long)]
    threads: Option<usize>,
}

impl Run {
    pub fn run(self) -> Done {
        let config = self.config.load()?.config;
        let json = config.telemetry.log_format == LogFormat::Json;
        telemetry::log(json, &config.telemetry.log).map_err(Failure::input)?;
        block_on(self.threads, async move {
            let listener = TcpListener::bind(config.server.bind).await.map_err(|error| {
                Failure::Input(format!("{} cannot be listened on: {error}", config.server.bind))
            })?;
            let environment = Environment::process();
            let (cache, compiler) = (self.cache, super::compiler());
            let roles = Roles::of(&self.roles);
            if !roles.are_all() && config.store.url.starts_with("sqlite:") {
                eprintln!("SQLite is one node's: what this one leaves undone, none does");
            }
            let setup = Setup { config, environment, cache, compiler, listener, roles, dev: false };
            let signals = Signals::listen()?;
            let node = Node::start(setup).await.map_err(not_started)?;
            let recovered = node.recovered();
            eprintln!(
                "ready on http://{} ({} claims freed, {} sends of unknown outcome)",
                node.address(),
                recovered.released,
                recovered.unknown
            );
            older_runs(node.runs_on_older_versions().await.map_err(Failure::service)?);
            serve(node, signals, None).await
        })?
    }
}

/// What an operator may ask of a running process.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Before the node starts, so that a stop asked for meanwhile is one in order.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::service);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

/// Runs until a signal asks to stop, then stops in order.
pub(super) async fn serve(node: Node, mut signals: Signals, mut watch: Option<Watch>) -> Done {
    loop {
        let changed = async {
            match &mut watch {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => read_again(&node).await,
            () = changed => read_again(&node).await,
        }
    }
    eprintln!("stopping: finishing what goes on");
    node.stop().await;
    Ok(())
}

/// What a deploy leaves behind; nothing to say where there is none.
pub(super) fn older_runs(runs: u64) {
    if runs > 0 {
        eprintln!("{runs} unfinished runs hold older versions: see `nuncio workflows versions`");
    }
}

/// A start that failed, in words; problems of files with their places.
pub(super) fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Files(problems) => {
            eprint!("{}", super::shown(&problems));
            Failure::Input("the workflows have errors: nothing was started".into())
        }
        StartError::Store(error) => Failure::Service(in_full(&error)),
        other => Failure::Input(in_full(&other)),
    }
}

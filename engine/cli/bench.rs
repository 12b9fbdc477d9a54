//! What this build holds on this machine, beside a bare loop of the same work.
//!
//! Everything runs in one process and on one machine, the sink too: figures are for comparing
//! with the bare loop of the same run, not with other machines.

mod load;
mod report;
mod sink;
mod stage;

use std::time::Duration;

use clap::Args;

use super::{Done, Failure, Format, block_on};
use report::Report;

/// Loads an installation of its own with synthetic events and prints what it held.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example:\n  nuncio bench --events 50000\n\nThe installation lives in a temporary folder and is removed. What is written to another store stays there."
)]
pub(super) struct Bench {
    /// An empty database to load instead of a SQLite file: `postgres:…`
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Nodes that send, in this process; more than one needs a store that they can share
    #[arg(long, default_value_t = 1, requires = "store")]
    nodes: usize,
    /// Events of each part
    #[arg(long, default_value_t = 50_000)]
    events: usize,
    /// Users that the events are for
    #[arg(long, default_value_t = 1_000)]
    users: usize,
    /// Events in one POST, where they are sent in arrays
    #[arg(long, default_value_t = 200)]
    array: usize,
    /// Connections that send events
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Events accepted a second beside a delivery that is not left alone
    #[arg(long, default_value_t = 5_000)]
    beside: usize,
    /// Sends at once, to the HTTP provider and in the bare loop
    #[arg(long, default_value_t = 128)]
    concurrency: usize,
    /// Worker threads of the runtime. Default: one a core
    #[arg(long)]
    threads: Option<usize>,
}

/// A part that is not done by then has failed.
const LONGEST: Duration = Duration::from_secs(300);

impl Bench {
    pub fn run(self, format: Format) -> Done {
        let threads = self.threads;
        let report = block_on(threads, async move {
            tokio::time::timeout(LONGEST * 4, measure(&self)).await.map_err(Failure::service)?
        })??;
        match format {
            Format::Json => {
                println!("{}", serde_json::to_string(&report).map_err(Failure::service)?)
            }
            _ => print!("{report}"),
        }
        Ok(())
    }
}

/// The parts in turn, each between two bare loops, so that a machine that slows down shows.
async fn measure(bench: &Bench) -> Result<Report, Failure> {
    let sink = sink::Sink::start(bench.events).map_err(Failure::service)?;
    let bare_before = load::bare(bench, &sink).await?;
    let stage = stage::Stage::set(bench, &sink).await?;
    let idle_rss_kib = report::rss_kib("VmRSS:");
    let accepted = load::arrays(bench, &stage, "bench.http").await?.per_second;
    sink.expect(bench.events);
    let stage = stage.play(bench, true).await?;
    let http = load::http(bench, &stage, &sink, accepted).await?;
    let stage = stage.play(bench, false).await?;
    let accepted = load::arrays(bench, &stage, "bench.http-busy").await?.per_second;
    sink.expect(bench.events);
    let stage = stage.play(bench, true).await?;
    let (busy, beside) = load::busy(bench, &stage, &sink, accepted).await?;
    let (in_app, seen) = load::in_app(bench, &stage).await?;
    let singles = load::singles(bench, &stage).await?;
    let peak_rss_kib = report::rss_kib("VmHWM:");
    stage.strike().await;
    let bare_after = load::bare(bench, &sink).await?;
    Ok(Report {
        bare_before,
        bare_after,
        http,
        busy,
        beside,
        in_app,
        seen,
        singles,
        idle_rss_kib,
        peak_rss_kib,
    })
}

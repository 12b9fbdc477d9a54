use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Done, Failure, Format};
use crate::pipeline::Rules;
use crate::simulate::{World, case, report};
use crate::{check, node};

/// Runs are short: a bar that is there for less than this would only flicker.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// Runs the tests that lie beside workflows, on a clock that is turned: nothing is sent
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nuncio test --only order-paid")]
pub(super) struct Test {
    /// The folder that holds workflows/ and templates/
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Only cases whose file or name has this in it
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Another seed, another jitter
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    config: super::config::Source,
}

impl Test {
    pub fn run(self, format: Format) -> Done {
        let config = self.config.load()?.config;
        let faked = node::faked(&config).map_err(Failure::input)?;
        let loaded = check::load(&self.dir, &faked.channels);
        let (mut tests, wrong) =
            check::cases(&self.dir, loaded.catalog.as_deref(), &faked.channels);
        eprint!("{}", super::shown(&loaded.diagnostics));
        eprint!("{}", super::shown(&wrong));
        let catalog = loaded.catalog.ok_or(Failure::Said)?;
        if !wrong.is_empty() {
            return Err(Failure::Said);
        }
        if let Some(only) = &self.only {
            tests.retain(|test| test.place.contains(only) || test.name.contains(only));
        }
        let rules = Rules::of(&config);
        let world = World::new(catalog, &faked.channels, faked.providers, rules, self.seed);
        let bar = bar(tests.len());
        let ran = case::run_all(&world, &tests, &|_| bar.inc(1));
        bar.finish_and_clear();
        let failed = ran.iter().filter(|one| one.failure.is_some()).count();
        if format == Format::Json {
            println!("{:#}", report::json(&ran));
        } else {
            print!("{}", report::text(&ran, std::io::stdout().is_terminal()));
        }
        eprintln!("{}: {} passed, {failed} failed", self.dir.display(), ran.len() - failed);
        if failed > 0 { Err(Failure::Said) } else { Ok(()) }
    }
}

/// On a terminal only.
fn bar(cases: usize) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target(Some(cases as u64), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(BAR_EVERY);
    bar
}

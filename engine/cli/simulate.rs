use std::collections::BTreeSet;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;

use super::{Done, Failure, Format};
use crate::clock::Clock;
use crate::config::Config;
use crate::diagnostic::Source;
use crate::explain::{self, Look};
use crate::model::{UserId, WorkflowName};
use crate::pipeline::Rules;
use crate::simulate::scenario::{Asked, Failed, Files, Scenario, Told};
use crate::simulate::{World, at_once};
use crate::{check, node};

/// Bytes of one input.
const MAX_INPUT: u64 = 64 << 20;

/// What a workflow would send, hold and skip, on a clock that is turned: nothing is sent
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nuncio simulate workflows/order-paid.yaml --event event.json --recipient buyer.json
  nuncio simulate workflows/order-paid.yaml --event - --at 2026-03-01T09:00:00Z --format json

The workflows/ and templates/ of the current folder take part, as nuncio.toml says where there is \
one. All workflows that an event starts run, as they would; shown are the rows of FILE's, and of \
what it starts by emit.")]
pub(super) struct Simulate {
    /// A workflow file
    file: PathBuf,
    /// An event as POST /v1/events takes it, an array, or NDJSON; `-` is the standard input
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// A user as PUT /v1/users takes it, with preferences, devices and topics; or a list
    #[arg(long, value_name = "FILE")]
    recipient: Option<PathBuf>,
    /// When events happen that do not say it [default: the earliest of the others, or now]
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// Where to end [default: when nothing is due any more]
    #[arg(long, value_name = "INSTANT")]
    until: Option<Timestamp>,
    /// What providers do wrong and users read, meanwhile
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Another seed, another jitter
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    config: super::config::Source,
}

impl Simulate {
    pub fn run(self, format: Format) -> Done {
        let config = self.config.load()?.config;
        let faked = node::faked(&config).map_err(Failure::input)?;
        let loaded = check::load_with(&config.engine.root, Some(&self.file), &faked.channels);
        eprint!("{}", super::shown(&loaded.diagnostics));
        let catalog = loaded.catalog.ok_or(Failure::Said)?;
        let workflow = self.workflow(&config, &catalog)?;
        let rules = Rules::of(&config);
        let world = World::new(catalog, &faked.channels, faked.providers, rules, self.seed);
        let files = Files {
            events: input(&self.event)?,
            people: self.recipient.as_deref().map(input).transpose()?,
            script: self.script.as_deref().map(input).transpose()?,
        };
        let now = Clock::system().now();
        let asked = Asked { workflow: workflow.clone(), at: self.at, until: self.until, now };
        let scenario = Scenario::read(&world, files, asked);
        let scenario = scenario.map_err(|problems| {
            eprint!("{}", super::shown(&problems));
            Failure::Said
        })?;
        let told = at_once(scenario.run(&world)).map_err(|failed| match failed {
            Failed::Input(problems) => {
                eprint!("{}", super::shown(&problems));
                Failure::Said
            }
            Failed::Halt(halt) => Failure::Input(format!("[{}] {halt}", halt.code())),
        })?;
        print(&told, format)?;
        hints(&told, &workflow, self.recipient.is_some());
        Ok(())
    }

    /// The name of FILE's workflow: its stem, which `check` has made sure of.
    fn workflow(&self, config: &Config, catalog: &check::Catalog) -> Result<WorkflowName, Failure> {
        let stem = self.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let found = catalog.workflows.get(stem);
        found.map(|workflow| workflow.name.clone()).ok_or_else(|| {
            let (file, root) = (self.file.display(), config.engine.root.display());
            Failure::Input(format!("[simulate.workflow] `{file}` is no workflow file of `{root}`"))
        })
    }
}

fn print(told: &Told, format: Format) -> Done {
    if format == Format::Json {
        println!("{}", serde_json::to_string_pretty(&told.rows).map_err(Failure::input)?);
        return Ok(());
    }
    let look = Look { colour: std::io::stdout().is_terminal(), zones: Some(&told.zones) };
    print!("{}", explain::table(&told.rows, look));
    Ok(())
}

/// What a time line may lack, and why.
fn hints(told: &Told, workflow: &WorkflowName, with_recipients: bool) {
    if told.rows.is_empty() {
        eprintln!("nothing: no event starts `{workflow}`, or nothing is due before the end");
    }
    let unknown = told.rows.iter().filter(|row| row.code == "recipient.unknown");
    let unknown: BTreeSet<&str> =
        unknown.filter_map(|row| row.recipient.as_ref()).map(UserId::as_str).collect();
    if !unknown.is_empty() {
        let users: Vec<&str> = unknown.into_iter().collect();
        let how = if with_recipients { "add them to the file of" } else { "describe them with" };
        eprintln!("hint: unknown here: user {}; {how} --recipient", users.join(", user "));
    }
}

/// A file's text, or the standard input's.
fn input(path: &Path) -> Result<Source, Failure> {
    let unreadable = |why: String| {
        Failure::Input(format!("[file.unreadable] `{}` cannot be read: {why}", path.display()))
    };
    let mut bytes = Vec::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut bytes),
        _ => std::fs::File::open(path)
            .and_then(|file| file.take(MAX_INPUT + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(unreadable(format!("it is larger than {MAX_INPUT} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is no UTF-8 text".into()))?;
    let shown: Arc<str> = path.to_string_lossy().replace('\\', "/").into();
    Ok(Source::new(shown, text))
}

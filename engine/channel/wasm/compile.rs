use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use wasmtime::Engine;

use super::{Limits, LoadError, engine};

/// Past this a plugin is taken for one that cannot be compiled.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where plugins are compiled. A compiler leaves some 100 MB with the process that ran it, so a
/// node has it run in another, which calls [`compile_for_parent`].
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// In this process, on a thread of its own.
    #[default]
    Here,
    /// By this command, which is given the plugin on its input and writes the result to its
    /// output. Should it fail, this process does it.
    Command { program: PathBuf, arguments: Vec<OsString> },
}

/// The other end of [`Compiler::Command`]: compiles what comes on `input` into `output`. The
/// limits must be those of the host that asks.
pub fn compile_for_parent(
    limits: &Limits,
    input: impl Read,
    output: impl Write,
) -> Result<(), LoadError> {
    let failed = |why: String| LoadError::Compile { plugin: "of the input".into(), why };
    let (mut input, mut output) = (input, output);
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(|why| failed(why.to_string()))?;
    let engine = engine::build(limits).map_err(LoadError::engine)?;
    let compiled = engine.precompile_component(&bytes).map_err(|why| failed(format!("{why:#}")))?;
    output.write_all(&compiled).map_err(|why| failed(why.to_string()))
}

impl Compiler {
    /// Never blocks the thread that asks.
    pub(super) async fn compile(
        &self,
        engine: &Engine,
        bytes: &Arc<[u8]>,
    ) -> wasmtime::Result<Vec<u8>> {
        if let Self::Command { program, arguments } = self {
            let mut command = Command::new(program);
            command.args(arguments);
            match tokio::time::timeout(TIMEOUT, run(command, bytes)).await {
                Ok(Ok(compiled)) => return Ok(compiled),
                Ok(Err(why)) => tracing::warn!(%why, "plugins are compiled in this process"),
                Err(_) => return Err(wasmtime::Error::msg("compiling took over a minute")),
            }
        }
        let (engine, bytes) = (engine.clone(), Arc::clone(bytes));
        tokio::task::spawn_blocking(move || engine.precompile_component(&bytes)).await?
    }
}

async fn run(mut command: Command, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()?;
    // It reads all of its input before it writes: neither pipe waits for the other.
    if let Some(mut input) = child.stdin.take() {
        input.write_all(bytes).await?;
    }
    let output = child.wait_with_output().await?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(io::Error::other(format!("the compiler ended with {}", output.status))),
    }
}

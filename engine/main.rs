//! The `nuncio` command.

use std::process::ExitCode;

/// Events are many small values on two threads: measured against the system's allocator in
/// docs/decisions/0006-mimalloc.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    nuncio::cli::run()
}

//! What is laid before the C library of a process under test, so that what it asks the system is
//! answered by the test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `tests/fixtures/{source}` into `folder`, for the process's `LD_PRELOAD`. A C compiler is
/// there wherever this is built.
pub fn library(folder: &Path, source: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(source);
    let library = folder.join("preload.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .status();
    assert!(compiled.expect("a C compiler").success(), "it compiles");
    library
}

//! Compiles the built-in plugins to components, for the engine to embed (`channel::wasm`).
//!
//! The guests have a target folder of their own, shared by all profiles: cargo holds a lock on
//! the outer one, and a warm run has nothing to do there but to look.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "guest";
/// A stack of 128 KiB in place of a megabyte: after each send the host looks through a guest's whole
/// memory for the pages that it wrote.
const FLAGS: &str = "-C link-arg=-zstack-size=131072";
const PLUGINS: [&str; 2] = ["email", "webhook"];

/// Settings of the outer build that would change the guests, or start them twice: flags for the
/// host's compiler, clippy's wrapper, a default target.
const NOT_FOR_GUESTS: [&str; 8] = [
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "MAKEFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
];

fn main() -> Result<(), Box<dyn Error>> {
    for path in ["build.rs", "plugins", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    let guests = target_folder(&out).join("guests");
    fetch_target()?;
    compile(&guests)?;
    for plugin in PLUGINS {
        let component = format!("nuncio_{plugin}.wasm");
        fs::copy(guests.join(TARGET).join(PROFILE).join(component), out.join(plugin))?;
    }
    Ok(())
}

/// The folder of the outer build: cargo marks it.
fn target_folder(out: &Path) -> &Path {
    let marked = out.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").is_file()).last();
    marked.or(out.ancestors().nth(4)).unwrap_or(out)
}

/// `rust-toolchain.toml` names the target, so this finds it missing only where rustup did not
/// read that file.
fn fetch_target() -> Result<(), Box<dyn Error>> {
    let asked = Command::new(variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()?;
    let installed = String::from_utf8(asked.stdout)?;
    if Path::new(installed.trim()).is_dir() {
        return Ok(());
    }
    run(Command::new("rustup").args(["target", "add", TARGET])).map_err(|why| {
        format!("the plugins need the target `{TARGET}` (rustup target add {TARGET}): {why}").into()
    })
}

fn compile(guests: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.args(["build", "--quiet", "--profile", PROFILE, "--target", TARGET, "--target-dir"]);
    cargo.arg(guests);
    for plugin in PLUGINS {
        cargo.arg("--package").arg(format!("nuncio-{plugin}"));
    }
    for name in NOT_FOR_GUESTS {
        cargo.env_remove(name);
    }
    run(cargo.env("RUSTFLAGS", FLAGS))
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts by the environment")]
fn variable(name: &str) -> Result<OsString, Box<dyn Error>> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set {name}").into())
}

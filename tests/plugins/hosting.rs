//! A host with its cache in a folder of the test's own, and parcels for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nuncio::channel::wasm::{Compiler, Host, Limits, Plugin, ProviderError, Setup};
use nuncio::channel::{Channel, Outcome, SecretText};
use nuncio::clock::Clock;
use nuncio::egress::{Egress, Policy};
use nuncio::model::{Content, Parcel, ProviderName};
use serde_json::Value;

/// Long enough for a busy machine: nothing waits for it to pass.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// All tests share a cache, so that each plugin is compiled once.
pub fn host() -> Host {
    host_with(Policy::default(), Limits { slots: 16, ..Limits::default() })
}

pub fn host_with(policy: Policy, limits: Limits) -> Host {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache");
    let egress = Egress::new(&policy).expect("a client");
    Host::new(&cache, Clock::system(), egress, limits, Compiler::Here).expect("a host")
}

pub fn setup(settings: Value) -> Setup {
    let Value::Object(settings) = settings else { panic!("settings are an object") };
    Setup { settings, ..Setup::new(ProviderName::from("test")) }
}

pub fn secret(setup: Setup, name: &str, text: &str) -> Setup {
    let mut setup = setup;
    setup.secrets.insert(name.into(), SecretText::new(text));
    setup
}

pub async fn provider(host: &Host, plugin: &str, setup: Setup) -> Arc<dyn Channel> {
    load(host, plugin).await.provider(setup).await.unwrap_or_else(|why| panic!("{why}"))
}

pub async fn refused(host: &Host, plugin: &str, setup: Setup) -> ProviderError {
    let refused = load(host, plugin).await.provider(setup).await.err();
    refused.expect("these settings are wrong")
}

pub async fn load(host: &Host, plugin: &str) -> Plugin {
    host.load(plugin).await.unwrap_or_else(|why| panic!("{why}"))
}

pub fn parcel(channel: &str, to: &str, body: &str) -> Parcel {
    let clock = Clock::system();
    let message = clock.id();
    Parcel {
        message,
        channel: channel.into(),
        tenant: String::new(),
        idempotency_key: format!("{message}"),
        attempt: 1,
        to: to.into(),
        content: Content { body: body.into(), ..Content::default() },
        extra: BTreeMap::new(),
        at: clock.now(),
    }
}

/// The component of `tests/fixtures/hostile`.
pub fn hostile() -> String {
    guest("hostile")
}

/// The component of a folder of `tests/fixtures`, built once. They share what they stand on.
pub fn guest(name: &str) -> String {
    static BUILT: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(name.to_owned()).or_insert_with(|| build(name)).clone()
}

fn build(name: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hostile");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2"])
        .arg("--manifest-path")
        .arg(root.join("tests/fixtures").join(name).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTFLAGS")
        .status();
    assert!(built.expect("cargo runs").success(), "the plugin `{name}` builds");
    target.join(format!("wasm32-wasip2/release/{name}.wasm")).display().to_string()
}

/// The failure's code, or `accepted`.
pub fn code(outcome: &Outcome) -> &str {
    outcome.failure().map_or("accepted", |failure| &failure.code)
}

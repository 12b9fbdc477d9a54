use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nuncio::channel::wasm::{Compiler, Host, Limits, LoadError, compile_for_parent};
use nuncio::clock::Clock;
use nuncio::egress::{Egress, Policy};
use serde_json::json;

use super::hosting::{DEADLINE, code, host, hostile, load, parcel, provider, setup};
use crate::harness::sink::Sink;

async fn refused(host: &Host, plugin: &str) -> String {
    let error = host.load(plugin).await.err().unwrap_or_else(|| panic!("`{plugin}` loads"));
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    format!(
        "{error}{}",
        source.filter(|_| matches!(error, LoadError::Read { .. })).unwrap_or_default()
    )
}

fn fresh(cache: &Path, compiler: Compiler) -> Host {
    let egress = Egress::new(&Policy::default()).expect("a client");
    Host::new(cache, Clock::system(), egress, limits(), compiler).expect("a host")
}

fn limits() -> Limits {
    Limits { slots: 4, ..Limits::default() }
}

/// `file` with every `from` overwritten by `to`, which is as long.
fn changed(file: &Path, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(file).expect("a file");
    let mut changes = 0;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            changes += 1;
        }
    }
    assert!(changes > 0, "`{from}` is in there");
    bytes
}

#[tokio::test]
async fn a_plugin_says_what_it_wants_without_being_run() {
    let host = host();
    let webhook = load(&host, "webhook").await;
    assert_eq!(webhook.manifest().name, "webhook");
    assert_eq!(webhook.manifest().hosts[0].host, "*");
    assert!(!webhook.manifest().hosts[0].reason.is_empty());
    assert_eq!(webhook.manifest().secrets[0].placement, ["sign:hmac-sha256"]);
    let email = load(&host, "email").await;
    assert!(email.manifest().hosts.is_empty(), "mail leaves by the transport alone");
}

#[tokio::test]
async fn what_cannot_be_loaded_is_named_with_what_mends_it() {
    let host = host();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let component = fs::read(hostile()).unwrap();
    let hostile = hostile();

    assert!(refused(&host, "webhok").await.contains("did you mean `webhook`?"));
    assert!(refused(&host, "fax").await.contains("built in are email, webhook"));
    assert!(refused(&host, "./absent.wasm").await.contains("cannot be read"));
    let core = path("core.wasm", b"\0asm\x01\0\0\0");
    assert!(refused(&host, &core).await.contains("--target wasm32-wasip2"));
    let nothing = path("nothing.wasm", b"");
    assert!(refused(&host, &nothing).await.contains("no WebAssembly component"));
    let cut = path("cut.wasm", &component[..component.len() / 2]);
    assert!(refused(&host, &cut).await.contains("no WebAssembly component"));
    let bare = path("bare.wasm", b"\0asm\x0d\0\x01\0");
    assert!(refused(&host, &bare).await.contains("has no manifest"));
    let major = path("major.wasm", &changed(Path::new(&hostile), "api = \"1.0\"", "api = \"2.0\""));
    assert!(refused(&host, &major).await.contains("built for version 2.0"));
    let network =
        changed(Path::new(&hostile), "wasi:cli/environment@0.2", "wasi:sockets/networks@0.");
    let network = refused(&host, &path("network.wasm", &network)).await;
    assert!(network.contains("wasi:sockets") && network.contains("nuncio:channel"), "{network}");
}

#[tokio::test]
async fn compiled_plugins_are_private_and_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("plugins");
    load(&fresh(&cache, Compiler::Here), "webhook").await;

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    let compiled = only_compiled(&cache);
    assert_eq!(mode(&compiled), 0o600);
    assert_eq!(mode(&cache.join("key")), 0o600);
    let written = fs::metadata(&compiled).unwrap().modified().unwrap();

    load(&fresh(&cache, Compiler::Here), "webhook").await;
    assert_eq!(fs::metadata(&compiled).unwrap().modified().unwrap(), written, "not compiled again");
}

#[tokio::test]
async fn a_compiled_plugin_that_was_changed_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("plugins");
    load(&fresh(&cache, Compiler::Here), "webhook").await;
    let compiled = only_compiled(&cache);
    let good = fs::read(&compiled).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&compiled, &bad).unwrap();

    let sink = Sink::start().await;
    let webhook =
        provider(&fresh(&cache, Compiler::Here), "webhook", setup(json!({"url": sink.url("/")})))
            .await;

    assert_eq!(code(&webhook.send(&parcel("webhook", "", "{}"), DEADLINE).await), "accepted");
    assert_eq!(fs::read(&compiled).unwrap(), good, "it is compiled and written anew");
}

fn only_compiled(cache: &Path) -> std::path::PathBuf {
    let mut files = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    let found = files.find(|path| path.extension().is_some_and(|extension| extension == "cwasm"));
    found.expect("a compiled plugin")
}

#[tokio::test]
async fn another_process_may_compile() {
    let folder = tempfile::tempdir().unwrap();
    let (given, made) = (folder.path().join("given"), folder.path().join("made"));
    let component = fs::read(hostile()).unwrap();
    let compiled = fs::File::create(&made).unwrap();
    compile_for_parent(&limits(), component.as_slice(), compiled).expect("it compiles");
    let script = format!("cat > {} && cat {}", given.display(), made.display());

    load(&fresh(&folder.path().join("cache"), shell(&script)), &hostile()).await;

    assert_eq!(fs::read(given).unwrap(), component, "the command was given the plugin");
}

#[tokio::test]
async fn a_compiler_that_fails_is_stood_in_for() {
    let folder = tempfile::tempdir().unwrap();
    let failing = fresh(&folder.path().join("failing"), shell("cat > /dev/null; exit 3"));
    load(&failing, "webhook").await;

    let lying = fresh(&folder.path().join("lying"), shell("cat > /dev/null; echo nonsense"));
    assert!(refused(&lying, "webhook").await.contains("cannot be compiled"));
}

fn shell(script: &str) -> Compiler {
    Compiler::Command { program: "sh".into(), arguments: vec!["-c".into(), script.into()] }
}

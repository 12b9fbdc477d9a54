//! Files that are no plugin of this engine, whatever they look like: none is loaded, each is told
//! what is wrong with it, and the host goes on.

use nuncio::channel::wasm::{Compiler, Host, Limits};
use nuncio::clock::Clock;
use nuncio::egress::{Egress, Policy};
use wasmparser::{Parser, Payload};

use super::guest::{Guest, small_host};
use crate::plugins::hosting::{DEADLINE, code, parcel};

/// With a cache of its own: thousands of broken files must not fill that of all tests.
fn host_apart(cache: &tempfile::TempDir) -> Host {
    let egress = Egress::new(&Policy::default()).expect("a client");
    let limits = Limits { slots: 2, ..Limits::default() };
    Host::new(cache.path(), Clock::system(), egress, limits, Compiler::Here).expect("a host")
}

async fn works(guest: &Guest, host: &Host) {
    let outcome = guest.channel(host).await.send(&parcel("guest", "", ""), DEADLINE).await;
    assert_eq!(code(&outcome), "accepted", "{outcome:?}");
}

#[tokio::test]
async fn a_component_cut_off_anywhere_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let host = host_apart(&cache);
    let whole = Guest::new("quiet");
    let bytes = whole.bytes();

    // What follows the exports is names for a debugger: without them it is a whole component.
    for end in (0..bytes.len()).filter(|end| *end != exports_end(&bytes)) {
        let why = Guest::of(&bytes[..end]).refused(&host).await;
        assert!(why.starts_with("plugin `"), "cut at {end}: {why}");
    }

    works(&whole, &host).await;
}

fn exports_end(component: &[u8]) -> usize {
    let exports = Parser::new(0).parse_all(component).filter_map(|payload| match payload {
        Ok(Payload::ComponentExportSection(exports)) => Some(exports.range().end),
        _ => None,
    });
    exports.last().expect("exports")
}

#[tokio::test]
async fn a_component_with_a_wrong_byte_harms_nobody() {
    let cache = tempfile::tempdir().unwrap();
    let host = host_apart(&cache);
    let whole = Guest::new("quiet");
    let bytes = whole.bytes();

    let mut refused = 0;
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0x55;
        // Some bytes are of no account: a letter of the manifest's, a number's value.
        refused += usize::from(host.load(&Guest::of(&broken).name()).await.is_err());
    }

    assert!(refused > bytes.len() / 2, "{refused} of {}", bytes.len());
    works(&whole, &host).await;
}

#[tokio::test]
async fn what_brings_a_network_of_its_own_is_refused() {
    let why = Guest::new("sockets").refused(&small_host(Limits::default())).await;
    assert!(why.contains("imports `wasi:sockets/network@0.2.0`"), "{why}");
    assert!(why.contains("use the `http` or `mail` import of nuncio:channel"), "{why}");
}

/// Its manifest says otherwise: what counts is what it exports.
#[tokio::test]
async fn a_channel_of_another_major_version_is_refused() {
    let host = small_host(Limits::default());
    for (from, to) in [
        ("sender@1.0.0", "sender@0.9.0"),
        ("sender@1.0.0", "sender@2.0.0"),
        ("(result $receipt (error $send-error))", "(result $receipt (error string))"),
        ("(field \"attempt\" u32)", "(field \"attempt\" u64)"),
    ] {
        let other = |text: String| {
            assert!(text.contains(from), "`{from}` is in there");
            text.replacen(from, to, 1)
        };
        let why = Guest::altered("quiet", other).refused(&host).await;
        assert!(why.contains("does not fit this engine (interface 1.0)"), "{to}: {why}");
        assert!(why.contains("build it again with this engine's `plugins/wit`"), "{to}: {why}");
    }
    works(&Guest::new("quiet"), &host).await;
}

//! Guests by hand: one text a case in `tests/fixtures/guests`, each inside the same whole channel.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nuncio::channel::Channel;
use nuncio::channel::wasm::{Host, Limits};
use nuncio::egress::Policy;
use serde_json::json;
use tempfile::TempDir;

use crate::plugins::hosting::{host_with, provider, setup};

/// One guest's component, in a file of its own while this is held.
pub struct Guest {
    folder: TempDir,
}

impl Guest {
    pub fn new(name: &str) -> Self {
        Self::altered(name, |text| text)
    }

    /// With the whole channel's text changed before it is encoded.
    pub fn altered(name: &str, alter: impl FnOnce(String) -> String) -> Self {
        let channel = text("channel").replacen(";; the guest goes here", &text(name), 1);
        let encoded = wat::parse_str(alter(channel)).unwrap_or_else(|why| panic!("{name}: {why}"));
        Self::of(&encoded)
    }

    pub fn of(component: &[u8]) -> Self {
        let guest = Self { folder: tempfile::tempdir().expect("a folder") };
        fs::write(guest.path(), component).expect("a file");
        guest
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("guest.wasm")
    }

    pub fn name(&self) -> String {
        self.path().display().to_string()
    }

    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).expect("the guest's file")
    }

    pub async fn channel(&self, host: &Host) -> Arc<dyn Channel> {
        provider(host, &self.name(), setup(json!({}))).await
    }

    /// Why it is not loaded.
    pub async fn refused(&self, host: &Host) -> String {
        match host.load(&self.name()).await {
            Ok(_) => panic!("it is loaded"),
            Err(why) => why.to_string(),
        }
    }
}

pub fn small_host(limits: Limits) -> Host {
    host_with(Policy::default(), Limits { slots: 4, ..limits })
}

fn text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/guests");
    fs::read_to_string(folder.join(format!("{name}.wat"))).expect("a guest's text")
}

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;
use wasmparser::{Encoding, Parser, Payload};

use super::instance::State;
use super::rights::Rights;
use super::{Host, Manifest, ManifestError, Plugin};

/// The plugins inside the engine, by name.
pub const BUILT_IN: [&str; 2] = ["email", "webhook"];

/// Interfaces that would be a way past the engine's own, and what to use instead.
const REFUSED: [(&str, &str); 2] = [
    ("wasi:sockets/", "use the `http` or `mail` import of nuncio:channel"),
    ("wasi:http/", "use the `http` import of nuncio:channel"),
];

/// Why a plugin cannot be used. Names the plugin, and what mends it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    #[error("there is no plugin `{name}`{}", hint(.suggestion))]
    Unknown { name: String, suggestion: Option<&'static str> },
    #[error("plugin `{plugin}` cannot be read")]
    Read {
        plugin: String,
        #[source]
        source: io::Error,
    },
    #[error("plugin `{plugin}` is over {limit} bytes")]
    TooLarge { plugin: String, limit: u64 },
    #[error(
        "plugin `{plugin}` is no WebAssembly component: build it with `--target wasm32-wasip2`, or \
         encode it with `wasm-tools component new`"
    )]
    NotAComponent { plugin: String },
    #[error("plugin `{plugin}`: {source}")]
    Manifest {
        plugin: String,
        #[source]
        source: ManifestError,
    },
    #[error("plugin `{plugin}` imports `{import}`, which a channel has no right to: {instead}")]
    Import { plugin: String, import: String, instead: &'static str },
    #[error(
        "plugin `{plugin}` {version} (interface {built_for}) does not fit this engine (interface \
         1.0): {why}; build it again with this engine's `plugins/wit`"
    )]
    Unfit { plugin: String, version: String, built_for: String, why: String },
    #[error("plugin `{plugin}` cannot be compiled: {why}")]
    Compile { plugin: String, why: String },
    #[error("the plugin cache `{}` cannot be used", .folder.display())]
    Cache {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("plugins cannot be run here: {why}")]
    Engine { why: String },
}

pub(super) async fn load(host: &Host, name_or_path: &str) -> Result<Plugin, LoadError> {
    let plugin = name_or_path.to_owned();
    let bytes = match built_in(name_or_path) {
        Some(bytes) => Arc::from(bytes),
        None => read(host, name_or_path).await?,
    };
    check_imports(&plugin, &bytes)?;
    let manifest = Manifest::read(&bytes)
        .map_err(|source| LoadError::Manifest { plugin: plugin.clone(), source })?;
    let compiling = host.0.cache.component(&host.0.engine, &host.0.compiler, &bytes);
    let component = compiling
        .await
        .map_err(|why| LoadError::Compile { plugin: plugin.clone(), why: format!("{why:#}") })?;
    let unfit = |why: wasmtime::Error| LoadError::Unfit {
        plugin: plugin.clone(),
        version: manifest.version.clone(),
        built_for: manifest.api.clone(),
        why: format!("{why:#}"),
    };
    let loaded = host.prepare(manifest.clone(), &component).map_err(unfit)?;
    try_out(&loaded).await.map_err(unfit)?;
    tracing::debug!(plugin = %manifest.name, version = %manifest.version, "plugin loaded");
    Ok(loaded)
}

pub(super) fn built_in(name: &str) -> Option<&'static [u8]> {
    match name {
        "email" => Some(include_bytes!(concat!(env!("OUT_DIR"), "/email"))),
        "webhook" => Some(include_bytes!(concat!(env!("OUT_DIR"), "/webhook"))),
        _ => None,
    }
}

async fn read(host: &Host, name: &str) -> Result<Arc<[u8]>, LoadError> {
    let path = Path::new(name);
    if path.extension().is_none() && path.components().count() == 1 {
        let suggestion = BUILT_IN.into_iter().find(|known| strsim::jaro(known, name) > 0.75);
        return Err(LoadError::Unknown { name: name.into(), suggestion });
    }
    let failed = |source| LoadError::Read { plugin: name.into(), source };
    let limit = host.0.limits.component_bytes;
    if tokio::fs::metadata(path).await.map_err(failed)?.len() > limit {
        return Err(LoadError::TooLarge { plugin: name.into(), limit });
    }
    Ok(tokio::fs::read(path).await.map_err(failed)?.into())
}

/// Before anything is compiled: a component that brings its own network takes long to compile,
/// and would be refused all the same.
fn check_imports(plugin: &str, bytes: &[u8]) -> Result<(), LoadError> {
    let not_a_component = || LoadError::NotAComponent { plugin: plugin.into() };
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|_| not_a_component())? {
            Payload::Version { encoding: Encoding::Component, .. } => depth += 1,
            Payload::Version { .. } if depth == 0 => return Err(not_a_component()),
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    check_import(plugin, import.map_err(|_| not_a_component())?.name.name)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_import(plugin: &str, import: &str) -> Result<(), LoadError> {
    match REFUSED.into_iter().find(|(refused, _)| import.starts_with(refused)) {
        Some((_, instead)) => {
            Err(LoadError::Import { plugin: plugin.into(), import: import.into(), instead })
        }
        None => Ok(()),
    }
}

/// Linking checks what a plugin takes; only an instance shows whether what it gives fits.
async fn try_out(plugin: &Plugin) -> wasmtime::Result<()> {
    let host = &plugin.0.host.0;
    let rights = Arc::new(Rights::none(host, &plugin.0.manifest));
    let until = Instant::now() + host.limits.wall;
    let mut store = State::store(&host.engine, rights, "", until);
    let trial = plugin.0.component.instantiate_async(&mut store);
    tokio::time::timeout_at(until, trial).await??;
    Ok(())
}

impl LoadError {
    pub(super) fn engine(why: wasmtime::Error) -> Self {
        Self::Engine { why: format!("{why:#}") }
    }
}

fn hint(suggestion: &Option<&'static str>) -> String {
    match suggestion {
        Some(name) => format!(": did you mean `{name}`?"),
        None => format!(": built in are {}; any other is a path to its file", BUILT_IN.join(", ")),
    }
}

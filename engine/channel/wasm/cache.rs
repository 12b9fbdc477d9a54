use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::{Compiler, LoadError};
use crate::clock::Clock;

type Authenticator = Hmac<Sha256>;
const MAC_BYTES: usize = 32;

/// Compiled plugins on disk. Loading machine code is as good as running it, so only what this
/// node wrote is taken back: the folder is closed to other users, and each file carries a MAC by
/// a key that lies in it.
pub(super) struct Cache {
    folder: PathBuf,
    authenticator: Authenticator,
}

impl Cache {
    pub(super) fn open(folder: &Path, clock: &Clock) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Cache { folder: folder.into(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
        let key = key(&folder.join("key"), clock).map_err(failed)?;
        let authenticator = Authenticator::new_from_slice(&key)
            .map_err(|_| failed(io::Error::other("the key is empty")))?;
        Ok(Self { folder: folder.into(), authenticator })
    }

    /// The compiled component: from the cache, else compiled and put there.
    pub(super) async fn component(
        &self,
        engine: &Engine,
        compiler: &Compiler,
        bytes: &Arc<[u8]>,
    ) -> wasmtime::Result<Component> {
        let path = self.folder.join(file_name(engine, bytes));
        if let Some(component) = self.read(engine, &path) {
            return Ok(component);
        }
        let compiled = compiler.compile(engine, bytes).await?;
        // SAFETY: the bytes are what the compiler has just made: this engine's, or the process
        // that it started for this.
        let component = unsafe { Component::deserialize(engine, &compiled) }?;
        if let Err(why) = self.write(&path, &compiled) {
            tracing::warn!(%why, "a compiled plugin cannot be kept: it is compiled at each start");
        }
        Ok(component)
    }

    /// `None` for anything but a file that was written here, for an engine like this.
    fn read(&self, engine: &Engine, path: &Path) -> Option<Component> {
        let file = fs::read(path).ok()?;
        let (mac, compiled) = file.split_at_checked(MAC_BYTES)?;
        let authenticator = self.authenticate(path, compiled);
        if authenticator.verify_slice(mac).is_err() {
            tracing::warn!(path = %path.display(), "a compiled plugin was changed: it is not used");
            return None;
        }
        // SAFETY: the MAC shows that these bytes came from `write` below, which is given nothing
        // but what the compiler made; an engine of another kind refuses them by their header.
        unsafe { Component::deserialize(engine, compiled) }.ok()
    }

    fn write(&self, path: &Path, compiled: &[u8]) -> io::Result<()> {
        let mac = self.authenticate(path, compiled).finalize().into_bytes();
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(&mac)?;
        file.write_all(compiled)?;
        fs::rename(&partial, path)
    }

    /// Over the name too: one plugin's file is no other's.
    fn authenticate(&self, path: &Path, compiled: &[u8]) -> Authenticator {
        let name = path.file_name().unwrap_or_default();
        self.authenticator.clone().chain_update(name.as_encoded_bytes()).chain_update(compiled)
    }
}

fn file_name(engine: &Engine, bytes: &[u8]) -> String {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    format!("{:x}-{:016x}.cwasm", Sha256::digest(bytes), compatibility.finish())
}

/// The folder's key, made at the first start. Two starting at once agree: the first wins.
fn key(path: &Path, clock: &Clock) -> io::Result<Vec<u8>> {
    let mut fresh = [0; MAC_BYTES];
    clock.fill_random(&mut fresh);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            file.write_all(&fresh)?;
            Ok(fresh.into())
        }
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
            let key = fs::read(path)?;
            if key.len() == MAC_BYTES {
                return Ok(key);
            }
            // Cut off while it was written: whatever it signed cannot be verified any more.
            fs::remove_file(path)?;
            self::key(path, clock)
        }
        Err(why) => Err(why),
    }
}

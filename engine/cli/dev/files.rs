use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::auth;
use crate::cli::Failure;
use crate::clock::Clock;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Files watched at most: a folder with more is none of ours.
const MOST_FILES: usize = 100_000;

/// What scripts need to talk to a development node; the same from start to start.
pub(super) struct Credentials {
    pub api_key: String,
    pub jwt_secret: String,
}

/// Tells when the workflows or templates of a folder change.
pub(in crate::cli) struct Watch {
    root: PathBuf,
    clock: Clock,
    seen: BTreeMap<PathBuf, (u64, Option<SystemTime>)>,
}

impl Credentials {
    pub fn kept_or_made(file: &Path, clock: &Clock) -> Self {
        let mut kept = read_env(file);
        let mut random = [0; 32];
        clock.fill_random(&mut random);
        Self {
            api_key: kept
                .remove("NUNCIO_API_KEY")
                .unwrap_or_else(|| auth::issue(clock, "dev", vec!["*".into()]).0),
            jwt_secret: kept
                .remove("NUNCIO_JWT_SECRET")
                .unwrap_or_else(|| BASE64_URL_SAFE_NO_PAD.encode(random)),
        }
    }

    /// Writes `dev.env`, readable by its owner alone.
    pub fn write(&self, file: &Path, address: SocketAddr) -> Result<(), Failure> {
        let mut text = String::new();
        let _ = writeln!(text, "NUNCIO_URL=http://{address}");
        let _ = writeln!(text, "NUNCIO_API_KEY={}", self.api_key);
        let _ = writeln!(text, "NUNCIO_JWT_SECRET={}", self.jwt_secret);
        let fresh = file.with_extension("env.new");
        let write = || -> io::Result<()> {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            io::Write::write_all(&mut options.open(&fresh)?, text.as_bytes())?;
            fs::rename(&fresh, file)
        };
        write().map_err(|error| Failure::Input(format!("{}: {error}", file.display())))
    }
}

/// The file of the data folder's own key, made where there is none. It is never made anew: what it
/// sealed would be lost.
pub(super) fn encryption_key(folder: &Path, clock: &Clock) -> Result<PathBuf, Failure> {
    let file = folder.join("encryption.key");
    let mut random = [0; 32];
    clock.fill_random(&mut random);
    let text = format!("{}\n", BASE64_URL_SAFE_NO_PAD.encode(random));
    let fresh = folder.join("encryption.key.new");
    let write = || -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut open = options.open(&fresh)?;
        io::Write::write_all(&mut open, text.as_bytes())?;
        open.sync_all()?;
        // Another start may have been first: a link, unlike a rename, replaces nothing.
        match fs::hard_link(&fresh, &file) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::remove_file(&fresh),
        }
    };
    if !file.exists() {
        write().map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?;
    }
    Ok(file)
}

/// The KEY=VALUE lines of a file; none where there is no file.
pub(in crate::cli) fn read_env(file: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// Makes the data folder, closed to other users.
pub(super) fn make(folder: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))
}

/// An event's name and a file with data for it, from a pack's samples.
pub(super) fn a_sample(root: &Path) -> Option<(String, String)> {
    let packs = fs::read_dir(root.join("workflows")).ok()?;
    let mut samples: Vec<PathBuf> = packs
        .flatten()
        .filter_map(|pack| fs::read_dir(pack.path().join("samples")).ok())
        .flat_map(|folder| folder.flatten().map(|file| file.path()))
        .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
        .collect();
    samples.sort();
    let first = samples.into_iter().next()?;
    let event = first.file_stem()?.to_str()?.replacen('_', ".", 1);
    Some((event, first.strip_prefix("./").unwrap_or(&first).display().to_string()))
}

impl Watch {
    pub fn new(root: PathBuf, clock: Clock) -> Self {
        let seen = look(&root);
        Self { root, clock, seen }
    }

    /// Returns when something changed and has stayed as it is for one look.
    pub async fn changed(&mut self) {
        loop {
            self.clock.sleep(LOOK).await;
            let now = look(&self.root);
            if now == self.seen {
                continue;
            }
            self.seen = now;
            self.clock.sleep(LOOK).await;
            let settled = look(&self.root);
            if settled == self.seen {
                return;
            }
            self.seen = settled;
        }
    }
}

/// Sizes and times of all files below workflows/ and templates/.
fn look(root: &Path) -> BTreeMap<PathBuf, (u64, Option<SystemTime>)> {
    let mut seen = BTreeMap::new();
    let mut folders = vec![root.join("workflows"), root.join("templates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                folders.push(entry.path());
            } else if seen.len() < MOST_FILES {
                seen.insert(entry.path(), (about.len(), about.modified().ok()));
            }
        }
    }
    seen
}

//! A real PostgreSQL of the tests' own: one for the test process, on a free port, from the
//! installed binaries; every test gets a database to itself.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

use super::daemon::{Daemon, free_port};

/// Of the servers' folders; then comes the id of the process that made it.
const PREFIX: &str = "nuncio-postgres-";

static SHARED: OnceCell<Postgres> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A server, listening.
pub struct Postgres {
    folder: tempfile::TempDir,
    port: u16,
    server: Mutex<Option<Daemon>>,
}

impl Postgres {
    /// The one of this process: for whatever does not stop or starve the server.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    /// A server of the test's own, which it may stop.
    pub async fn start() -> Self {
        sweep();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir();
        let folder = folder.expect("a folder for the server");
        give(folder.path());
        let mut initdb = Command::new("setpriv");
        if let Some(user) = its_user() {
            initdb.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
        }
        let made = initdb
            .arg("--")
            .arg(program("initdb"))
            .args(["--auth=trust", "--username=nuncio", "--encoding=UTF8", "--locale=C", "-N"])
            .arg("-D")
            .arg(folder.path().join("data"))
            .current_dir(folder.path())
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let server = Self { folder, port: free_port(), server: Mutex::new(None) };
        server.resume().await;
        server
    }

    /// A fresh, empty database: its URL.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut admin =
            PgConnection::connect(&self.url("postgres")).await.expect("the server takes us");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut admin)
            .await
            .expect("a database is made");
        self.url(&name)
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://nuncio@127.0.0.1:{}/{database}", self.port)
    }

    /// Ends it as a crash does: nothing is flushed, connections break.
    pub fn crash(&self) {
        let server = self.server.lock().expect("nobody panicked here").take();
        server.expect("it runs").end(Signal::SIGQUIT);
    }

    /// Starts it again, on the same port with the same data; returns once it takes connections.
    pub async fn resume(&self) {
        let mut arguments: Vec<String> =
            ["-D".into(), self.folder.path().join("data").display().to_string()].into();
        arguments.extend(["-p".into(), self.port.to_string()]);
        arguments.extend(["-k", "", "-h", "127.0.0.1"].map(Into::into));
        // The machine does not lose its power in a test: what was written stays.
        let settings =
            ["max_connections=400", "shared_buffers=64MB", "fsync=off", "full_page_writes=off"];
        let settings = settings.into_iter().chain(["max_wal_size=64MB", "min_wal_size=32MB"]);
        arguments.extend(settings.flat_map(|each| ["-c".into(), each.into()]));
        let program = program("postgres").display().to_string();
        let ready = "database system is ready to accept connections";
        let server = Daemon::start(&program, its_user(), arguments, ready).await;
        *self.server.lock().expect("nobody panicked here") = Some(server);
    }
}

/// Removes what test processes that are gone left: the shared server outlives all tests, so that
/// nobody drops it.
fn sweep() {
    let folders = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for folder in folders {
        let name = folder.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Another test process may be at it too.
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}

/// From where Debian keeps it, the newest, or from the path.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name));
    found.filter(|path| path.exists()).max().unwrap_or_else(|| PathBuf::from(name))
}

/// PostgreSQL refuses to run as root: then it runs as its own user.
fn its_user() -> Option<&'static str> {
    geteuid().is_root().then_some("postgres")
}

fn give(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).expect("ours");
    if let Some(name) = its_user() {
        let user = User::from_name(name).ok().flatten().expect("the Debian package makes it");
        chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may");
    }
}

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::journal::Journal;
use super::wall_clock::WallClock;

/// The least that a lease may be: what a killed node had is free after it.
pub const LEASE_SECONDS: u64 = 5;

const WORKFLOW: &str = "\
workflow: rig-test
on: rig.test
category: test
recipients:
  - user: event.data.user_id
steps:
  - send: [in_app, email, webhook]
    template: rig/body
";
const FILES: [(&str, &str); 4] = [
    ("workflows/rig-test.yaml", WORKFLOW),
    ("templates/rig/body/webhook.hbs", "{\"n\": {{event.data.n}}}\n"),
    ("templates/rig/body/email.hbs", "---\nsubject: rig\n---\n<p>{{event.data.n}}</p>\n"),
    ("templates/rig/body/in_app.hbs", "---\ntitle: rig\n---\n{{event.data.n}}\n"),
];
/// Messages of each event.
pub const MESSAGES: usize = 3;

/// A folder with all that nodes need, which outlives them.
pub struct Ground {
    folder: TempDir,
    pub clock: WallClock,
    pub key: String,
    pub journal: Journal,
}

/// Where the rows are, in the configuration's words and for whoever reads them.
pub struct Place {
    pub url: String,
    pub journal: Journal,
    /// `url = "redis://…"`, where there is one.
    pub redis: Option<String>,
}

impl Ground {
    pub fn make(place: impl FnOnce(&Path) -> Place, http: SocketAddr, smtp: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let Place { url, journal, redis } = place(folder.path());
        let redis = redis.map(|url| format!("[redis]\nurl = \"{url}\"\n")).unwrap_or_default();
        let retries = vec!["\"1s\""; 30].join(", ");
        let config = format!(
            "[server]\nbind = \"127.0.0.1:0\"\n\
             [store]\nurl = \"{url}\"\n{redis}\
             [engine]\nroot = \"{root}\"\nretry = [{retries}]\nlease = \"{LEASE_SECONDS}s\"\n\
             attempt_timeout = \"5s\"\n\
             [auth]\nsecret = \"a secret of the fault rig, and of nobody else\"\n\
             [providers.hook]\nplugin = \"webhook\"\nsettings = {{ url = \"http://{http}/\" }}\n\
             secrets = {{ signing = \"c2VjcmV0IG9mIHRoZSBjcmFzaCB0ZXN0IGl0c2VsZg==\" }}\n\
             [providers.post]\nplugin = \"email\"\n\
             settings = {{ host = \"127.0.0.1\", port = {port}, from = \"Rig <rig@rig.example>\" }}\n\
             [telemetry]\nlog = \"warn\"\n",
            root = folder.path().display(),
            port = smtp.port(),
        );
        for (path, text) in FILES.into_iter().chain([("nuncio.toml", config.as_str())]) {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let clock = WallClock::make(folder.path());
        let mut ground = Self { folder, clock, key: String::new(), journal };
        ground.key = ground.command(&["key", "new", "--name", "rig", "--scopes", "*"]);
        ground
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn config(&self) -> PathBuf {
        self.folder().join("nuncio.toml")
    }

    /// Shared with all tests: plugins are compiled once.
    pub fn cache() -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins")
    }

    pub fn token(&self, user: &str) -> String {
        self.command(&["token", "--sub", user])
    }

    /// Runs a command to its end; what it answers.
    fn command(&self, arguments: &[&str]) -> String {
        let ended = Command::new(env!("CARGO_BIN_EXE_nuncio"))
            .args(arguments)
            .current_dir(self.folder())
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{arguments:?}: {said}");
        String::from_utf8(ended.stdout).expect("text").trim().to_owned()
    }
}

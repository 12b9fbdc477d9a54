use std::path::{Path, PathBuf};

use nuncio::auth;
use nuncio::clock::Clock;
use nuncio::model::{User, UserId};
use nuncio::store::Installation as _;
use nuncio::store::sqlite::SqliteStore;
use nuncio::store::{Keys, Users};
use tempfile::TempDir;

use super::journal::Journal;

/// Users that events are for.
pub const USERS: usize = 20;

const WORKFLOW: &str = "\
workflow: crash-test
on: crash.test
category: test
recipients:
  - user: event.data.user_id
steps:
  - send: webhook
    template: crash/body
";
const TEMPLATE: &str = "{\"n\": {{event.data.n}}}\n";

/// A folder with all that a node needs, which outlives its processes.
pub struct Installation {
    folder: TempDir,
    key: String,
    journal: Journal,
}

impl Installation {
    pub async fn make(sink: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("nuncio.db");
        let config = format!(
            "[server]\nbind = \"127.0.0.1:0\"\n\
             [store]\nurl = \"sqlite:{}\"\n\
             [engine]\nroot = \"{}\"\nretry = [\"1s\", \"1s\", \"1s\"]\n\
             [providers.sink]\nplugin = \"webhook\"\nsettings = {{ url = \"{sink}\" }}\n\
             secrets = {{ signing = \"c2VjcmV0IG9mIHRoZSBjcmFzaCB0ZXN0IGl0c2VsZg==\" }}\n\
             [telemetry]\nlog = \"warn\"\n",
            database.display(),
            folder.path().display()
        );
        write(&folder.path().join("nuncio.toml"), &config);
        write(&folder.path().join("workflows/crash-test.yaml"), WORKFLOW);
        write(&folder.path().join("templates/crash/body/webhook.hbs"), TEMPLATE);
        let key = populate(&format!("sqlite:{}", database.display())).await;
        Self { folder, key, journal: Journal::of(&database) }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn config(&self) -> PathBuf {
        self.folder().join("nuncio.toml")
    }

    /// Kept over the restarts: a node compiles its plugins once.
    pub fn cache(&self) -> PathBuf {
        self.folder().join("plugins")
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }
}

fn write(path: &Path, content: &str) {
    let folder = path.parent().expect("a file is in a folder");
    std::fs::create_dir_all(folder).expect("a folder for it");
    std::fs::write(path, content).expect("a file");
}

/// Users and an API key; answers the key's text.
async fn populate(url: &str) -> String {
    let clock = Clock::system();
    let store = SqliteStore::open(url, clock.clone()).await.expect("the store opens");
    let now = clock.now();
    let user = |n: usize| User {
        id: UserId::from(format!("u{n}")),
        username: None,
        email: None,
        phone: None,
        first_name: None,
        last_name: None,
        locale: None,
        time_zone: None,
        role: None,
        data: serde_json::Map::new(),
        created_at: now,
        updated_at: now,
    };
    store.put_users((0..USERS).map(user).collect()).await.expect("users are stored");
    let (key, kept) = auth::issue(&clock, "crash", vec!["*".into()]);
    assert!(store.put_key(&kept).await.expect("the key is stored"));
    store.close().await;
    key
}

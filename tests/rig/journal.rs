use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};
use uuid::Uuid;

/// The rows as they lie in the store, whoever writes them or has died of it; read, never written.
#[derive(Clone, Debug)]
pub enum Journal {
    Sqlite(PathBuf),
    Postgres(String),
}

/// A message, as it is in the end.
#[derive(Clone, Debug)]
pub struct Written {
    pub id: String,
    pub run: String,
    pub channel: String,
    pub status: i64,
    pub user: Option<String>,
    /// Attempts: all, those accepted, those of unknown outcome, and the highest number.
    pub attempts: usize,
    pub accepted: usize,
    pub unknown: usize,
    pub highest: usize,
}

/// An event, with how many runs and messages it has.
#[derive(Clone, Debug)]
pub struct Kept {
    pub key: String,
    pub id: String,
    pub runs: usize,
    pub messages: usize,
}

const LEFT: &str = "SELECT (SELECT count(*) FROM message WHERE status IN (0, 1, 2))
      + (SELECT count(*) FROM run WHERE status IN (0, 1))
      + (SELECT count(*) FROM event WHERE plan_at IS NOT NULL)";
const LEASES: &str =
    "SELECT (SELECT count(*) FROM message WHERE status IN (1, 2) OR fence IS NOT NULL)
      + (SELECT count(*) FROM run WHERE status = 1 OR fence IS NOT NULL)
      + (SELECT count(*) FROM event WHERE fence IS NOT NULL)";
const EVENTS: &str = "SELECT ikey, id,
      (SELECT count(*) FROM run WHERE run.event = event.id),
      (SELECT count(*) FROM message WHERE message.event = event.id) FROM event";
const MESSAGES: &str = "SELECT id, run, channel, status, recipient,
      (SELECT count(*) FROM attempt WHERE attempt.message = message.id),
      (SELECT count(*) FROM attempt WHERE attempt.message = message.id AND outcome = 0),
      (SELECT count(*) FROM attempt WHERE attempt.message = message.id AND outcome = 3),
      (SELECT coalesce(max(number), 0) FROM attempt WHERE attempt.message = message.id)
      FROM message";
const STREAMS: &str = "SELECT run.recipient, count(*), max(inbox.seq)
      FROM inbox JOIN run ON run.id = inbox.id GROUP BY run.recipient";

/// The rows of a question, each read in the same way from whichever store.
macro_rules! rows {
    ($journal:expr, $sql:expr, |$row:ident| $read:expr) => {
        match $journal {
            Journal::Sqlite(path) => {
                let mut connection = open(path).await;
                let rows = sqlx::query($sql).fetch_all(&mut connection).await.expect("its rows");
                connection.close().await.expect("the file closes");
                rows.iter().map(|$row| $read).collect::<Vec<_>>()
            }
            Journal::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.expect("it takes us");
                let rows = sqlx::query($sql).fetch_all(&mut connection).await.expect("its rows");
                connection.close().await.expect("the connection closes");
                rows.iter().map(|$row| $read).collect::<Vec<_>>()
            }
        }
    };
}

impl Journal {
    /// Everything that is still to be done.
    pub async fn left(&self) -> usize {
        self.count(LEFT).await
    }

    /// Everything that a worker has.
    pub async fn leases(&self) -> usize {
        self.count(LEASES).await
    }

    pub async fn events(&self) -> Vec<Kept> {
        rows!(self, EVENTS, |row| Kept {
            key: row.get(0),
            id: row.get::<Uuid, _>(1).to_string(),
            runs: size(row.get(2)),
            messages: size(row.get(3)),
        })
    }

    pub async fn messages(&self) -> Vec<Written> {
        rows!(self, MESSAGES, |row| Written {
            id: row.get::<Uuid, _>(0).to_string(),
            run: row.get::<Uuid, _>(1).to_string(),
            channel: row.get(2),
            status: row.get(3),
            user: row.get(4),
            attempts: size(row.get(5)),
            accepted: size(row.get(6)),
            unknown: size(row.get(7)),
            highest: size(row.get(8)),
        })
    }

    /// Of each user: the entries, and the last `seq`.
    pub async fn streams(&self) -> Vec<(String, u64, u64)> {
        rows!(self, STREAMS, |row| {
            let (user, entries, last): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
            (user, entries.unsigned_abs(), last.unsigned_abs())
        })
    }

    async fn count(&self, sql: &'static str) -> usize {
        let counts = rows!(self, sql, |row| size(row.get(0)));
        counts[0]
    }
}

async fn open(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    SqliteConnection::connect_with(&options).await.expect("the file opens")
}

fn size(count: i64) -> usize {
    usize::try_from(count).expect("a count")
}

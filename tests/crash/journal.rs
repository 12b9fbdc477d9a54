use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};
use uuid::Uuid;

/// The rows as they lie on the disk, whoever writes them or has died of it; read, never written.
pub struct Journal {
    options: SqliteConnectOptions,
}

/// An event with its message, as it is in the end.
#[derive(Debug)]
pub struct Sent {
    pub key: String,
    pub event: String,
    pub runs: usize,
    /// As the provider hears it.
    pub message: String,
    pub status: i64,
    /// Attempts in the journal: all, those accepted, and those that a crash cut off.
    pub attempts: usize,
    pub accepted: usize,
    pub crashed: usize,
}

impl Journal {
    pub fn of(database: &Path) -> Self {
        Self { options: SqliteConnectOptions::new().filename(database).read_only(true) }
    }

    /// Messages handed to a provider whose answer is not stored.
    pub async fn sending(&self) -> usize {
        self.count("SELECT count(*) FROM message WHERE status = 2").await
    }

    /// Everything that a worker has.
    pub async fn claimed(&self) -> usize {
        self.count(
            "SELECT (SELECT count(*) FROM message WHERE status IN (1, 2) OR fence IS NOT NULL)
                  + (SELECT count(*) FROM run WHERE status = 1 OR fence IS NOT NULL)
                  + (SELECT count(*) FROM event WHERE fence IS NOT NULL)",
        )
        .await
    }

    /// Everything that is still to be done.
    pub async fn open(&self) -> usize {
        self.count(
            "SELECT (SELECT count(*) FROM message WHERE status IN (0, 1, 2))
                  + (SELECT count(*) FROM run WHERE status IN (0, 1))
                  + (SELECT count(*) FROM event WHERE plan_at IS NOT NULL)",
        )
        .await
    }

    /// Attempts of unknown outcome.
    pub async fn unknown(&self) -> usize {
        self.count("SELECT count(*) FROM attempt WHERE outcome = 3").await
    }

    /// What is still to be done, in words, for a test that fails.
    pub async fn left(&self) -> Vec<String> {
        let rows = self.rows(
            "SELECT 'message status ' || status || ', attempt ' || attempt || ', tries ' || tries
                      || ', code ' || coalesce(code, '-') || ': ' || count(*)
               FROM message WHERE status <> 4 GROUP BY status, attempt, tries, code
             UNION ALL SELECT 'run status ' || status || ': ' || count(*) FROM run GROUP BY status
             UNION ALL SELECT 'event to plan: ' || count(*) FROM event WHERE plan_at IS NOT NULL",
        );
        rows.await.iter().map(|row| row.get(0)).collect()
    }

    /// Every event, once for each of its messages.
    pub async fn sent(&self) -> Vec<Sent> {
        let rows = self.rows(
            "SELECT event.ikey, event.id, (SELECT count(*) FROM run WHERE run.event = event.id),
                    message.id, message.status, count(number), count(*) FILTER (WHERE outcome = 0),
                    count(*) FILTER (WHERE outcome = 3 AND attempt.code = 'crash')
               FROM event
               LEFT JOIN message ON message.event = event.id
               LEFT JOIN attempt ON attempt.message = message.id
              GROUP BY event.id, message.id",
        );
        rows.await.iter().map(Sent::read).collect()
    }

    async fn count(&self, sql: &'static str) -> usize {
        let [row] = &self.rows(sql).await[..] else { panic!("a count is one row") };
        number(row, 0)
    }

    async fn rows(&self, sql: &'static str) -> Vec<SqliteRow> {
        let mut connection =
            SqliteConnection::connect_with(&self.options).await.expect("the file opens");
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.expect("its rows");
        connection.close().await.expect("the file closes");
        rows
    }
}

impl Sent {
    fn read(row: &SqliteRow) -> Self {
        let text = |place| row.get::<Option<Uuid>, _>(place).map(|id| id.to_string());
        Self {
            key: row.get(0),
            event: text(1).expect("an event has an id"),
            runs: number(row, 2),
            message: text(3).unwrap_or_default(),
            status: row.get::<Option<i64>, _>(4).unwrap_or(-1),
            attempts: number(row, 5),
            accepted: number(row, 6),
            crashed: number(row, 7),
        }
    }
}

fn number(row: &SqliteRow, place: usize) -> usize {
    usize::try_from(row.get::<i64, _>(place)).expect("a count")
}

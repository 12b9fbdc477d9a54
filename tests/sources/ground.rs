//! The real pipeline with a record of what it is asked to accept.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use nuncio::channel::Unheard;
use nuncio::check;
use nuncio::clock::Clock;
use nuncio::config::Config;
use nuncio::dispatch::Dispatch;
use nuncio::ingest::{Answer, Incoming, Refusal};
use nuncio::pipeline::{Accept, Foreseen, Pipeline, Rules};
use nuncio::source::outbox::Settings as OutboxSettings;
use nuncio::source::stream::Settings as StreamSettings;
use nuncio::source::{Intake, Sources};
use nuncio::store::sqlite::SqliteStore;
use nuncio::store::{CalendarQuery, StoreError};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::harness::node::PATIENCE;
use crate::harness::postgres::Postgres;
use crate::harness::redis::Redis;

/// Later than any server's clock.
const START: &str = "2060-03-01T09:00:00Z";
/// Bytes of one event's data.
const MAX_EVENT: usize = 1000;

const EVENTS: &str = "
book.due: { type: object, required: [n], properties: { n: { type: integer } } }
book.updated: {}
book.created: {}
book.deleted: {}
";

pub struct Ground {
    pub clock: Clock,
    pub store: SqliteStore,
    pub intake: Intake,
    pub seen: watch::Receiver<Vec<Seen>>,
    _folder: tempfile::TempDir,
}

/// One call of `accept`: each event with what became of it.
pub type Seen = Vec<(Incoming, Fate)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Accepted,
    Duplicate,
    Refused(&'static str),
}

struct Watched {
    pipeline: Pipeline,
    seen: watch::Sender<Vec<Seen>>,
}

impl Ground {
    /// Declares `book.due` with a schema and `book.created`, `.updated`, `.deleted` without; takes
    /// no others, and no data of more than 1,000 bytes.
    pub async fn new() -> Self {
        let clock = Clock::manual(START.parse().expect("a timestamp"), 7);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = folder.path().join("workflows/library");
        std::fs::create_dir_all(&files).expect("made");
        std::fs::write(files.join("events.yaml"), EVENTS).expect("written");
        let loaded = check::load(folder.path(), &Default::default());
        let catalog = loaded.catalog.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
        let url = format!("sqlite:{}", folder.path().join("nuncio.db").display());
        let store = SqliteStore::open(&url, clock.clone()).await.expect("a new database");
        let dispatch =
            Dispatch::new(Default::default(), None, clock.clone(), Duration::from_secs(10));
        let rules = Rules { strict_events: true, ..Rules::of(&Config::default()) };
        let pipeline = Pipeline::new(
            clock.clone(),
            Arc::new(store.clone()),
            catalog.clone(),
            dispatch,
            Arc::new(Unheard),
            rules,
        );
        pipeline.use_catalog(catalog).await.expect("versions are kept");
        let (sender, seen) = watch::channel(Vec::new());
        let pipeline = Arc::new(Watched { pipeline, seen: sender });
        let intake = Intake { pipeline, clock: clock.clone(), max_event: MAX_EVENT };
        Self { clock, store, intake, seen, _folder: folder }
    }

    pub fn drain_outbox(&self, url: &str) -> Sources {
        Sources::start(self.intake.clone(), Some(outbox(url)), None)
    }

    pub fn read_stream(&self, settings: StreamSettings) -> Sources {
        Sources::start(self.intake.clone(), None, Some(settings))
    }

    /// Once so many events were newly accepted: the numbers in their data, in order.
    pub async fn accepted(&self, count: usize) -> Vec<i64> {
        let mut seen = self.seen.clone();
        let enough = seen.wait_for(|seen| numbers(seen).len() >= count);
        let numbers = numbers(&timeout(PATIENCE, enough).await.expect("in time").expect("it runs"));
        assert_eq!(numbers.len(), count, "{numbers:?}");
        numbers
    }

    /// The same, letting time pass.
    pub async fn accepted_in_time(&self, count: usize) -> Vec<i64> {
        let passing = async {
            loop {
                self.clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            numbers = self.accepted(count) => numbers,
            () = passing => unreachable!("time has no end"),
        }
    }

    /// Every event that was handed over, with its fate.
    pub fn fates(&self) -> Vec<(Incoming, Fate)> {
        self.seen.borrow().concat()
    }

    pub fn moments(&self) -> Vec<Option<Timestamp>> {
        self.fates().into_iter().map(|(event, _)| event.at).collect()
    }
}

fn numbers(seen: &[Seen]) -> Vec<i64> {
    let new = seen.iter().flatten().filter(|(_, fate)| *fate == Fate::Accepted);
    new.map(|(event, _)| event.data["n"].as_i64().unwrap_or(-1)).collect()
}

#[async_trait]
impl Accept for Watched {
    async fn accept(
        &self,
        events: Vec<Incoming>,
    ) -> Result<Vec<Result<Answer, Refusal>>, StoreError> {
        let answers = self.pipeline.accept(events.clone()).await?;
        let fate = |answer: &Result<Answer, Refusal>| match answer {
            Ok(Answer::Accepted(_)) => Fate::Accepted,
            Ok(Answer::Duplicate(_)) => Fate::Duplicate,
            Err(refusal) => Fate::Refused(refusal.code),
        };
        let call = events.into_iter().zip(answers.iter().map(fate)).collect();
        self.seen.send_modify(|seen| seen.push(call));
        Ok(answers)
    }

    async fn calendar(&self, query: &CalendarQuery) -> Result<Vec<Foreseen>, StoreError> {
        self.pipeline.calendar(query).await
    }
}

pub fn outbox(url: &str) -> OutboxSettings {
    OutboxSettings::new(url).expect("a URL")
}

/// How a test's consumer reads.
pub fn stream(redis: &Redis, consumer: &str) -> StreamSettings {
    StreamSettings::new(&redis.url(), "nuncio", consumer.into()).expect("a URL")
}

/// A fresh database with an outbox in it, and a service's connection to it.
pub async fn database() -> (String, PgConnection) {
    let url = Postgres::shared().await.database().await;
    let service = service(&url).await;
    (url, service)
}

pub async fn service(url: &str) -> PgConnection {
    nuncio::source::outbox::install(&outbox(url)).await.expect("tables are made");
    PgConnection::connect(url).await.expect("the server takes us")
}

/// `nuncio.emit('book.due', {n})` for each of the numbers.
pub async fn emit(service: &mut PgConnection, numbers: std::ops::Range<i64>) {
    sqlx::query(
        "SELECT nuncio.emit('book.due', jsonb_build_object('n', n))
        FROM generate_series($1, $2 - 1) AS n",
    )
    .bind(numbers.start)
    .bind(numbers.end)
    .execute(service)
    .await
    .expect("they are emitted");
}

pub async fn run(service: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(service).await.expect("it is run");
}

pub async fn count(service: &mut PgConnection, table: &str) -> i64 {
    let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM nuncio.{table}"));
    sqlx::query_scalar(count).fetch_one(service).await.expect("a number")
}

/// Asks, a round trip after the other, until nothing waits in the outbox.
pub async fn drained(service: &mut PgConnection) {
    let asking =
        async { while count(service, "outbox").await + count(service, "outbox_turn").await > 0 {} };
    timeout(PATIENCE, asking).await.expect("it is drained in time");
}

/// The same of the stream: nothing unread, nothing unacknowledged.
pub async fn acknowledged(connection: &mut redis::aio::MultiplexedConnection, count: usize) {
    let asking = async {
        loop {
            let groups: redis::streams::StreamInfoGroupsReply = redis::cmd("XINFO")
                .arg("GROUPS")
                .arg("nuncio:events")
                .query_async(connection)
                .await
                .expect("redis answers");
            let group = groups.groups.first().expect("the group is there");
            if group.pending == 0 && group.entries_read == Some(count) {
                return;
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("acknowledged in time");
}

pub async fn client(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("redis takes us")
}

/// `XADD nuncio:events *`, with the fields: the entry's id.
pub async fn add(
    connection: &mut redis::aio::MultiplexedConnection,
    fields: &[(&str, &str)],
) -> String {
    let mut add = redis::cmd("XADD");
    add.arg("nuncio:events").arg("*").arg(fields);
    add.query_async(connection).await.expect("it is added")
}

/// `book.due` with the number.
pub async fn add_number(connection: &mut redis::aio::MultiplexedConnection, n: i64) -> String {
    add(connection, &[("name", "book.due"), ("data", &format!(r#"{{"n": {n}}}"#))]).await
}

pub fn keys(fates: &[(Incoming, Fate)]) -> Vec<&str> {
    fates.iter().map(|(event, _)| event.idempotency_key.as_deref().unwrap_or_default()).collect()
}

pub fn data(fates: &[(Incoming, Fate)]) -> Vec<&Value> {
    fates.iter().map(|(event, _)| &event.data).collect()
}

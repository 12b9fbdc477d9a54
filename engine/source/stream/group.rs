use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisResult, Value, cmd, pipe};

use super::Settings;
use super::entry::{self, Entry};
use crate::source::{MOST_BYTES, MOST_EVENTS, Rejection, SourceError};

/// All nodes read as one.
const GROUP: &str = "nuncio";
/// A read waits so long for entries, and a stop for a read.
const BLOCK: Duration = Duration::from_millis(500);
/// No answer after that, beyond a read's waiting: the connection is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Entries of the first read; later ones go by how large entries are.
const FIRST_COUNT: usize = 100;
/// Rejected entries that are kept, about; the oldest go first.
const MOST_REJECTED: usize = 10_000;

/// Consumers that hold nothing and were not heard of for an hour are forgotten, in one step: one
/// that wakes between a look and a deletion would lose what it reads.
const FORGET: &str = r"
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local of = {}
    for at = 1, #consumer, 2 do of[consumer[at]] = consumer[at + 1] end
    if of.pending == 0 and of.idle > 3600000 then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of.name)
    end
end";

/// A consumer of the group, on a connection of its own.
pub struct Group {
    connection: MultiplexedConnection,
    key: String,
    consumer: String,
    claim_after: Duration,
    max_length: usize,
    /// Entries of one read.
    count: usize,
    /// Where the look at other consumers' entries goes on; `None`: it begins.
    cursor: Option<String>,
}

impl Group {
    /// Connects, and makes stream and group where they are missing.
    pub async fn join(settings: &Settings) -> Result<Self, SourceError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(BLOCK + PATIENCE));
        let client = &settings.client;
        let mut group = Self {
            connection: client.get_multiplexed_async_connection_with_config(&config).await?,
            key: settings.key.clone(),
            consumer: settings.consumer.clone(),
            claim_after: settings.claim_after,
            max_length: settings.max_length,
            count: FIRST_COUNT,
            cursor: None,
        };
        group.make().await?;
        Ok(group)
    }

    /// Entries that nobody has read, after at most half a second.
    pub async fn next(&mut self) -> Result<Vec<Entry>, SourceError> {
        self.read(">").await
    }

    /// Entries that this consumer has read and not acknowledged.
    pub async fn unfinished(&mut self) -> Result<Vec<Entry>, SourceError> {
        self.read("0").await
    }

    /// Entries that other consumers have read and left for `claim_after`.
    pub async fn left_behind(&mut self) -> Result<Vec<Entry>, SourceError> {
        loop {
            let mut claim = cmd("XAUTOCLAIM");
            claim.arg(&self.key).arg(GROUP).arg(&self.consumer);
            claim.arg(millis(self.claim_after).max(1)).arg(self.cursor.as_deref().unwrap_or("0-0"));
            claim.arg("COUNT").arg(self.count);
            let Some(Value::Array(reply)) = self.ask(&claim).await? else { return Ok(Vec::new()) };
            let mut reply = reply.into_iter();
            let cursor = reply.next().and_then(entry::bytes).unwrap_or_default();
            let cursor = String::from_utf8_lossy(&cursor).into_owned();
            self.cursor = Some(cursor).filter(|cursor| cursor != "0-0");
            // Deleted ones fall out of the group's books by themselves, or are told as gone.
            let (entries, gone) = reply.next().map(entry::of_list).unwrap_or_default();
            self.weigh(&entries);
            self.acknowledge_gone(&gone).await?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            if self.cursor.is_none() {
                self.forget().await?;
                return Ok(Vec::new());
            }
        }
    }

    /// Acknowledges entries, and sets those aside that have a reason: both or nothing.
    pub async fn settle(
        &mut self,
        entries: &[Entry],
        fates: &[Option<Rejection>],
    ) -> Result<(), SourceError> {
        let mut all = pipe();
        all.atomic();
        for (entry, fate) in entries.iter().zip(fates) {
            let Some(Rejection { code, reason }) = fate else { continue };
            let add = all.cmd("XADD").arg(format!("{}:rejected", self.key));
            add.arg("MAXLEN").arg("~").arg(MOST_REJECTED).arg("*");
            for text in &entry.fields {
                add.arg(text);
            }
            add.arg("entry").arg(&entry.id).arg("code").arg(*code).arg("reason").arg(reason);
            add.ignore();
        }
        let acknowledge = all.cmd("XACK").arg(&self.key).arg(GROUP);
        for entry in entries {
            acknowledge.arg(&entry.id);
        }
        acknowledge.ignore();
        all.cmd("XLEN").arg(&self.key);
        let (length,): (usize,) = all.query_async(&mut self.connection).await?;
        if length > self.max_length { self.trim().await } else { Ok(()) }
    }

    /// Goes, where nothing is left unacknowledged: what is, another claims.
    pub async fn leave(mut self) -> Result<(), SourceError> {
        if self.read("0").await?.is_empty() {
            let mut delete = cmd("XGROUP");
            delete.arg("DELCONSUMER").arg(&self.key).arg(GROUP).arg(&self.consumer);
            self.ask(&delete).await?;
        }
        Ok(())
    }

    async fn read(&mut self, after: &str) -> Result<Vec<Entry>, SourceError> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(self.count);
        read.arg("BLOCK").arg(millis(BLOCK)).arg("STREAMS").arg(&self.key).arg(after);
        let Some(reply) = self.ask(&read).await? else { return Ok(Vec::new()) };
        let (entries, gone) = entry::of_streams(reply);
        self.weigh(&entries);
        self.acknowledge_gone(&gone).await?;
        Ok(entries)
    }

    /// A command's answer; `None`: the group was not there, and is now.
    async fn ask(&mut self, command: &Cmd) -> Result<Option<Value>, SourceError> {
        let answer: RedisResult<Value> = command.query_async(&mut self.connection).await;
        match answer {
            Err(error) if matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")) => {
                tracing::warn!("the stream's group was gone: it is made again");
                self.make().await?;
                Ok(None)
            }
            answer => Ok(Some(answer?)),
        }
    }

    /// From the stream's beginning: what was added before the group was made counts.
    async fn make(&mut self) -> Result<(), SourceError> {
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(&self.key).arg(GROUP).arg("0").arg("MKSTREAM");
        match create.query_async::<Value>(&mut self.connection).await {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Reads as many entries as their size lets fit into one batch.
    fn weigh(&mut self, entries: &[Entry]) {
        if entries.is_empty() {
            return;
        }
        let mean = entries.iter().map(Entry::bytes).sum::<usize>() / entries.len();
        self.count = (MOST_BYTES / mean.max(1)).clamp(1, MOST_EVENTS);
    }

    async fn acknowledge_gone(&mut self, gone: &[String]) -> Result<(), SourceError> {
        if gone.is_empty() {
            return Ok(());
        }
        tracing::warn!(count = gone.len(), "entries were deleted before they were accepted");
        let mut acknowledge = cmd("XACK");
        acknowledge.arg(&self.key).arg(GROUP).arg(gone);
        self.ask(&acknowledge).await.map(drop)
    }

    /// Removes what every consumer has acknowledged; never what waits.
    async fn trim(&mut self) -> Result<(), SourceError> {
        let mut pending = cmd("XPENDING");
        pending.arg(&self.key).arg(GROUP);
        let mut groups = cmd("XINFO");
        groups.arg("GROUPS").arg(&self.key);
        let (Some(pending), Some(groups)) = (self.ask(&pending).await?, self.ask(&groups).await?)
        else {
            return Ok(());
        };
        let Some(floor) = first_pending(pending).or_else(|| last_delivered(groups)) else {
            return Ok(());
        };
        let mut trim = cmd("XTRIM");
        trim.arg(&self.key).arg("MINID").arg("~").arg(floor);
        self.ask(&trim).await.map(drop)
    }

    async fn forget(&mut self) -> Result<(), SourceError> {
        let mut forget = cmd("EVAL");
        forget.arg(FORGET).arg(1).arg(&self.key).arg(GROUP);
        self.ask(&forget).await.map(drop)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Of XPENDING's `[count, first, last, consumers]`.
fn first_pending(reply: Value) -> Option<Vec<u8>> {
    let Value::Array(reply) = reply else { return None };
    reply.into_iter().nth(1).and_then(entry::bytes)
}

/// Of XINFO GROUPS' list of names and values.
fn last_delivered(reply: Value) -> Option<Vec<u8>> {
    let Value::Array(groups) = reply else { return None };
    groups.into_iter().find_map(|group| {
        let mut fields = match group {
            Value::Array(fields) => fields,
            Value::Map(fields) => fields.into_iter().flat_map(|(k, v)| [k, v]).collect(),
            _ => return None,
        }
        .into_iter();
        let (mut name, mut last) = (None, None);
        while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
            match entry::bytes(field).as_deref() {
                Some(b"name") => name = entry::bytes(value),
                Some(b"last-delivered-id") => last = entry::bytes(value),
                _ => {}
            }
        }
        last.filter(|_| name.as_deref() == Some(GROUP.as_bytes()))
    })
}

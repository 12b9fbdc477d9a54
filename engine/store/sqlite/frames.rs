//! What is published to streams: of users, of topics and rooms.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::Value;
use uuid::Uuid;

use super::decode::millis;
use super::rows::{Statements, only, unfit};
use super::streams::Streams;
use super::{SqliteStore, decode, inbox};
use crate::model::{Decision, Frame, FrameBody, Once, Publication, Stream};
use crate::store::frame::{KEPT_FRAMES, KEPT_SECONDS};
use crate::store::{Frames, Inbox, Replay, Result, StoreError};

/// How many frames are published before those past their time are cleared away.
const CLEARED_EVERY: u64 = 64;

#[async_trait]
impl Frames for SqliteStore {
    async fn publish(&self, stream: &Stream, body: FrameBody, now: Timestamp) -> Result<Frame> {
        let (stream, body) = (stream.clone(), Arc::new(body));
        self.writer
            .other(move |connection| {
                let seq = match &stream {
                    Stream::User(user) => inbox::head(connection, user)? + 1,
                    _ => next(connection, &stream)?,
                };
                write_frame(connection, &stream, seq, &body, now)?;
                Ok(Frame { stream: stream.clone(), seq, body: body.clone() })
            })
            .await
    }

    async fn stream_head(&self, stream: &Stream) -> Result<u64> {
        if let Stream::User(user) = stream {
            return self.head(user).await;
        }
        let head: Option<i64> = sqlx::query_scalar("SELECT head FROM stream WHERE name = ?")
            .bind(stream.name())
            .fetch_optional(&self.readers)
            .await?;
        Ok(head.unwrap_or_default().unsigned_abs())
    }

    async fn stream_heads(&self, streams: &[Stream]) -> Result<Vec<u64>> {
        let names: Vec<String> = streams.iter().map(Stream::name).collect();
        let heads: Vec<i64> = sqlx::query_scalar(
            "SELECT CASE WHEN value LIKE 'user:%'
               THEN max(coalesce((SELECT max(seq) FROM inbox WHERE user = substr(value, 6)), 0),
                        coalesce((SELECT max(seq) FROM frame WHERE user = substr(value, 6)), 0))
               ELSE coalesce((SELECT head FROM stream WHERE name = value), 0) END
             FROM json_each(?) ORDER BY key",
        )
        .bind(serde_json::Value::from(names).to_string())
        .fetch_all(&self.readers)
        .await?;
        Ok(heads.into_iter().map(i64::unsigned_abs).collect())
    }

    async fn stream_replay(&self, stream: &Stream, seq: u64, limit: usize) -> Result<Replay> {
        if let Stream::User(user) = stream {
            return self.replay(user, seq, limit).await;
        }
        let head = self.stream_head(stream).await?;
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT seq, body FROM stream_frame WHERE stream = ? AND seq > ? AND seq <= ?
             ORDER BY seq LIMIT ?",
        )
        .bind(stream.name())
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .bind(i64::try_from(head).unwrap_or(i64::MAX))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1)
        .fetch_all(&self.readers)
        .await?;
        let mut frames = Vec::with_capacity(rows.len());
        for (seq, text) in rows {
            let body = Arc::new(decode::frame_body(&stream.name(), &text)?);
            frames.push(Frame { stream: stream.clone(), seq: seq.unsigned_abs(), body });
        }
        let whole = seq <= head && frames.len() as u64 == head - seq;
        Ok(if whole && frames.len() <= limit { Replay::Frames(frames) } else { Replay::Gone })
    }

    async fn kept(&self, once: &Once) -> Result<Option<Value>> {
        let text: Option<String> = sqlx::query_scalar(
            "SELECT result FROM once WHERE event = ? AND workflow = ? AND step = ? AND item = ?",
        )
        .bind(once.event.0)
        .bind(once.workflow.as_str())
        .bind(once.step.as_str())
        .bind(i64::from(once.item))
        .fetch_optional(&self.readers)
        .await?;
        text.map(|text| read(once, &text)).transpose()
    }

    async fn keep(&self, once: &Once, result: Value) -> Result<Value> {
        let (name, result) = (once.clone(), result.to_string());
        let kept: String = self
            .writer
            .other(move |connection| {
                let (event, workflow, step, item) = named(&name);
                // The update that changes nothing makes the row be returned.
                connection.one(
                    "INSERT INTO once (event, workflow, step, item, result)
                     VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET result = result
                     RETURNING result",
                    (event, workflow, step, item, &result),
                    only,
                )
            })
            .await?;
        read(once, &kept)
    }
}

/// Publishes what is not published yet under its name; answers the frames, each with the record
/// that is to be written.
pub(super) fn publish<'p>(
    connection: &Connection,
    streams: &mut Streams,
    all: impl Iterator<Item = &'p Publication>,
) -> rusqlite::Result<Vec<(Frame, &'p Decision)>> {
    let mut published = Vec::new();
    for publication in all {
        published.extend(publish_one(connection, streams, publication)?);
    }
    Ok(published)
}

fn publish_one<'p>(
    connection: &Connection,
    streams: &mut Streams,
    publication: &'p Publication,
) -> rusqlite::Result<Option<(Frame, &'p Decision)>> {
    let Publication { stream, body, decision, once } = publication;
    if let Some(once) = once {
        let written = connection.run(
            "INSERT OR IGNORE INTO once (event, workflow, step, item, result)
             VALUES (?, ?, ?, ?, 'null')",
            named(once),
        )?;
        if written == 0 {
            return Ok(None);
        }
    }
    let seq = match stream {
        Stream::User(user) => {
            streams.load(connection, [user].into_iter())?;
            streams.next(user)
        }
        shared => next(connection, shared)?,
    };
    write_frame(connection, stream, seq, body, decision.at)?;
    let body = Arc::new(body.clone());
    Ok(Some((Frame { stream: stream.clone(), seq, body }, decision)))
}

pub(super) fn next(connection: &Connection, stream: &Stream) -> rusqlite::Result<u64> {
    let head: i64 = connection.one(
        "INSERT INTO stream (name, head) VALUES (?, 1)
         ON CONFLICT DO UPDATE SET head = head + 1 RETURNING head",
        [stream.name()],
        only,
    )?;
    Ok(head.unsigned_abs())
}

pub(super) fn write_frame(
    connection: &Connection,
    stream: &Stream,
    seq: u64,
    body: &FrameBody,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let text = serde_json::to_string(body).map_err(unfit)?;
    let (sql, name) = match stream {
        Stream::User(user) => {
            ("INSERT INTO frame (user, seq, at, body) VALUES (?, ?, ?, ?)", user.to_string())
        }
        shared => {
            ("INSERT INTO stream_frame (stream, seq, at, body) VALUES (?, ?, ?, ?)", shared.name())
        }
    };
    connection.run(sql, (name, i64::try_from(seq).unwrap_or(i64::MAX), millis(now), text))?;
    if matches!(stream, Stream::User(_)) || !seq.is_multiple_of(CLEARED_EVERY) {
        return Ok(());
    }
    connection.run(
        "DELETE FROM stream_frame WHERE stream = ?1 AND (seq <= ?2 OR at < ?3)",
        (
            stream.name(),
            i64::try_from(seq.saturating_sub(KEPT_FRAMES)).unwrap_or(i64::MAX),
            millis(now) - KEPT_SECONDS * 1000,
        ),
    )?;
    Ok(())
}

fn named(once: &Once) -> (Uuid, &str, &str, i64) {
    (once.event.0, once.workflow.as_str(), once.step.as_str(), i64::from(once.item))
}

fn read(once: &Once, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
        noun: "result kept for event",
        id: once.event.to_string(),
        why: error.to_string(),
    })
}

//! What is published to streams: of users, of topics and rooms.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::SqliteConnection;

use super::decode::{millis, shared};
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
                let (stream, body) = (stream.clone(), body.clone());
                Box::pin(async move {
                    let seq = match &stream {
                        Stream::User(user) => inbox::head(connection, user).await? + 1,
                        _ => next(connection, &stream).await?,
                    };
                    write_frame(connection, &stream, seq, &body, now).await?;
                    Ok(Frame { stream, seq, body })
                })
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
                let (once, result) = (name.clone(), result.clone());
                Box::pin(async move {
                    // The update that changes nothing makes the row be returned.
                    sqlx::query_scalar(
                        "INSERT INTO once (event, workflow, step, item, result)
                         VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET result = result
                         RETURNING result",
                    )
                    .bind(once.event.0)
                    .bind(shared(&once.workflow.0))
                    .bind(shared(&once.step.0))
                    .bind(i64::from(once.item))
                    .bind(result)
                    .fetch_one(connection)
                    .await
                })
            })
            .await?;
        read(once, &kept)
    }
}

/// Publishes what is not published yet under its name; answers the frames, each with the record
/// that is to be written.
pub(super) async fn publish<'p>(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    all: impl Iterator<Item = &'p Publication>,
) -> sqlx::Result<Vec<(Frame, &'p Decision)>> {
    let mut published = Vec::new();
    for publication in all {
        published.extend(publish_one(connection, streams, publication).await?);
    }
    Ok(published)
}

async fn publish_one<'p>(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    publication: &'p Publication,
) -> sqlx::Result<Option<(Frame, &'p Decision)>> {
    let Publication { stream, body, decision, once } = publication;
    if let Some(once) = once {
        let insert = sqlx::query(
            "INSERT OR IGNORE INTO once (event, workflow, step, item, result)
             VALUES (?, ?, ?, ?, 'null')",
        );
        let written = insert
            .bind(once.event.0)
            .bind(shared(&once.workflow.0))
            .bind(shared(&once.step.0))
            .bind(i64::from(once.item))
            .execute(&mut *connection)
            .await?;
        if written.rows_affected() == 0 {
            return Ok(None);
        }
    }
    let seq = match stream {
        Stream::User(user) => {
            streams.load(connection, [user].into_iter()).await?;
            streams.next(user)
        }
        shared => next(connection, shared).await?,
    };
    write_frame(connection, stream, seq, body, decision.at).await?;
    let body = Arc::new(body.clone());
    Ok(Some((Frame { stream: stream.clone(), seq, body }, decision)))
}

pub(super) async fn next(connection: &mut SqliteConnection, stream: &Stream) -> sqlx::Result<u64> {
    let head: i64 = sqlx::query_scalar(
        "INSERT INTO stream (name, head) VALUES (?, 1)
         ON CONFLICT DO UPDATE SET head = head + 1 RETURNING head",
    )
    .bind(stream.name())
    .fetch_one(connection)
    .await?;
    Ok(head.unsigned_abs())
}

pub(super) async fn write_frame(
    connection: &mut SqliteConnection,
    stream: &Stream,
    seq: u64,
    body: &FrameBody,
    now: Timestamp,
) -> sqlx::Result<()> {
    let text = serde_json::to_string(body).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let (sql, name) = match stream {
        Stream::User(user) => {
            ("INSERT INTO frame (user, seq, at, body) VALUES (?, ?, ?, ?)", user.to_string())
        }
        shared => {
            ("INSERT INTO stream_frame (stream, seq, at, body) VALUES (?, ?, ?, ?)", shared.name())
        }
    };
    sqlx::query(sql)
        .bind(name)
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .bind(millis(now))
        .bind(text)
        .execute(&mut *connection)
        .await?;
    if matches!(stream, Stream::User(_)) || !seq.is_multiple_of(CLEARED_EVERY) {
        return Ok(());
    }
    sqlx::query("DELETE FROM stream_frame WHERE stream = ?1 AND (seq <= ?2 OR at < ?3)")
        .bind(stream.name())
        .bind(i64::try_from(seq.saturating_sub(KEPT_FRAMES)).unwrap_or(i64::MAX))
        .bind(millis(now) - KEPT_SECONDS * 1000)
        .execute(connection)
        .await?;
    Ok(())
}

fn read(once: &Once, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
        noun: "result kept for event",
        id: once.event.to_string(),
        why: error.to_string(),
    })
}

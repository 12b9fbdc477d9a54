//! What is published to streams: of users, of topics and rooms.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::PgConnection;

use super::decode::millis;
use super::rows::each;
use super::{PostgresStore, decode, streams};
use crate::model::{Decision, Frame, FrameBody, Once, Publication, Stream};
use crate::store::frame::{KEPT_FRAMES, KEPT_SECONDS};
use crate::store::{Frames, Inbox, Replay, Result, StoreError};

/// How many frames are published before those past their time are cleared away.
const CLEARED_EVERY: u64 = 64;

#[async_trait]
impl Frames for PostgresStore {
    async fn publish(&self, stream: &Stream, body: FrameBody, now: Timestamp) -> Result<Frame> {
        let (stream, body) = (stream.clone(), Arc::new(body));
        self.writer
            .other(move |connection| {
                let (stream, body) = (stream.clone(), body.clone());
                Box::pin(async move {
                    let seq = next(connection, &stream).await?;
                    let frame = Frame { stream, seq, body };
                    write(connection, &[(&frame, now)]).await?;
                    Ok(frame)
                })
            })
            .await
    }

    async fn stream_head(&self, stream: &Stream) -> Result<u64> {
        let head = sqlx::query_scalar("SELECT head FROM stream WHERE name = $1");
        let head: Option<i64> = head.bind(stream.name()).fetch_optional(&self.readers).await?;
        Ok(head.unwrap_or_default().unsigned_abs())
    }

    async fn stream_heads(&self, streams: &[Stream]) -> Result<Vec<u64>> {
        let names: Vec<String> = streams.iter().map(Stream::name).collect();
        let heads: Vec<i64> = sqlx::query_scalar(
            "SELECT coalesce(head, 0) FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place)
               LEFT JOIN stream USING (name) ORDER BY place",
        )
        .bind(names)
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
            "SELECT seq, body FROM stream_frame WHERE stream = $1 AND seq > $2 AND seq <= $3
             ORDER BY seq LIMIT $4",
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
            "SELECT result FROM once WHERE event = $1 AND workflow = $2 AND step = $3 AND item = $4",
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
                         VALUES ($1, $2, $3, $4, $5)
                         ON CONFLICT (event, workflow, step, item) DO UPDATE SET result = once.result
                         RETURNING result",
                    )
                    .bind(once.event.0)
                    .bind(once.workflow.as_str())
                    .bind(once.step.as_str())
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
    connection: &mut PgConnection,
    all: impl Iterator<Item = &'p Publication>,
) -> sqlx::Result<Vec<(Frame, &'p Decision)>> {
    let mut new = Vec::new();
    let mut places = BTreeMap::new();
    for publication in all {
        if is_new(connection, publication).await? {
            *places.entry(publication.stream.name()).or_default() += 1;
            new.push(publication);
        }
    }
    let mut heads: HashMap<String, i64> = streams::take(connection, &places).await?;
    let mut published = Vec::with_capacity(new.len());
    for publication in new {
        let head = heads.entry(publication.stream.name()).or_default();
        *head += 1;
        let body = Arc::new(publication.body.clone());
        let seq = head.unsigned_abs();
        published
            .push((Frame { stream: publication.stream.clone(), seq, body }, &publication.decision));
    }
    let frames: Vec<_> = published.iter().map(|(frame, decision)| (frame, decision.at)).collect();
    write(connection, &frames).await?;
    Ok(published)
}

/// Takes the publication's name, where it has one.
async fn is_new(connection: &mut PgConnection, publication: &Publication) -> sqlx::Result<bool> {
    let Some(once) = &publication.once else { return Ok(true) };
    let written = sqlx::query(
        "INSERT INTO once (event, workflow, step, item, result) VALUES ($1, $2, $3, $4, 'null')
         ON CONFLICT DO NOTHING",
    )
    .bind(once.event.0)
    .bind(once.workflow.as_str())
    .bind(once.step.as_str())
    .bind(i64::from(once.item))
    .execute(connection)
    .await?;
    Ok(written.rows_affected() > 0)
}

/// The next place of a stream.
pub(super) async fn next(connection: &mut PgConnection, stream: &Stream) -> sqlx::Result<u64> {
    let heads = streams::take(connection, &BTreeMap::from([(stream.name(), 1)])).await?;
    Ok(heads.values().sum::<i64>().unsigned_abs() + 1)
}

/// Writes frames that are no entries, and clears away old ones.
pub(super) async fn write(
    connection: &mut PgConnection,
    frames: &[(&Frame, Timestamp)],
) -> sqlx::Result<()> {
    let (own, shared): (Vec<_>, Vec<_>) =
        frames.iter().partition(|(frame, _)| matches!(frame.stream, Stream::User(_)));
    if !own.is_empty() {
        let insert = sqlx::query(
            "INSERT INTO frame (user_id, seq, at, body)
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[])",
        );
        let user = |(frame, _): &(&Frame, Timestamp)| match &frame.stream {
            Stream::User(user) => user.to_string(),
            shared => shared.name(),
        };
        insert
            .bind(each(&own, user))
            .bind(each(&own, |(frame, _)| i64::try_from(frame.seq).unwrap_or(i64::MAX)))
            .bind(each(&own, |(_, at)| millis(*at)))
            .bind(bodies(&own)?)
            .execute(&mut *connection)
            .await?;
    }
    if shared.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO stream_frame (stream, seq, at, body, author)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])",
    )
    .bind(each(&shared, |(frame, _)| frame.stream.name()))
    .bind(each(&shared, |(frame, _)| i64::try_from(frame.seq).unwrap_or(i64::MAX)))
    .bind(each(&shared, |(_, at)| millis(*at)))
    .bind(bodies(&shared)?)
    .bind(each(&shared, |(frame, _)| author(frame)))
    .execute(&mut *connection)
    .await?;
    for (frame, at) in shared {
        if frame.seq.is_multiple_of(CLEARED_EVERY) {
            clear(connection, frame, at).await?;
        }
    }
    Ok(())
}

async fn clear(connection: &mut PgConnection, last: &Frame, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM stream_frame WHERE stream = $1 AND (seq <= $2 OR at < $3)")
        .bind(last.stream.name())
        .bind(i64::try_from(last.seq.saturating_sub(KEPT_FRAMES)).unwrap_or(i64::MAX))
        .bind(millis(now) - KEPT_SECONDS * 1000)
        .execute(connection)
        .await?;
    Ok(())
}

fn bodies(frames: &[(&Frame, Timestamp)]) -> sqlx::Result<Vec<String>> {
    let text = |(frame, _): &(&Frame, Timestamp)| serde_json::to_string(&*frame.body);
    let texts: serde_json::Result<_> = frames.iter().map(text).collect();
    texts.map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Who said it, in a room: to be found when that user is erased.
fn author(frame: &Frame) -> Option<String> {
    match (&frame.stream, &*frame.body) {
        (Stream::Room(_), FrameBody::Published { name, data }) if name == "chat_message" => {
            match data.get("user_id")? {
                Value::String(id) => Some(id.clone()),
                Value::Number(id) => Some(id.to_string()),
                _ => None,
            }
        }
        _ => None,
    }
}

fn read(once: &Once, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
        noun: "result kept for event",
        id: once.event.to_string(),
        why: error.to_string(),
    })
}

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::decode::millis;
use super::rows::Statements;
use super::{SqliteStore, frames};
use crate::model::{Frame, RoomName, Saying, Stream, UserId};
use crate::store::{Result, Rooms};

#[async_trait]
impl Rooms for SqliteStore {
    async fn join(&self, room: &RoomName, user: &UserId) -> Result<bool> {
        self.admit(room, user, "INSERT OR IGNORE INTO member (room, user) VALUES (?, ?)").await
    }

    async fn leave(&self, room: &RoomName, user: &UserId) -> Result<bool> {
        self.admit(room, user, "DELETE FROM member WHERE room = ? AND user = ?").await
    }

    async fn is_member(&self, room: &RoomName, user: &UserId) -> Result<bool> {
        let found =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM member WHERE room = ? AND user = ?)");
        Ok(found.bind(room.as_str()).bind(user.as_str()).fetch_one(&self.readers).await?)
    }

    async fn say(&self, saying: &Saying, keep: bool) -> Result<Frame> {
        let saying = saying.clone();
        self.writer
            .other(move |connection| {
                let stream = Stream::Room(saying.room.clone());
                let seq = frames::next(connection, &stream)?;
                let body = saying.frame(seq);
                frames::write_frame(connection, &stream, seq, &body, saying.at)?;
                if keep {
                    connection.run(
                        "INSERT INTO saying (room, seq, id, user, username, message, at)
                         VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (
                            saying.room.as_str(),
                            i64::try_from(seq).unwrap_or(i64::MAX),
                            saying.id,
                            saying.user.as_str(),
                            saying.username.as_str(),
                            saying.message.as_str(),
                            millis(saying.at),
                        ),
                    )?;
                }
                Ok(Frame { stream, seq, body: Arc::new(body) })
            })
            .await
    }

    async fn history(
        &self,
        room: &RoomName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Saying)>> {
        let rows: Vec<(i64, Uuid, String, String, String, i64)> = sqlx::query_as(
            "SELECT seq, id, user, username, message, at FROM saying WHERE room = ? AND seq < ?
             ORDER BY seq DESC LIMIT ?",
        )
        .bind(room.as_str())
        .bind(before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        let saying = |(seq, id, user, username, message, at): (i64, _, String, _, _, i64)| {
            let at = Timestamp::from_millisecond(at).unwrap_or_default();
            let room = room.clone();
            (seq.unsigned_abs(), Saying { id, room, user: user.into(), username, message, at })
        };
        Ok(rows.into_iter().rev().map(saying).collect())
    }

    async fn read_up_to(&self, room: &RoomName, user: &UserId, seq: u64) -> Result<bool> {
        let (room, user) = (room.0.clone(), user.0.clone());
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        self.writer
            .other(move |connection| {
                let changed = connection.run(
                    "UPDATE member SET read_seq = ?1
                     WHERE room = ?2 AND user = ?3 AND read_seq < ?1",
                    (seq, &*room, &*user),
                )?;
                Ok(changed > 0)
            })
            .await
    }
}

impl SqliteStore {
    async fn admit(&self, room: &RoomName, user: &UserId, sql: &'static str) -> Result<bool> {
        let (room, user) = (room.0.clone(), user.0.clone());
        self.writer.other(move |connection| Ok(connection.run(sql, (&*room, &*user))? > 0)).await
    }
}

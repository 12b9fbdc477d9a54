use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::decode::millis;
use super::rows::text;
use super::{PostgresStore, frames};
use crate::model::{Frame, RoomName, Saying, Stream, UserId};
use crate::store::{Result, Rooms};

#[async_trait]
impl Rooms for PostgresStore {
    async fn join(&self, room: &RoomName, user: &UserId) -> Result<bool> {
        let sql = "INSERT INTO member (room, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.change(room.as_str(), user, sql).await
    }

    async fn leave(&self, room: &RoomName, user: &UserId) -> Result<bool> {
        let sql = "DELETE FROM member WHERE room = $1 AND user_id = $2";
        self.change(room.as_str(), user, sql).await
    }

    async fn is_member(&self, room: &RoomName, user: &UserId) -> Result<bool> {
        let found = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM member WHERE room = $1 AND user_id = $2)",
        );
        Ok(found.bind(room.as_str()).bind(user.as_str()).fetch_one(&self.readers).await?)
    }

    async fn say(&self, saying: &Saying, keep: bool) -> Result<Frame> {
        let saying = Arc::new(saying.clone());
        self.writer
            .other(move |connection| {
                let saying = saying.clone();
                Box::pin(async move {
                    let stream = Stream::Room(saying.room.clone());
                    let seq = frames::next(connection, &stream).await?;
                    let body = Arc::new(saying.frame(seq));
                    let frame = Frame { stream, seq, body };
                    frames::write(connection, &[(&frame, saying.at)]).await?;
                    if keep {
                        sqlx::query(
                            "INSERT INTO saying (room, seq, id, user_id, username, message, at)
                             VALUES ($1, $2, $3, $4, $5, $6, $7)",
                        )
                        .bind(saying.room.as_str())
                        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
                        .bind(saying.id)
                        .bind(saying.user.as_str())
                        .bind(text(&saying.username))
                        .bind(text(&saying.message))
                        .bind(millis(saying.at))
                        .execute(connection)
                        .await?;
                    }
                    Ok(frame)
                })
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
            "SELECT seq, id, user_id, username, message, at FROM saying WHERE room = $1
               AND seq < $2 ORDER BY seq DESC LIMIT $3",
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
        let (room, user) = (room.clone(), user.clone());
        self.writer
            .other(move |connection| {
                let (room, user) = (room.clone(), user.clone());
                Box::pin(async move {
                    let update = sqlx::query(
                        "UPDATE member SET read_seq = $1
                         WHERE room = $2 AND user_id = $3 AND read_seq < $1",
                    );
                    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
                    let update = update.bind(seq).bind(room.as_str()).bind(user.as_str());
                    Ok(update.execute(connection).await?.rows_affected() > 0)
                })
            })
            .await
    }
}

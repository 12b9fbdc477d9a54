use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::decode::{self, millis};
use super::rows::{Statements, only, unfit};
use super::sealed::unless_locked;
use super::{SqliteStore, waits};
use crate::model::{Attempt, Category, Entry, Frame, FrameBody, Message, RunId, Stream, UserId};
use crate::store::{Inbox, InboxOrder, InboxPage, InboxQuery, Replay, Result};

/// The last place of the stream of the user `?1`.
const HEAD: &str = "SELECT max(coalesce((SELECT head FROM stream WHERE name = 'user:' || ?1), 0),
   coalesce((SELECT max(seq) FROM inbox WHERE user = ?1), 0),
   coalesce((SELECT max(seq) FROM frame WHERE user = ?1), 0))";

#[async_trait]
impl Inbox for SqliteStore {
    async fn entries(&self, query: &InboxQuery) -> Result<InboxPage> {
        let mut count = QueryBuilder::new("SELECT count(*) FROM inbox WHERE deleted_at IS NULL");
        filter(&mut count, query);
        let count: i64 = count.build_query_scalar().fetch_one(&self.readers).await?;
        let mut page = QueryBuilder::new(format!(
            "SELECT {} FROM inbox WHERE deleted_at IS NULL",
            super::ENTRY
        ));
        filter(&mut page, query);
        page.push(match query.order {
            InboxOrder::OldestFirst => " ORDER BY created_at, rowid",
            InboxOrder::NewestFirst => " ORDER BY created_at DESC, rowid DESC",
            InboxOrder::LowestFirst => " ORDER BY priority DESC, created_at DESC, rowid DESC",
            InboxOrder::HighestFirst => " ORDER BY priority, created_at DESC, rowid DESC",
        });
        page.push(" LIMIT ").push_bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
        page.push(" OFFSET ").push_bind(i64::try_from(query.offset).unwrap_or(i64::MAX));
        let rows = page.build().fetch_all(&self.readers).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            entries.extend(unless_locked(self.vault.open_entry(decode::entry(row)?))?);
        }
        Ok(InboxPage { count: count.unsigned_abs(), entries })
    }

    async fn entry(&self, id: RunId) -> Result<Option<Entry>> {
        let select =
            format!("SELECT {} FROM inbox WHERE id = ? AND deleted_at IS NULL", super::ENTRY);
        let row = sqlx::query(AssertSqlSafe(select)).bind(id.0).fetch_optional(&self.readers);
        row.await?.as_ref().map(|row| self.vault.open_entry(decode::entry(row)?)).transpose()
    }

    async fn deliveries(&self, id: RunId) -> Result<Vec<(Message, Vec<Attempt>)>> {
        let select = format!("SELECT {} FROM message WHERE run = ? ORDER BY id", decode::MESSAGE);
        let rows = sqlx::query(AssertSqlSafe(select)).bind(id.0).fetch_all(&self.readers).await?;
        let records = self.with_attempts(decode::all(&rows, decode::message)?).await?;
        Ok(records.into_iter().map(|record| (record.message, record.attempts)).collect())
    }

    async fn unread(&self, user: &UserId) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM inbox WHERE user = ? AND read_at IS NULL AND deleted_at IS NULL",
        )
        .bind(user.0.clone())
        .fetch_one(&self.readers)
        .await?;
        Ok(count.unsigned_abs())
    }

    async fn mark(
        &self,
        user: &UserId,
        id: RunId,
        read_at: Option<Timestamp>,
    ) -> Result<Option<(Entry, Vec<Frame>)>> {
        let now = self.clock.now();
        let owner = user.clone();
        let frames = self
            .writer
            .other(move |connection| {
                let changed = connection.run(
                    "UPDATE inbox SET read_at = ?1 WHERE id = ?2 AND user = ?3
                     AND deleted_at IS NULL AND (read_at IS NULL) <> (?1 IS NULL)",
                    (read_at.map(millis), id.0, owner.as_str()),
                )?;
                if changed == 0 {
                    return Ok(Vec::new());
                }
                waits::wake_by_state(connection, &[id.0])?;
                let body = FrameBody::NotificationRead { notification_id: id, read_at };
                Ok(vec![frame(connection, &owner, body, now)?])
            })
            .await?;
        let entry = self.entry(id).await?.filter(|entry| entry.user == *user);
        Ok(entry.map(|entry| (entry, frames)))
    }

    async fn mark_all(
        &self,
        user: &UserId,
        category: Option<&Category>,
        now: Timestamp,
    ) -> Result<(u64, Vec<Frame>)> {
        let owner = user.clone();
        let category = category.cloned();
        self.writer
            .other(move |connection| {
                let read: Vec<Uuid> = connection.all(
                    "UPDATE inbox SET read_at = ?1 WHERE user = ?2 AND read_at IS NULL
                     AND deleted_at IS NULL AND (?3 IS NULL OR category = ?3) RETURNING id",
                    (millis(now), owner.as_str(), category.as_ref().map(Category::as_str)),
                    only,
                )?;
                waits::wake_by_state(connection, &read)?;
                let changed = read.len() as u64;
                bulk(connection, &owner, "mark_all_read", changed, category.clone(), now)
            })
            .await
    }

    async fn mark_many(
        &self,
        user: &UserId,
        ids: &[RunId],
        now: Timestamp,
    ) -> Result<(u64, Vec<RunId>, Vec<Frame>)> {
        let sql = "UPDATE inbox SET read_at = ?1 WHERE user = ?2 AND read_at IS NULL
                   AND deleted_at IS NULL AND id IN (SELECT unhex(value) FROM json_each(?3))";
        self.change_many(user, ids, now, sql, "mark_multiple_read").await
    }

    async fn delete_many(
        &self,
        user: &UserId,
        ids: &[RunId],
        now: Timestamp,
    ) -> Result<(u64, Vec<RunId>, Vec<Frame>)> {
        let sql = "UPDATE inbox SET deleted_at = ?1 WHERE user = ?2 AND deleted_at IS NULL
                   AND id IN (SELECT unhex(value) FROM json_each(?3))";
        self.change_many(user, ids, now, sql, "bulk_delete").await
    }

    async fn head(&self, user: &UserId) -> Result<u64> {
        let mut connection = self.readers.acquire().await?;
        Ok(read_head(&mut connection, user).await?)
    }

    async fn replay(&self, user: &UserId, seq: u64, limit: usize) -> Result<Replay> {
        let after = i64::try_from(seq).unwrap_or(i64::MAX);
        let most = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
        let select = format!(
            "SELECT {} FROM inbox WHERE user = ? AND seq > ? AND deleted_at IS NULL
             ORDER BY seq LIMIT ?",
            super::ENTRY
        );
        let entries =
            sqlx::query(AssertSqlSafe(select)).bind(user.0.clone()).bind(after).bind(most);
        // One connection and one transaction, so that both reads see the same stream.
        let mut reading = self.readers.begin().await?;
        let entries = entries.fetch_all(&mut *reading).await?;
        let bodies: Vec<(i64, String)> = sqlx::query_as(
            "SELECT seq, body FROM frame WHERE user = ? AND seq > ? ORDER BY seq LIMIT ?",
        )
        .bind(user.0.clone())
        .bind(after)
        .bind(most)
        .fetch_all(&mut *reading)
        .await?;
        let head = read_head(&mut reading, user).await?;
        drop(reading);
        let mut frames = Vec::with_capacity(entries.len() + bodies.len());
        for row in &entries {
            // What is locked leaves a gap: the client loads the list, which does without it too.
            let opened = unless_locked(self.vault.open_entry(decode::entry(row)?))?;
            let Some(entry) = opened else { continue };
            frames.push(of(user, entry.seq, FrameBody::from(&entry)));
        }
        for (seq, body) in bodies {
            let body = decode::frame_body(user.as_str(), &body)?;
            frames.push(of(user, seq.unsigned_abs(), body));
        }
        frames.sort_by_key(|frame| frame.seq);
        let whole = frames.len() as u64 == head.saturating_sub(seq) && seq <= head;
        Ok(if whole && frames.len() <= limit { Replay::Frames(frames) } else { Replay::Gone })
    }
}

impl SqliteStore {
    async fn change_many(
        &self,
        user: &UserId,
        ids: &[RunId],
        now: Timestamp,
        sql: &'static str,
        action: &'static str,
    ) -> Result<(u64, Vec<RunId>, Vec<Frame>)> {
        let owner = user.clone();
        let asked = ids.to_vec();
        let ids = waits::hex(ids.iter().map(|id| id.0));
        self.writer
            .other(move |connection| {
                let found: Vec<Uuid> = connection.all(
                    "SELECT id FROM inbox WHERE user = ?1 AND deleted_at IS NULL
                     AND id IN (SELECT unhex(value) FROM json_each(?2))",
                    (owner.as_str(), &ids),
                    only,
                )?;
                let changed = connection.run(sql, (millis(now), owner.as_str(), &ids))? as u64;
                waits::wake_by_state(connection, &found)?;
                let missing = asked.iter().filter(|id| !found.contains(&id.0)).copied().collect();
                let (changed, frames) = bulk(connection, &owner, action, changed, None, now)?;
                Ok((changed, missing, frames))
            })
            .await
    }
}

fn filter(sql: &mut QueryBuilder<Sqlite>, query: &InboxQuery) {
    if let Some(user) = &query.user {
        sql.push(" AND user = ").push_bind(user.0.clone());
    }
    match query.is_read {
        Some(true) => sql.push(" AND read_at IS NOT NULL"),
        Some(false) => sql.push(" AND read_at IS NULL"),
        None => sql,
    };
    if let Some(category) = &query.category {
        sql.push(" AND category = ").push_bind(category.0.clone());
    }
    if let Some(priority) = query.priority {
        sql.push(" AND priority = ").push_bind(priority as i64);
    }
    if let Some(from) = query.from {
        sql.push(" AND created_at >= ").push_bind(millis(from));
    }
    if let Some(to) = query.to {
        sql.push(" AND created_at <= ").push_bind(millis(to));
    }
    if let Some(search) = &query.search {
        let escaped = search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let pattern = format!("%{escaped}%");
        // A sensitive entry has nothing here to be found but its public title.
        sql.push(" AND (title LIKE ").push_bind(pattern.clone()).push(" ESCAPE '\\'");
        sql.push(" OR public_title LIKE ").push_bind(pattern.clone()).push(" ESCAPE '\\'");
        sql.push(" OR (sensitive = 0 AND message LIKE ").push_bind(pattern);
        sql.push(" ESCAPE '\\'))");
    }
}

fn bulk(
    connection: &Connection,
    user: &UserId,
    action: &str,
    changed: u64,
    category: Option<Category>,
    now: Timestamp,
) -> rusqlite::Result<(u64, Vec<Frame>)> {
    if changed == 0 {
        return Ok((0, Vec::new()));
    }
    let body = FrameBody::BulkUpdate {
        action: action.into(),
        affected_count: changed,
        notification_type: category,
    };
    Ok((changed, vec![frame(connection, user, body, now)?]))
}

/// Writes a frame that is no entry, at the next place of the user's stream.
fn frame(
    connection: &Connection,
    user: &UserId,
    body: FrameBody,
    now: Timestamp,
) -> rusqlite::Result<Frame> {
    let seq = head(connection, user)? + 1;
    let text = serde_json::to_string(&body).map_err(unfit)?;
    connection.run(
        "INSERT INTO frame (user, seq, at, body) VALUES (?, ?, ?, ?)",
        (user.as_str(), i64::try_from(seq).unwrap_or(i64::MAX), millis(now), text),
    )?;
    Ok(of(user, seq, body))
}

fn of(user: &UserId, seq: u64, body: FrameBody) -> Frame {
    Frame { stream: Stream::User(user.clone()), seq, body: Arc::new(body) }
}

pub(super) fn head(connection: &Connection, user: &UserId) -> rusqlite::Result<u64> {
    let head: i64 = connection.one(HEAD, [user.as_str()], only)?;
    Ok(head.unsigned_abs())
}

/// As [`head`], for those that read.
async fn read_head(connection: &mut SqliteConnection, user: &UserId) -> sqlx::Result<u64> {
    let head = sqlx::query_scalar(HEAD).bind(user.0.clone());
    let head: i64 = head.fetch_one(connection).await?;
    Ok(head.unsigned_abs())
}

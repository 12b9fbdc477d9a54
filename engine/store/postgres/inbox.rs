use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::decode::{self, millis};
use super::rows::text;
use super::sealed::unless_locked;
use super::{ENTRY, PostgresStore, frames, streams, waits};
use crate::model::{Attempt, Category, Entry, Frame, FrameBody, Message, RunId, Stream, UserId};
use crate::store::{Inbox, InboxOrder, InboxPage, InboxQuery, Replay, Result};

#[async_trait]
impl Inbox for PostgresStore {
    async fn entries(&self, query: &InboxQuery) -> Result<InboxPage> {
        let mut count = QueryBuilder::new("SELECT count(*) FROM inbox WHERE deleted_at IS NULL");
        filter(&mut count, query);
        let count: i64 = count.build_query_scalar().fetch_one(&self.readers).await?;
        let mut page =
            QueryBuilder::new(format!("SELECT {ENTRY} FROM inbox WHERE deleted_at IS NULL"));
        filter(&mut page, query);
        page.push(match query.order {
            InboxOrder::OldestFirst => " ORDER BY created_at, seq, id",
            InboxOrder::NewestFirst => " ORDER BY created_at DESC, seq DESC, id DESC",
            InboxOrder::LowestFirst => {
                " ORDER BY priority DESC, created_at DESC, seq DESC, id DESC"
            }
            InboxOrder::HighestFirst => " ORDER BY priority, created_at DESC, seq DESC, id DESC",
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
        let select = format!("SELECT {ENTRY} FROM inbox WHERE id = $1 AND deleted_at IS NULL");
        let row = sqlx::query(AssertSqlSafe(select)).bind(id.0).fetch_optional(&self.readers);
        row.await?.as_ref().map(|row| self.vault.open_entry(decode::entry(row)?)).transpose()
    }

    async fn deliveries(&self, id: RunId) -> Result<Vec<(Message, Vec<Attempt>)>> {
        let select = format!("SELECT {} FROM message WHERE run = $1 ORDER BY id", decode::MESSAGE);
        let rows = sqlx::query(AssertSqlSafe(select)).bind(id.0).fetch_all(&self.readers).await?;
        let records = self.with_attempts(decode::all(&rows, decode::message)?).await?;
        Ok(records.into_iter().map(|record| (record.message, record.attempts)).collect())
    }

    async fn unread(&self, user: &UserId) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM inbox
             WHERE user_id = $1 AND read_at IS NULL AND deleted_at IS NULL",
        )
        .bind(user.as_str())
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
        let sql = "UPDATE inbox SET read_at = $1 WHERE user_id = $2 AND deleted_at IS NULL
                   AND (read_at IS NULL) <> ($1::bigint IS NULL) AND id = ANY($3) RETURNING id";
        let change = Change { sql, at: read_at, ids: vec![id.0], category: None };
        let body = move |_| FrameBody::NotificationRead { notification_id: id, read_at };
        let (_, frames) = self.change_entries(user, change, self.clock.now(), body).await?;
        let entry = self.entry(id).await?.filter(|entry| entry.user == *user);
        Ok(entry.map(|entry| (entry, frames)))
    }

    async fn mark_all(
        &self,
        user: &UserId,
        category: Option<&Category>,
        now: Timestamp,
    ) -> Result<(u64, Vec<Frame>)> {
        let sql = "UPDATE inbox SET read_at = $1 WHERE user_id = $2 AND read_at IS NULL
                   AND deleted_at IS NULL AND $3 = '{}' AND ($4::text IS NULL OR category = $4)
                   RETURNING id";
        let change = Change { sql, at: Some(now), ids: Vec::new(), category: category.cloned() };
        let body = bulk("mark_all_read", category.cloned());
        self.change_entries(user, change, now, body).await
    }

    async fn mark_many(
        &self,
        user: &UserId,
        ids: &[RunId],
        now: Timestamp,
    ) -> Result<(u64, Vec<RunId>, Vec<Frame>)> {
        let sql = "UPDATE inbox SET read_at = $1 WHERE user_id = $2 AND read_at IS NULL
                   AND deleted_at IS NULL AND id = ANY($3) RETURNING id";
        self.change_many(user, ids, now, sql, "mark_multiple_read").await
    }

    async fn delete_many(
        &self,
        user: &UserId,
        ids: &[RunId],
        now: Timestamp,
    ) -> Result<(u64, Vec<RunId>, Vec<Frame>)> {
        let sql = "UPDATE inbox SET deleted_at = $1 WHERE user_id = $2 AND deleted_at IS NULL
                   AND id = ANY($3) RETURNING id";
        self.change_many(user, ids, now, sql, "bulk_delete").await
    }

    async fn head(&self, user: &UserId) -> Result<u64> {
        let mut connection = self.readers.acquire().await?;
        Ok(head(&mut connection, user).await?)
    }

    async fn replay(&self, user: &UserId, seq: u64, limit: usize) -> Result<Replay> {
        let after = i64::try_from(seq).unwrap_or(i64::MAX);
        let most = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
        let select = format!(
            "SELECT {ENTRY} FROM inbox WHERE user_id = $1 AND seq > $2 AND deleted_at IS NULL
             ORDER BY seq LIMIT $3"
        );
        let entries = sqlx::query(AssertSqlSafe(select)).bind(user.as_str()).bind(after).bind(most);
        // One snapshot, so that all reads see the same stream.
        let mut reading =
            self.readers.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let entries = entries.fetch_all(&mut *reading).await?;
        let bodies: Vec<(i64, String)> = sqlx::query_as(
            "SELECT seq, body FROM frame WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(user.as_str())
        .bind(after)
        .bind(most)
        .fetch_all(&mut *reading)
        .await?;
        let head = head(&mut reading, user).await?;
        reading.rollback().await?;
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

/// What is done to which of a user's entries.
#[derive(Clone)]
struct Change {
    /// $1 `at`, $2 the user, $3 `ids`, $4 `category`; answers the ids of those that it changed.
    sql: &'static str,
    at: Option<Timestamp>,
    ids: Vec<Uuid>,
    category: Option<Category>,
}

impl PostgresStore {
    /// Changes entries and tells the stream, if any changed: how many.
    async fn change_entries(
        &self,
        user: &UserId,
        change: Change,
        now: Timestamp,
        body: impl Fn(u64) -> FrameBody + Clone + Send + 'static,
    ) -> Result<(u64, Vec<Frame>)> {
        let owner = user.clone();
        self.writer
            .other(move |connection| {
                let (user, change, body) = (owner.clone(), change.clone(), body.clone());
                Box::pin(async move {
                    let stream = Stream::User(user);
                    // The head first, as everywhere. A user without one has no entries.
                    if streams::hold(connection, &stream.name()).await?.is_none() {
                        return Ok((0, Vec::new()));
                    }
                    let changed = change.write(connection, &stream).await?;
                    if changed.is_empty() {
                        return Ok((0, Vec::new()));
                    }
                    waits::wake_by_state(connection, &changed).await?;
                    let count = changed.len() as u64;
                    let seq = frames::next(connection, &stream).await?;
                    let frame = Frame { stream, seq, body: Arc::new(body(count)) };
                    frames::write(connection, &[(&frame, now)]).await?;
                    Ok((count, vec![frame]))
                })
            })
            .await
    }

    async fn change_many(
        &self,
        user: &UserId,
        ids: &[RunId],
        now: Timestamp,
        sql: &'static str,
        action: &'static str,
    ) -> Result<(u64, Vec<RunId>, Vec<Frame>)> {
        let asked: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let theirs: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM inbox WHERE user_id = $1 AND deleted_at IS NULL AND id = ANY($2)",
        )
        .bind(user.as_str())
        .bind(&asked)
        .fetch_all(&self.readers)
        .await?;
        let change = Change { sql, at: Some(now), ids: asked, category: None };
        let (changed, frames) = self.change_entries(user, change, now, bulk(action, None)).await?;
        let theirs: HashSet<Uuid> = theirs.into_iter().collect();
        let missing = ids.iter().copied().filter(|id| !theirs.contains(&id.0)).collect();
        Ok((changed, missing, frames))
    }
}

impl Change {
    async fn write(self, connection: &mut PgConnection, of: &Stream) -> sqlx::Result<Vec<Uuid>> {
        let Stream::User(user) = of else { return Ok(Vec::new()) };
        sqlx::query_scalar(self.sql)
            .bind(self.at.map(millis))
            .bind(user.as_str())
            .bind(self.ids)
            .bind(self.category.as_ref().map(|category| category.as_str()))
            .fetch_all(connection)
            .await
    }
}

/// `action` on many entries, and on how many.
fn bulk(
    action: &'static str,
    category: Option<Category>,
) -> impl Fn(u64) -> FrameBody + Clone + Send + 'static {
    move |changed| FrameBody::BulkUpdate {
        action: action.into(),
        affected_count: changed,
        notification_type: category.clone(),
    }
}

fn filter(sql: &mut QueryBuilder<Postgres>, query: &InboxQuery) {
    if let Some(user) = &query.user {
        sql.push(" AND user_id = ").push_bind(user.to_string());
    }
    match query.is_read {
        Some(true) => sql.push(" AND read_at IS NOT NULL"),
        Some(false) => sql.push(" AND read_at IS NULL"),
        None => sql,
    };
    if let Some(category) = &query.category {
        sql.push(" AND category = ").push_bind(category.to_string());
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
        let pattern = text(&format!("%{escaped}%")).to_ascii_lowercase();
        // In "C", `lower` knows the letters of ASCII alone, as SQLite's LIKE does: the same search
        // finds the same on both. A sensitive entry has nothing here but its public title.
        sql.push(r#" AND (lower(title COLLATE "C") LIKE "#).push_bind(pattern.clone());
        sql.push(r#" OR lower(public_title COLLATE "C") LIKE "#).push_bind(pattern.clone());
        sql.push(r#" OR (NOT sensitive AND lower(message COLLATE "C") LIKE "#).push_bind(pattern);
        sql.push("))");
    }
}

fn of(user: &UserId, seq: u64, body: FrameBody) -> Frame {
    Frame { stream: Stream::User(user.clone()), seq, body: Arc::new(body) }
}

async fn head(connection: &mut PgConnection, user: &UserId) -> sqlx::Result<u64> {
    let head = sqlx::query_scalar("SELECT head FROM stream WHERE name = $1");
    let head: Option<i64> =
        head.bind(Stream::User(user.clone()).name()).fetch_optional(connection).await?;
    Ok(head.unwrap_or_default().unsigned_abs())
}

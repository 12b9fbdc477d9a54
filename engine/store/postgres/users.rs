use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::decode::millis;
use super::rows::{each, text};
use super::{PostgresStore, erase, ledger};
use crate::model::{Person, Preferences, User, UserId};
use crate::store::profile::{self, USER};
use crate::store::{Erased, Result, Users};

#[async_trait]
impl Users for PostgresStore {
    async fn put_users(&self, users: Vec<User>) -> Result<Vec<bool>> {
        let users = Arc::new(users);
        let now = self.clock.now();
        self.writer
            .other(move |connection| {
                let users = users.clone();
                Box::pin(async move {
                    let created = put(connection, &users).await?;
                    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
                    ledger::ask_again(connection, &ids, now).await?;
                    Ok(created)
                })
            })
            .await
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        let select = format!("SELECT {USER} FROM users WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(select)).bind(id.as_str());
        let row = row.fetch_optional(&self.readers).await?;
        row.as_ref().map(profile::user).transpose()
    }

    async fn people(&self, ids: &[UserId]) -> Result<Vec<Arc<Person>>> {
        self.people.read(ids).await
    }

    async fn members(
        &self,
        role: Option<&str>,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM users WHERE id > $1 AND ($2::text IS NULL OR role = $2) ORDER BY id LIMIT $3",
        )
        .bind(after.map_or("", |user| user.as_str()))
        .bind(role)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        Ok(ids.into_iter().map(Into::into).collect())
    }

    async fn erase_user(&self, id: &UserId) -> Result<Option<Erased>> {
        let user = id.clone();
        let now = self.clock.now();
        self.writer
            .other(move |connection| {
                let user = user.clone();
                Box::pin(async move { erase::everywhere(connection, &user, now).await })
            })
            .await
    }

    async fn put_preferences(&self, id: &UserId, preferences: Preferences) -> Result<()> {
        let user = id.clone();
        let body = serde_json::to_string(&preferences).map_err(super::unavailable)?;
        let limited = preferences.frequency_limits.is_some_and(|limits| limits.bind());
        let spent = if limited { self.spent_before(id).await? } else { Vec::new() };
        let now = self.clock.now();
        self.writer
            .other(move |connection| {
                let (user, body, spent) = (user.clone(), body.clone(), spent.clone());
                Box::pin(async move {
                    ledger::ask_again(connection, &[user.as_str()], now).await?;
                    ledger::count_too(connection, &user, &spent).await?;
                    sqlx::query(
                        "INSERT INTO preference (user_id, body) VALUES ($1, $2)
                         ON CONFLICT (user_id) DO UPDATE SET body = excluded.body",
                    )
                    .bind(user.as_str())
                    .bind(body)
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn preferences(&self, id: &UserId) -> Result<Preferences> {
        let body = sqlx::query_scalar("SELECT body FROM preference WHERE user_id = $1");
        let body: Option<String> = body.bind(id.as_str()).fetch_optional(&self.readers).await?;
        profile::preferences(id.as_str(), body.as_deref())
    }
}

/// Writes users, each as it stands last in the call. Answers which are new: of two with one id the
/// first.
async fn put(connection: &mut PgConnection, users: &[User]) -> sqlx::Result<Vec<bool>> {
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    let select = format!("SELECT {USER} FROM users WHERE id = ANY($1) ORDER BY id FOR UPDATE");
    let known = sqlx::query(AssertSqlSafe(select)).bind(ids).fetch_all(&mut *connection).await?;
    let mut by_id: HashMap<&str, &PgRow> = HashMap::with_capacity(known.len());
    for row in &known {
        by_id.insert(row.try_get(0)?, row);
    }
    let mut last: BTreeMap<&str, (&User, i64)> = BTreeMap::new();
    let mut first = Vec::with_capacity(users.len());
    let mut moved = Vec::new();
    for user in users {
        let before = last.get(user.id.as_str()).copied();
        first.push(before.is_none());
        let keeps = match before {
            Some((before, _)) => before.has_addresses_of(user),
            None => profile::keeps_addresses(by_id.get(user.id.as_str()).copied(), user),
        };
        if !keeps {
            moved.push(user.id.as_str());
        }
        let since = before.map_or(millis(user.created_at), |(_, since)| since);
        last.insert(user.id.as_str(), (user, since));
    }
    if !moved.is_empty() {
        let forget = sqlx::query("DELETE FROM bounce WHERE user_id = ANY($1)");
        forget.bind(moved).execute(&mut *connection).await?;
    }
    let new = write(connection, &last.into_values().collect::<Vec<_>>()).await?;
    let is_new = |(user, first): (&User, bool)| first && new.contains(user.id.as_str());
    Ok(users.iter().zip(first).map(is_new).collect())
}

/// Writes users with their first `created_at`; answers the ids of those that nobody wrote before.
async fn write(
    connection: &mut PgConnection,
    rows: &[(&User, i64)],
) -> sqlx::Result<HashSet<String>> {
    let written: Vec<(String, bool)> = sqlx::query_as(
        "INSERT INTO users (id, profile, role, created_at, updated_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
         ON CONFLICT (id) DO UPDATE SET profile = excluded.profile, role = excluded.role,
           updated_at = excluded.updated_at
         RETURNING id, xmax = 0",
    )
    .bind(each(rows, |(user, _)| user.id.as_str()))
    .bind(each(rows, |(user, _)| profile::profile(user)))
    .bind(each(rows, |(user, _)| user.role.as_deref().map(text)))
    .bind(each(rows, |(_, since)| *since))
    .bind(each(rows, |(user, _)| millis(user.updated_at)))
    .fetch_all(connection)
    .await?;
    Ok(written.into_iter().filter(|(_, new)| *new).map(|(id, _)| id).collect())
}

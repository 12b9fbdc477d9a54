use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::decode::millis;
use super::devices::Reach;
use super::rows::{Row, Statements};
use super::{SqliteStore, erase, ledger};
use crate::model::{Person, Preferences, TopicName, User, UserId};
use crate::store::profile;
use crate::store::{Erased, Result, Users};

const PUT: &str = "INSERT INTO user (id, profile, created_at, updated_at) VALUES (?, ?, ?, ?)
   ON CONFLICT (id) DO UPDATE SET profile = excluded.profile, updated_at = excluded.updated_at";

const ONE: &str = "SELECT id, profile, created_at, updated_at FROM user WHERE id = ?";

#[async_trait]
impl Users for SqliteStore {
    async fn put_users(&self, users: Vec<User>) -> Result<Vec<bool>> {
        let ids: Vec<UserId> = users.iter().map(|user| user.id.clone()).collect();
        let now = self.clock.now();
        let created = self
            .writer
            .other(move |connection| {
                let mut created = Vec::with_capacity(users.len());
                // One by one: the same id may stand twice in one call.
                for user in &users {
                    let id = user.id.as_str();
                    let known = connection.maybe(ONE, [id], Row::read)?;
                    if !profile::keeps_addresses(known.as_ref(), user) {
                        connection.run("DELETE FROM bounce WHERE user = ?", [id])?;
                    }
                    let (made, changed) = (millis(user.created_at), millis(user.updated_at));
                    connection.run(PUT, (id, profile::profile(user), made, changed))?;
                    ledger::ask_again(connection, &user.id, now)?;
                    created.push(known.is_none());
                }
                Ok(created)
            })
            .await?;
        self.people.forget(&ids);
        Ok(created)
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        let row = sqlx::query(ONE).bind(id.0.clone()).fetch_optional(&self.readers).await?;
        row.as_ref().map(profile::user).transpose()
    }

    async fn people(&self, ids: &[UserId]) -> Result<Vec<Arc<Person>>> {
        let mut found = Vec::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            match self.people.get(id) {
                Some(person) => found.push(person),
                None => missing.push(id.as_str()),
            }
        }
        if !missing.is_empty() {
            let reading = self.people.reading();
            for person in self.read_people(&missing).await? {
                self.people.keep(reading, &person);
                found.push(person);
            }
        }
        Ok(found)
    }

    async fn members(
        &self,
        role: Option<&str>,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM user WHERE id > ?1 AND (?2 IS NULL OR profile ->> 'role' = ?2)
             ORDER BY id LIMIT ?3",
        )
        .bind(after.map_or_else(|| "".into(), |user| user.0.clone()))
        .bind(role.map(str::to_owned))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        Ok(ids.into_iter().map(Into::into).collect())
    }

    async fn erase_user(&self, id: &UserId) -> Result<Option<Erased>> {
        let user = id.clone();
        let now = self.clock.now();
        let runs = erase::Begun::find(&self.readers, id, now).await?;
        let erase = move |connection: &Connection| erase::everywhere(connection, &user, &runs, now);
        let erased = self.writer.other(erase).await?;
        self.people.forget(std::slice::from_ref(id));
        Ok(erased)
    }

    async fn put_preferences(&self, id: &UserId, preferences: Preferences) -> Result<()> {
        let user = id.clone();
        let body = serde_json::to_string(&preferences).map_err(super::unavailable)?;
        let limited = preferences.frequency_limits.is_some_and(|limits| limits.bind());
        let spent = if limited { self.spent_before(id).await? } else { Vec::new() };
        let now = self.clock.now();
        self.writer
            .other(move |connection| {
                ledger::ask_again(connection, &user, now)?;
                ledger::count_too(connection, &user, &spent)?;
                connection.run(
                    "INSERT INTO preference (user, body) VALUES (?, ?)
                     ON CONFLICT (user) DO UPDATE SET body = excluded.body",
                    (user.as_str(), &body),
                )?;
                Ok(())
            })
            .await?;
        self.people.forget(std::slice::from_ref(id));
        Ok(())
    }

    async fn preferences(&self, id: &UserId) -> Result<Preferences> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM preference WHERE user = ?")
            .bind(id.0.clone())
            .fetch_optional(&self.readers)
            .await?;
        profile::preferences(id.as_str(), body.as_deref())
    }
}

impl SqliteStore {
    async fn read_people(&self, ids: &[&str]) -> Result<Vec<Arc<Person>>> {
        let ids = serde_json::Value::from(ids).to_string();
        let topics: Vec<(String, String)> = sqlx::query_as(
            "SELECT user, topic FROM subscription WHERE user IN (SELECT value FROM json_each(?))
             ORDER BY user, topic",
        )
        .bind(ids.as_str())
        .fetch_all(&self.readers)
        .await?;
        let mut topics_of: HashMap<String, Vec<TopicName>> = HashMap::new();
        for (user, topic) in topics {
            topics_of.entry(user).or_default().push(topic.into());
        }
        let rows = sqlx::query(
            "SELECT id, profile, created_at, updated_at, body,
               EXISTS (SELECT 1 FROM device WHERE device.user = user.id)
                 OR EXISTS (SELECT 1 FROM bounce WHERE bounce.user = user.id)
             FROM user
             LEFT JOIN preference ON preference.user = user.id
             WHERE id IN (SELECT value FROM json_each(?))",
        );
        let rows = rows.bind(ids.as_str()).fetch_all(&self.readers).await?;
        // Few of those who are written to have either: the others cost no further query.
        let mut with_more = Vec::new();
        for row in &rows {
            if row.try_get(5)? {
                with_more.push(row.try_get::<String, _>(0)?);
            }
        }
        let mut reach = self.reach_of(with_more).await?;
        let person = |row: &SqliteRow| {
            let user = profile::user(row)?;
            let preferences = profile::preferences(user.id.as_str(), row.try_get(4)?)?;
            let topics = topics_of.remove(user.id.as_str()).unwrap_or_default();
            let Reach { devices, bounces } = reach.remove(&user.id).unwrap_or_default();
            Ok(Arc::new(Person { user, preferences, topics, devices, bounces }))
        };
        rows.iter().map(person).collect()
    }
}

use async_trait::async_trait;

use super::SqliteStore;
use super::rows::Statements;
use crate::model::{TopicName, UserId};
use crate::store::{Result, Topics};

#[async_trait]
impl Topics for SqliteStore {
    async fn subscribe(&self, topic: &TopicName, user: &UserId) -> Result<bool> {
        let sql = "INSERT OR IGNORE INTO subscription (topic, user) VALUES (?, ?)";
        self.change(topic, user, sql).await
    }

    async fn unsubscribe(&self, topic: &TopicName, user: &UserId) -> Result<bool> {
        self.change(topic, user, "DELETE FROM subscription WHERE topic = ? AND user = ?").await
    }

    async fn subscribers(
        &self,
        topic: &TopicName,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT user FROM subscription WHERE topic = ? AND user > ? ORDER BY user LIMIT ?",
        )
        .bind(topic.0.clone())
        .bind(after.map_or_else(|| "".into(), |user| user.0.clone()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        Ok(ids.into_iter().map(Into::into).collect())
    }
}

impl SqliteStore {
    async fn change(&self, topic: &TopicName, user: &UserId, sql: &'static str) -> Result<bool> {
        let (topic, subscriber) = (topic.0.clone(), user.0.clone());
        let changed = self
            .writer
            .other(move |connection| Ok(connection.run(sql, (&*topic, &*subscriber))? > 0))
            .await?;
        self.people.forget(std::slice::from_ref(user));
        Ok(changed)
    }
}

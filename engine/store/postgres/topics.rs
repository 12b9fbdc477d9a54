use async_trait::async_trait;

use super::PostgresStore;
use crate::model::{TopicName, UserId};
use crate::store::{Result, Topics};

#[async_trait]
impl Topics for PostgresStore {
    async fn subscribe(&self, topic: &TopicName, user: &UserId) -> Result<bool> {
        let sql =
            "INSERT INTO subscription (topic, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.change(topic.as_str(), user, sql).await
    }

    async fn unsubscribe(&self, topic: &TopicName, user: &UserId) -> Result<bool> {
        let sql = "DELETE FROM subscription WHERE topic = $1 AND user_id = $2";
        self.change(topic.as_str(), user, sql).await
    }

    async fn subscribers(
        &self,
        topic: &TopicName,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT user_id FROM subscription WHERE topic = $1 AND user_id > $2
             ORDER BY user_id LIMIT $3",
        )
        .bind(topic.as_str())
        .bind(after.map_or("", |user| user.as_str()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        Ok(ids.into_iter().map(Into::into).collect())
    }
}

impl PostgresStore {
    /// A user comes to a place or leaves it: whether that changed anything.
    pub(super) async fn change(
        &self,
        place: &str,
        user: &UserId,
        sql: &'static str,
    ) -> Result<bool> {
        let (place, user) = (place.to_owned(), user.clone());
        self.writer
            .other(move |connection| {
                let (place, user) = (place.clone(), user.clone());
                Box::pin(async move {
                    let change = sqlx::query(sql).bind(place).bind(user.as_str());
                    Ok(change.execute(connection).await?.rows_affected() > 0)
                })
            })
            .await
    }
}

//! What nodes tell each other: that there may be work. Polling is the truth.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgNotification, PgPool};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{Result, connect};
use crate::store::QueueName;

/// PostgreSQL's name for what is told and heard; its payload is `NODE:QUEUES`, a letter each.
const CHANNEL: &str = "nuncio_due";
const QUEUES: [(char, QueueName); 3] =
    [('e', QueueName::Events), ('r', QueueName::Runs), ('m', QueueName::Messages)];
/// Between two tries to listen.
const PAUSE: Duration = Duration::from_secs(1);

/// A node's ear, and its name.
pub(super) struct Notices {
    node: Uuid,
    pool: PgPool,
    listener: Mutex<Option<PgListener>>,
}

impl Notices {
    pub fn new(options: &PgConnectOptions, node: Uuid) -> Self {
        Self { node, pool: connect::pool(options, 1), listener: Mutex::new(None) }
    }

    pub async fn tell(&self, through: &PgPool, queues: &[QueueName]) -> Result<()> {
        let letters = QUEUES.iter().filter(|(_, queue)| queues.contains(queue));
        let letters: String = letters.map(|(letter, _)| letter).collect();
        sqlx::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(format!("{}:{letters}", self.node.simple()))
            .execute(through)
            .await?;
        Ok(())
    }

    /// After a time in which nothing could be heard, everything may have been told.
    pub async fn told(&self) -> Vec<QueueName> {
        let mut held = self.listener.lock().await;
        loop {
            let Some(listener) = &mut *held else {
                match self.listen().await {
                    Ok(listener) => {
                        *held = Some(listener);
                        return everything();
                    }
                    Err(sqlx::Error::PoolClosed) => break,
                    Err(error) => {
                        tracing::debug!(%error, "the other nodes cannot be heard");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                }
            };
            match listener.try_recv().await {
                Ok(Some(notice)) => {
                    let queues = self.read(&notice);
                    if !queues.is_empty() {
                        return queues;
                    }
                }
                Ok(None) | Err(_) => *held = None,
            }
        }
        drop(held);
        std::future::pending().await
    }

    pub async fn close(&self) {
        // Whoever listens hears of it and lets go.
        let closed = self.pool.close();
        drop(self.listener.lock().await.take());
        closed.await;
    }

    async fn listen(&self) -> sqlx::Result<PgListener> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(listener)
    }

    /// Nothing for what this node told itself.
    fn read(&self, notice: &PgNotification) -> Vec<QueueName> {
        let Some((node, letters)) = notice.payload().split_once(':') else { return Vec::new() };
        if node == self.node.simple().to_string() {
            return Vec::new();
        }
        let told = QUEUES.iter().filter(|(letter, _)| letters.contains(*letter));
        told.map(|(_, queue)| *queue).collect()
    }
}

fn everything() -> Vec<QueueName> {
    QUEUES.map(|(_, queue)| queue).into()
}

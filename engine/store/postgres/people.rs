//! Recipients with all that gates ask about them, as they are now.
//!
//! Nothing is kept from one question to the next: another node may have written what somebody
//! said a moment ago, and nothing may be sent to who said no. What keeps that cheap is that
//! questions asked while the last one was answered are one question.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{AssertSqlSafe, Row};
use tokio::sync::{mpsc, oneshot};

use super::sealed::{Vault, unless_locked};
use crate::model::{Bounce, Device, Person, UserId};
use crate::store::profile::{self, USER};
use crate::store::token::{self, DEVICE};
use crate::store::{Result, StoreError};

/// Questions waiting; who asks past this waits for a place.
const WAITING: usize = 8192;
/// People of one statement, roughly.
const TOGETHER: usize = 1024;

/// The handle of the task that reads.
#[derive(Clone)]
pub(super) struct People {
    asks: mpsc::Sender<Ask>,
}

struct Ask {
    ids: Vec<UserId>,
    reply: oneshot::Sender<Result<Vec<Arc<Person>>>>,
}

impl People {
    pub fn start(readers: PgPool, vault: Vault) -> Self {
        let (asks, waiting) = mpsc::channel(WAITING);
        tokio::spawn(answer(readers, vault, waiting));
        Self { asks }
    }

    /// The known ones of `ids`, read after this was called.
    pub async fn read(&self, ids: &[UserId]) -> Result<Vec<Arc<Person>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        let ask = Ask { ids: ids.to_vec(), reply };
        self.asks.send(ask).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

async fn answer(readers: PgPool, vault: Vault, mut waiting: mpsc::Receiver<Ask>) {
    while let Some(first) = waiting.recv().await {
        let mut count = first.ids.len();
        let mut asks = vec![first];
        while count < TOGETHER {
            let Ok(next) = waiting.try_recv() else { break };
            count += next.ids.len();
            asks.push(next);
        }
        let ids: Vec<&str> = asks.iter().flat_map(|ask| &ask.ids).map(UserId::as_str).collect();
        let found = read(&readers, &vault, &ids).await;
        for Ask { ids, reply } in asks {
            let _ = reply.send(match &found {
                Ok(found) => Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect()),
                Err(error) => Err(StoreError::Unavailable(error.to_string().into())),
            });
        }
    }
}

async fn read(
    readers: &PgPool,
    vault: &Vault,
    ids: &[&str],
) -> Result<HashMap<UserId, Arc<Person>>> {
    let select = format!(
        "SELECT {USER}, body,
           ARRAY(SELECT topic FROM subscription WHERE user_id = users.id ORDER BY topic),
           EXISTS (SELECT FROM device WHERE user_id = users.id)
             OR EXISTS (SELECT FROM bounce WHERE user_id = users.id)
         FROM users LEFT JOIN preference ON preference.user_id = users.id WHERE id = ANY($1)"
    );
    let rows = sqlx::query(AssertSqlSafe(select)).bind(ids).fetch_all(readers).await?;
    // Few of those who are written to have either: the others cost no further query.
    let mut with_more = Vec::new();
    for row in &rows {
        if row.try_get(6)? {
            with_more.push(row.try_get::<&str, _>(0)?);
        }
    }
    let mut reach = reach_of(readers, vault, &with_more).await?;
    let person = |row: &PgRow| {
        let user = profile::user(row)?;
        let preferences = profile::preferences(user.id.as_str(), row.try_get(4)?)?;
        let topics: Vec<String> = row.try_get(5)?;
        let topics = topics.into_iter().map(Into::into).collect();
        let Reach { devices, bounces } = reach.remove(&user.id).unwrap_or_default();
        let id = user.id.clone();
        Ok((id, Arc::new(Person { user, preferences, topics, devices, bounces })))
    };
    rows.iter().map(person).collect()
}

/// Where somebody cannot be reached any more, and where push messages go.
#[derive(Default)]
struct Reach {
    devices: Vec<Device>,
    bounces: Vec<Bounce>,
}

/// A device whose key is lost is left out.
async fn reach_of(
    readers: &PgPool,
    vault: &Vault,
    users: &[&str],
) -> Result<HashMap<UserId, Reach>> {
    let mut reach: HashMap<UserId, Reach> = HashMap::new();
    if users.is_empty() {
        return Ok(reach);
    }
    let select = format!(
        "SELECT encode(token_hash, 'hex'), {DEVICE} FROM device WHERE user_id = ANY($1) ORDER BY id"
    );
    for row in &sqlx::query(AssertSqlSafe(select)).bind(users).fetch_all(readers).await? {
        if let Some(device) = unless_locked(token::device(vault, row))? {
            reach.entry(device.user.clone()).or_default().devices.push(device);
        }
    }
    let bounces: Vec<(String, String, Vec<u8>)> = sqlx::query_as(
        "SELECT user_id, channel, address FROM bounce WHERE user_id = ANY($1)
         ORDER BY channel, address",
    )
    .bind(users)
    .fetch_all(readers)
    .await?;
    for (user, channel, address) in bounces {
        // A hash of another length is of no address that is asked about.
        let Ok(address) = address.try_into() else { continue };
        let bounce = Bounce { channel: channel.into(), address };
        reach.entry(user.into()).or_default().bounces.push(bounce);
    }
    Ok(reach)
}

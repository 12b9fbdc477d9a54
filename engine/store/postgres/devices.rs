use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};

use super::PostgresStore;
use super::decode::millis;
use super::locks::{Kind, Locks};
use super::rows::text;
use super::sealed::unless_locked;
use crate::model::{Bounce, Device, DeviceId, Registration, UserId};
use crate::store::token::{self, DEVICE};
use crate::store::{DeviceChange, Devices, MOST_DEVICES, Registered, Result};

const HASH: &str = "encode(token_hash, 'hex')";

#[async_trait]
impl Devices for PostgresStore {
    async fn put_device(
        &self,
        user: &UserId,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<Registered> {
        let sealed = token::seal(&self.vault, user, &registration.device_token)?;
        let put = Put { user: user.clone(), registration: registration.clone(), sealed, now };
        let (row, known) = self
            .writer
            .other(move |connection| {
                let put = put.clone();
                Box::pin(async move { put.write(connection).await })
            })
            .await?;
        let Some(row) = row else { return Ok(Registered::Full) };
        let device = token::device(&self.vault, &row)?;
        Ok(if known { Registered::Known(device) } else { Registered::New(device) })
    }

    async fn devices(&self, user: Option<&UserId>, limit: usize) -> Result<Vec<Device>> {
        let select = format!(
            "SELECT {HASH}, {DEVICE} FROM device WHERE $1::text IS NULL OR user_id = $1
             ORDER BY id LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(select))
            .bind(user.map(UserId::as_str))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        let mut devices = Vec::with_capacity(rows.len());
        for row in &rows {
            devices.extend(unless_locked(token::device(&self.vault, row))?);
        }
        Ok(devices)
    }

    async fn change_device(
        &self,
        user: &UserId,
        id: DeviceId,
        change: &DeviceChange,
        now: Timestamp,
    ) -> Result<Option<Device>> {
        let (owner, change) = (user.clone(), change.clone());
        let row = self
            .writer
            .other(move |connection| {
                let (owner, change) = (owner.clone(), change.clone());
                Box::pin(async move { write_change(connection, &owner, id, &change, now).await })
            })
            .await?;
        row.as_ref().map(|row| token::device(&self.vault, row)).transpose()
    }

    async fn delete_device(&self, user: &UserId, id: DeviceId) -> Result<bool> {
        let sql = "DELETE FROM device WHERE id = $1 AND user_id = $2";
        self.write_device(sql, user, id, self.clock.now()).await
    }

    async fn device_used(&self, user: &UserId, id: DeviceId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE device SET last_used_at = $3 WHERE id = $1 AND user_id = $2";
        self.write_device(sql, user, id, now).await?;
        Ok(())
    }

    async fn mark_bounced(&self, user: &UserId, bounce: &Bounce, now: Timestamp) -> Result<()> {
        let insert = "INSERT INTO bounce (user_id, channel, address, at) VALUES ($1, $2, $3, $4)
                      ON CONFLICT DO NOTHING";
        self.write_bounce(insert, user, bounce, now).await
    }

    async fn forget_bounce(&self, user: &UserId, bounce: &Bounce) -> Result<()> {
        let delete = "DELETE FROM bounce WHERE user_id = $1 AND channel = $2 AND address = $3";
        self.write_bounce(delete, user, bounce, self.clock.now()).await
    }
}

impl PostgresStore {
    async fn write_bounce(
        &self,
        sql: &'static str,
        user: &UserId,
        bounce: &Bounce,
        now: Timestamp,
    ) -> Result<()> {
        let (owner, bounce) = (user.clone(), bounce.clone());
        self.writer
            .other(move |connection| {
                let (owner, bounce) = (owner.clone(), bounce.clone());
                Box::pin(async move {
                    sqlx::query(sql)
                        .bind(owner.as_str())
                        .bind(bounce.channel.as_str())
                        .bind(bounce.address.to_vec())
                        .bind(millis(now))
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn write_device(
        &self,
        sql: &'static str,
        user: &UserId,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<bool> {
        let owner = user.clone();
        self.writer
            .other(move |connection| {
                let owner = owner.clone();
                Box::pin(async move {
                    let query = sqlx::query(sql).bind(id.0).bind(owner.as_str()).bind(millis(now));
                    Ok(query.execute(connection).await?.rows_affected() > 0)
                })
            })
            .await
    }
}

async fn write_change(
    connection: &mut PgConnection,
    owner: &UserId,
    id: DeviceId,
    change: &DeviceChange,
    now: Timestamp,
) -> sqlx::Result<Option<PgRow>> {
    let update = format!(
        "UPDATE device SET is_active = coalesce($3, is_active),
           name = CASE WHEN $4 THEN $5 ELSE name END,
           app_version = CASE WHEN $6 THEN $7 ELSE app_version END,
           updated_at = $8
         WHERE id = $1 AND user_id = $2 RETURNING {HASH}, {DEVICE}"
    );
    let given = |text: &Option<Option<String>>| text.clone().flatten().map(replaced);
    sqlx::query(AssertSqlSafe(update))
        .bind(id.0)
        .bind(owner.as_str())
        .bind(change.is_active)
        .bind(change.name.is_some())
        .bind(given(&change.name))
        .bind(change.app_version.is_some())
        .bind(given(&change.app_version))
        .bind(millis(now))
        .fetch_optional(connection)
        .await
}

fn replaced(given: String) -> String {
    text(&given).into_owned()
}

/// One registration, as often as its transaction is tried.
#[derive(Clone)]
struct Put {
    user: UserId,
    registration: Registration,
    sealed: String,
    now: Timestamp,
}

impl Put {
    /// The row (`None`: the user has too many), and whether it was the user's before.
    async fn write(self, connection: &mut PgConnection) -> sqlx::Result<(Option<PgRow>, bool)> {
        let Self { user, registration, sealed, now } = self;
        // A user's devices are counted by one registration at a time, and a token is somebody's.
        let hash = registration.device_token.hash().to_vec();
        let mut locks = Locks::default();
        locks.alone(Kind::Devices, &[user.as_str().as_bytes()]);
        locks.alone(Kind::DeviceToken, &[&hash]);
        locks.take(connection).await?;
        sqlx::query("DELETE FROM device WHERE token_hash = $1 AND user_id <> $2")
            .bind(&hash)
            .bind(user.as_str())
            .execute(&mut *connection)
            .await?;
        let (known, count): (bool, i64) = sqlx::query_as(
            "SELECT EXISTS (SELECT FROM device WHERE token_hash = $1),
               (SELECT count(*) FROM device WHERE user_id = $2)",
        )
        .bind(&hash)
        .bind(user.as_str())
        .fetch_one(&mut *connection)
        .await?;
        if !known && count.unsigned_abs() >= MOST_DEVICES as u64 {
            return Ok((None, false));
        }
        let upsert = format!(
            "INSERT INTO device AS known (user_id, token, token_hash, kind, name, app_version,
               created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
             ON CONFLICT (token_hash) DO UPDATE SET token = excluded.token, kind = excluded.kind,
               name = coalesce(excluded.name, known.name),
               app_version = coalesce(excluded.app_version, known.app_version),
               is_active = true, updated_at = excluded.updated_at
             RETURNING {HASH}, {DEVICE}"
        );
        let row = sqlx::query(AssertSqlSafe(upsert))
            .bind(user.as_str())
            .bind(sealed)
            .bind(&hash)
            .bind(registration.device_type as i64)
            .bind(registration.device_name.map(replaced))
            .bind(registration.app_version.map(replaced))
            .bind(millis(now))
            .fetch_one(connection)
            .await?;
        Ok((Some(row), known))
    }
}

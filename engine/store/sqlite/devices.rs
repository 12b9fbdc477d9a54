use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use sqlx::AssertSqlSafe;

use super::SqliteStore;
use super::decode::millis;
use super::rows::{Row, Statements, only};
use super::sealed::unless_locked;
use crate::model::{Bounce, Device, DeviceId, Registration, UserId};
use crate::store::{DeviceChange, Devices, MOST_DEVICES, Registered, Result, token};

/// In the order that [`token::device`] reads.
const DEVICE: &str = "lower(hex(token_hash)), id, user, token, kind, name, app_version, \
     is_active, created_at, updated_at, last_used_at";

#[async_trait]
impl Devices for SqliteStore {
    async fn put_device(
        &self,
        user: &UserId,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<Registered> {
        let sealed = token::seal(&self.vault, user, &registration.device_token)?;
        let put = Put { user: user.clone(), registration: registration.clone(), sealed, now };
        let (row, known, before) =
            self.writer.other(move |connection| put.write(connection)).await?;
        self.people.forget(std::slice::from_ref(user));
        self.people.forget(&before);
        let Some(row) = row else { return Ok(Registered::Full) };
        let device = token::device(&self.vault, &row)?;
        Ok(if known { Registered::Known(device) } else { Registered::New(device) })
    }

    async fn devices(&self, user: Option<&UserId>, limit: usize) -> Result<Vec<Device>> {
        let select = format!(
            "SELECT {DEVICE} FROM device WHERE ?1 IS NULL OR user = ?1 ORDER BY id LIMIT ?2"
        );
        let rows = sqlx::query(AssertSqlSafe(select))
            .bind(user.map(|user| user.0.clone()))
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
                let update = format!(
                    "UPDATE device SET is_active = coalesce(?3, is_active),
                       name = CASE WHEN ?4 THEN ?5 ELSE name END,
                       app_version = CASE WHEN ?6 THEN ?7 ELSE app_version END,
                       updated_at = ?8
                     WHERE id = ?1 AND user = ?2 RETURNING {DEVICE}"
                );
                let name = change.name.as_ref().map(Option::as_deref);
                let version = change.app_version.as_ref().map(Option::as_deref);
                connection.maybe(
                    &update,
                    (
                        id.0,
                        owner.as_str(),
                        change.is_active,
                        name.is_some(),
                        name.flatten(),
                        version.is_some(),
                        version.flatten(),
                        millis(now),
                    ),
                    Row::read,
                )
            })
            .await?;
        self.people.forget(std::slice::from_ref(user));
        row.as_ref().map(|row| token::device(&self.vault, row)).transpose()
    }

    async fn delete_device(&self, user: &UserId, id: DeviceId) -> Result<bool> {
        let sql = "DELETE FROM device WHERE id = ?1 AND user = ?2 AND ?3 IS NOT NULL";
        self.write_device(sql, user, id, self.clock.now()).await
    }

    async fn device_used(&self, user: &UserId, id: DeviceId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE device SET last_used_at = ?3 WHERE id = ?1 AND user = ?2";
        self.write_device(sql, user, id, now).await?;
        Ok(())
    }

    async fn mark_bounced(&self, user: &UserId, bounce: &Bounce, now: Timestamp) -> Result<()> {
        let insert = "INSERT OR IGNORE INTO bounce (user, channel, address, at) \
                      VALUES (?1, ?2, ?3, ?4)";
        self.write_bounce(insert, user, bounce, now).await
    }

    async fn forget_bounce(&self, user: &UserId, bounce: &Bounce) -> Result<()> {
        let delete = "DELETE FROM bounce WHERE user = ?1 AND channel = ?2 AND address = ?3 \
                      AND ?4 IS NOT NULL";
        self.write_bounce(delete, user, bounce, self.clock.now()).await
    }
}

/// Where somebody cannot be reached any more, and where push messages go.
#[derive(Default)]
pub(super) struct Reach {
    pub devices: Vec<Device>,
    pub bounces: Vec<Bounce>,
}

impl SqliteStore {
    /// A device whose key is lost is left out.
    pub(super) async fn reach_of(&self, users: Vec<String>) -> Result<HashMap<UserId, Reach>> {
        let mut reach: HashMap<UserId, Reach> = HashMap::new();
        if users.is_empty() {
            return Ok(reach);
        }
        let users = serde_json::Value::from(users).to_string();
        let select = format!(
            "SELECT {DEVICE} FROM device WHERE user IN (SELECT value FROM json_each(?)) ORDER BY id"
        );
        let devices = sqlx::query(AssertSqlSafe(select)).bind(users.as_str());
        for row in &devices.fetch_all(&self.readers).await? {
            if let Some(device) = unless_locked(token::device(&self.vault, row))? {
                reach.entry(device.user.clone()).or_default().devices.push(device);
            }
        }
        let bounces: Vec<(String, String, Vec<u8>)> = sqlx::query_as(
            "SELECT user, channel, address FROM bounce
             WHERE user IN (SELECT value FROM json_each(?)) ORDER BY channel, address",
        )
        .bind(users)
        .fetch_all(&self.readers)
        .await?;
        for (user, channel, address) in bounces {
            // A hash of another length is of no address that is asked about.
            let Ok(address) = address.try_into() else { continue };
            let bounce = Bounce { channel: channel.into(), address };
            reach.entry(user.into()).or_default().bounces.push(bounce);
        }
        Ok(reach)
    }

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
                let address = bounce.address.as_slice();
                let values = (owner.as_str(), bounce.channel.as_str(), address, millis(now));
                connection.run(sql, values)?;
                Ok(())
            })
            .await?;
        self.people.forget(std::slice::from_ref(user));
        Ok(())
    }

    async fn write_device(
        &self,
        sql: &'static str,
        user: &UserId,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<bool> {
        let owner = user.clone();
        let changed = self
            .writer
            .other(move |connection| connection.run(sql, (id.0, owner.as_str(), millis(now))))
            .await?;
        self.people.forget(std::slice::from_ref(user));
        Ok(changed > 0)
    }
}

/// One registration, as often as its transaction is tried.
struct Put {
    user: UserId,
    registration: Registration,
    sealed: String,
    now: Timestamp,
}

/// The row (`None`: the user has too many), whether it was the user's before, and whose it was.
type Written = (Option<Row>, bool, Vec<UserId>);

impl Put {
    fn write(&self, connection: &Connection) -> rusqlite::Result<Written> {
        let Self { user, registration, sealed, now } = self;
        let (user, now) = (user.as_str(), millis(*now));
        let hash = registration.device_token.hash();
        let before: Vec<String> = connection.all(
            "DELETE FROM device WHERE token_hash = ? AND user <> ? RETURNING user",
            (hash.as_slice(), user),
            only,
        )?;
        let before = before.into_iter().map(UserId::from).collect();
        let (known, count): (bool, i64) = connection.one(
            "SELECT EXISTS (SELECT 1 FROM device WHERE token_hash = ?1),
               (SELECT count(*) FROM device WHERE user = ?2)",
            (hash.as_slice(), user),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if !known && count.unsigned_abs() >= MOST_DEVICES as u64 {
            return Ok((None, false, before));
        }
        let upsert = format!(
            "INSERT INTO device (user, token, token_hash, kind, name, app_version, created_at,
               updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (token_hash) DO UPDATE SET token = excluded.token, kind = excluded.kind,
               name = coalesce(excluded.name, name),
               app_version = coalesce(excluded.app_version, app_version),
               is_active = 1, updated_at = excluded.updated_at
             RETURNING {DEVICE}"
        );
        let row = connection.one(
            &upsert,
            (
                user,
                sealed,
                hash.as_slice(),
                registration.device_type as i64,
                &registration.device_name,
                &registration.app_version,
                now,
                now,
            ),
            Row::read,
        )?;
        Ok((Some(row), known, before))
    }
}

//! A device's row, for all stores that keep rows: its token is sealed.

use jiff::Timestamp;

use super::columns::Columns;
use super::sealed::Vault;
use super::{Result, StoreError};
use crate::model::{Device, DeviceId, DeviceToken, DeviceType, UserId};

/// In the order that [`device`] reads, after the hash of the token in hexadecimal digits.
pub(super) const DEVICE: &str =
    "id, user_id, token, kind, name, app_version, is_active, created_at, updated_at, last_used_at";

pub(super) fn seal(vault: &Vault, user: &UserId, token: &DeviceToken) -> Result<String> {
    vault.seal("a device's token", &place(user, &hex(&token.hash())), token.as_str())
}

pub(super) fn device(vault: &Vault, row: &impl Columns) -> Result<Device> {
    let id = row.number(1)?;
    let unreadable = |why: &dyn std::fmt::Display| StoreError::Unreadable {
        noun: "device",
        id: id.to_string(),
        why: why.to_string(),
    };
    let user = UserId::from(row.text(2)?);
    let token = vault.unseal("device", id, &place(&user, row.text(0)?), row.text(3)?)?;
    let kind = usize::try_from(row.number(4)?).unwrap_or(usize::MAX);
    let time = |millis| Timestamp::from_millisecond(millis).map_err(|error| unreadable(&error));
    Ok(Device {
        id: DeviceId(id),
        token: DeviceToken::new(&token).map_err(|error| unreadable(&error))?,
        kind: *DeviceType::ALL.get(kind).ok_or_else(|| unreadable(&"no such type"))?,
        name: row.maybe_text(5)?.map(Into::into),
        app_version: row.maybe_text(6)?.map(Into::into),
        is_active: row.truth(7)?,
        created_at: time(row.number(8)?)?,
        updated_at: time(row.number(9)?)?,
        last_used_at: row.maybe_number(10)?.map(time).transpose()?,
        user,
    })
}

/// Where a token is sealed for: neither another user's row nor another device's opens it.
fn place(user: &UserId, hash: &str) -> String {
    format!("device.token:{hash}:{user}")
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

use async_trait::async_trait;
use jiff::Timestamp;

use super::columns::Columns;
use super::{Result, StoreError};

/// A service's key, as stored: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub name: String,
    /// SHA-256 of the key's text.
    pub hash: [u8; 32],
    /// `events:write` …, or `*` for every one.
    pub scopes: Vec<String>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

#[async_trait]
pub trait Keys {
    /// `false` if a key of that name is in force.
    async fn put_key(&self, key: &ApiKey) -> Result<bool>;

    async fn keys(&self) -> Result<Vec<ApiKey>>;

    /// `false` if there is none in force by that name.
    async fn revoke_key(&self, name: &str, now: Timestamp) -> Result<bool>;

    /// The key in force whose hash this is.
    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>>;
}

/// A row of name, hash, scopes, `created_at` and `revoked_at`.
pub(super) fn read(row: &impl Columns) -> Result<ApiKey> {
    let name = row.text(0)?;
    let unreadable = |why: &dyn std::fmt::Display| StoreError::Unreadable {
        noun: "key",
        id: name.to_owned(),
        why: why.to_string(),
    };
    let time =
        |millis: i64| Timestamp::from_millisecond(millis).map_err(|error| unreadable(&error));
    let hash = row.bytes(1)?.try_into();
    Ok(ApiKey {
        hash: hash.map_err(|_| unreadable(&"the hash is not 32 bytes long"))?,
        scopes: row.text(2)?.split_whitespace().map(str::to_owned).collect(),
        created_at: time(row.number(3)?)?,
        revoked_at: row.maybe_number(4)?.map(time).transpose()?,
        name: name.to_owned(),
    })
}

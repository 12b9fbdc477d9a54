use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;

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

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ChannelName, UserId};

/// A device that a user's app registered for push messages. Unique by its token.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    pub id: DeviceId,
    pub user: UserId,
    pub token: DeviceToken,
    pub kind: DeviceType,
    pub name: Option<String>,
    pub app_version: Option<String>,
    /// Off: the user turned it off, or its provider said that the token will never work.
    pub is_active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When a provider last took a message for it, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// What an app says of its device, by the inbox API's names (docs/reference/api.md, "Inbox").
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    pub device_token: DeviceToken,
    pub device_type: DeviceType,
    #[serde(default)]
    pub device_name: Option<String>,
    #[serde(default)]
    pub app_version: Option<String>,
}

/// A number, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(pub i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum DeviceType {
    Android = 0,
    Ios = 1,
    Web = 2,
}

/// A push provider's name for a device: whoever has it can send to it, so no log shows it. Visible
/// ASCII, from 1 to 4,096 bytes.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DeviceToken(Arc<str>);

/// Why a text is no device token. Does not quote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device token is visible ASCII without spaces, 1 to {MAX_TOKEN} bytes")]
pub struct BadToken;

/// An address of a user that a channel's provider said will never work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bounce {
    pub channel: ChannelName,
    /// SHA-256 of the address.
    pub address: [u8; 32],
}

/// Bytes.
const MAX_TOKEN: usize = 4096;
/// What is shown of a token.
const TAIL: usize = 4;

impl DeviceType {
    pub const ALL: [Self; 3] = [Self::Android, Self::Ios, Self::Web];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Ios => "ios",
            Self::Web => "web",
        }
    }
}

impl DeviceToken {
    /// # Errors
    /// The text cannot be one.
    pub fn new(text: &str) -> Result<Self, BadToken> {
        let fits = (1..=MAX_TOKEN).contains(&text.len());
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && visible { Ok(Self(text.into())) } else { Err(BadToken) }
    }

    /// For the provider alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last four characters; nothing of a token that has no more.
    pub fn tail(&self) -> &str {
        if self.0.len() > TAIL { &self.0[self.0.len() - TAIL..] } else { "" }
    }

    /// SHA-256: what makes a device unique.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl TryFrom<String> for DeviceToken {
    type Error = BadToken;

    fn try_from(text: String) -> Result<Self, BadToken> {
        Self::new(&text)
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…{}", self.tail())
    }
}

impl Bounce {
    pub fn of(channel: &ChannelName, address: &str) -> Self {
        Self { channel: channel.clone(), address: Sha256::digest(address.as_bytes()).into() }
    }
}

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::model::{Bounce, Device, DeviceId, Registration, UserId};

/// What became of a registration.
#[derive(Clone, Debug, PartialEq)]
pub enum Registered {
    New(Device),
    /// The user's own token again: brought up to date, and active.
    Known(Device),
    /// The user has [`MOST_DEVICES`] already.
    Full,
}

/// What a user changes of a device; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChange {
    pub is_active: Option<bool>,
    pub name: Option<Option<String>>,
    pub app_version: Option<Option<String>>,
}

/// Where push messages go, and which addresses will never work. The user need not be known yet.
#[async_trait]
pub trait Devices {
    /// Registers a device. A token is one device's: another user's who had it loses it, since the
    /// device changed hands.
    async fn put_device(
        &self,
        user: &UserId,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<Registered>;

    /// The first `limit` by id; of all users for `None`.
    async fn devices(&self, user: Option<&UserId>, limit: usize) -> Result<Vec<Device>>;

    /// `None`: the user has no such device.
    async fn change_device(
        &self,
        user: &UserId,
        id: DeviceId,
        change: &DeviceChange,
        now: Timestamp,
    ) -> Result<Option<Device>>;

    /// `true` if the user had it.
    async fn delete_device(&self, user: &UserId, id: DeviceId) -> Result<bool>;

    /// Its provider took a message.
    async fn device_used(&self, user: &UserId, id: DeviceId, now: Timestamp) -> Result<()>;

    /// The address will never work. Forgotten when the user's e-mail, phone or data change.
    async fn mark_bounced(&self, user: &UserId, bounce: &Bounce, now: Timestamp) -> Result<()>;

    /// A provider took a message for it after all.
    async fn forget_bounce(&self, user: &UserId, bounce: &Bounce) -> Result<()>;
}

/// Devices of one user.
pub const MOST_DEVICES: usize = 100;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{MemoryStore, State};
use crate::model::{Bounce, Device, DeviceId, Registration, User, UserId};
use crate::store::{DeviceChange, Devices, MOST_DEVICES, Registered, Result};

#[async_trait]
impl Devices for MemoryStore {
    async fn put_device(
        &self,
        user: &UserId,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<Registered> {
        Ok(self.state().register(user, registration, now))
    }

    async fn devices(&self, user: Option<&UserId>, limit: usize) -> Result<Vec<Device>> {
        let state = self.state();
        let theirs = state.devices.values();
        let theirs = theirs.filter(|device| user.is_none_or(|user| device.user == *user));
        Ok(theirs.take(limit).cloned().collect())
    }

    async fn change_device(
        &self,
        user: &UserId,
        id: DeviceId,
        change: &DeviceChange,
        now: Timestamp,
    ) -> Result<Option<Device>> {
        let mut state = self.state();
        let Some(device) = state.own_device(user, id) else { return Ok(None) };
        device.is_active = change.is_active.unwrap_or(device.is_active);
        if let Some(name) = &change.name {
            device.name.clone_from(name);
        }
        if let Some(app_version) = &change.app_version {
            device.app_version.clone_from(app_version);
        }
        device.updated_at = now;
        Ok(Some(device.clone()))
    }

    async fn delete_device(&self, user: &UserId, id: DeviceId) -> Result<bool> {
        let mut state = self.state();
        let owned = state.own_device(user, id).is_some();
        Ok(owned && state.devices.remove(&id).is_some())
    }

    async fn device_used(&self, user: &UserId, id: DeviceId, now: Timestamp) -> Result<()> {
        if let Some(device) = self.state().own_device(user, id) {
            device.last_used_at = Some(now);
        }
        Ok(())
    }

    async fn mark_bounced(&self, user: &UserId, bounce: &Bounce, _now: Timestamp) -> Result<()> {
        self.state().bounces.entry(user.clone()).or_default().insert(bounce.clone());
        Ok(())
    }

    async fn forget_bounce(&self, user: &UserId, bounce: &Bounce) -> Result<()> {
        if let Some(bounces) = self.state().bounces.get_mut(user) {
            bounces.remove(bounce);
        }
        Ok(())
    }
}

impl State {
    fn register(
        &mut self,
        user: &UserId,
        registration: &Registration,
        now: Timestamp,
    ) -> Registered {
        let Registration { device_token, device_type, device_name, app_version } = registration;
        self.devices.retain(|_, device| device.token != *device_token || device.user == *user);
        let known = self.devices.values_mut().find(|device| device.token == *device_token);
        if let Some(device) = known {
            device.kind = *device_type;
            device.name = device_name.clone().or(device.name.take());
            device.app_version = app_version.clone().or(device.app_version.take());
            device.is_active = true;
            device.updated_at = now;
            return Registered::Known(device.clone());
        }
        if self.devices.values().filter(|device| device.user == *user).count() >= MOST_DEVICES {
            return Registered::Full;
        }
        self.last_device += 1;
        let device = Device {
            id: DeviceId(self.last_device),
            user: user.clone(),
            token: device_token.clone(),
            kind: *device_type,
            name: device_name.clone(),
            app_version: app_version.clone(),
            is_active: true,
            created_at: now,
            updated_at: now,
            last_used_at: None,
        };
        self.devices.insert(device.id, device.clone());
        Registered::New(device)
    }

    fn own_device(&mut self, user: &UserId, id: DeviceId) -> Option<&mut Device> {
        self.devices.get_mut(&id).filter(|device| device.user == *user)
    }

    /// An address that changed may work; nobody knows which of them did.
    pub(super) fn readdress(&mut self, user: &User) {
        let known = self.users.get(&user.id);
        let same = known.is_none_or(|known| known.has_addresses_of(user));
        if !same {
            self.bounces.remove(&user.id);
        }
    }

    pub(super) fn erase_devices(&mut self, user: &UserId) {
        self.devices.retain(|_, device| device.user != *user);
        self.bounces.remove(user);
    }
}

//! Who has the app open, as far as somebody said so.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::channel::Publish;
use crate::model::{Frame, Presence, Stream, UserId};

/// Answers for the relay. Frames are heard by nobody: what an inbox holds is in the store.
#[derive(Default)]
pub(super) struct Present(Mutex<HashMap<UserId, Presence>>);

impl Present {
    pub fn set(&self, user: &UserId, presence: Presence) {
        self.lock().insert(user.clone(), presence);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Presence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publish for Present {
    fn publish(&self, _frames: &[Frame]) {}

    fn presence(&self, user: &UserId) -> Presence {
        self.lock().get(user).copied().unwrap_or_default()
    }

    fn knock(&self, _stream: &Stream, _user: &UserId) {}
}

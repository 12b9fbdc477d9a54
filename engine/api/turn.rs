use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

use crate::model::UserId;

/// Doors: two users share one now and then, which only makes one of them wait.
const DOORS: usize = 64;

/// Lets one change of a user happen after another on this node: a PATCH reads, merges and writes.
pub struct Turns {
    doors: [Mutex<()>; DOORS],
    hasher: RandomState,
}

impl Turns {
    pub fn new() -> Self {
        Self { doors: std::array::from_fn(|_| Mutex::new(())), hasher: RandomState::new() }
    }

    /// Waits for the user's turn, which lasts until the guard is dropped.
    pub async fn of(&self, user: &UserId) -> MutexGuard<'_, ()> {
        let door = self.hasher.hash_one(user) as usize % DOORS;
        self.doors[door].lock().await
    }
}

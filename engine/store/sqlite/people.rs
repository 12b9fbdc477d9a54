use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;

use crate::model::{Person, UserId};

/// Recipients kept in memory.
const KEPT: usize = 50_000;

/// Recipients with their preferences, as last read. A write forgets those it touched.
pub(super) struct People {
    cache: Cache<UserId, Arc<Person>>,
    /// Counts the writes: what was read before one may be old after it, and is not kept.
    writes: Mutex<u64>,
}

/// The writes that a read began after.
#[derive(Clone, Copy)]
pub(super) struct Reading(u64);

impl People {
    pub fn new() -> Self {
        Self { cache: Cache::new(KEPT), writes: Mutex::new(0) }
    }

    pub fn get(&self, id: &UserId) -> Option<Arc<Person>> {
        self.cache.get(id)
    }

    pub fn reading(&self) -> Reading {
        Reading(*self.writes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn keep(&self, reading: Reading, person: &Arc<Person>) {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        if *writes == reading.0 {
            self.cache.insert(person.user.id.clone(), person.clone());
        }
    }

    pub fn forget(&self, ids: &[UserId]) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        *writes += 1;
        for id in ids {
            self.cache.remove(id);
        }
    }
}

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use super::line::{Line, Reader};
use crate::model::{Stream, UserId};

/// Publishers of different users rarely meet at one lock.
const SHARDS: usize = 64;

/// The streams that are read on this node.
pub struct Lines {
    shards: [RwLock<HashMap<Stream, Line>>; SHARDS],
    hasher: RandomState,
    /// Attached connections: zero is the fast way out of publishing.
    attached: AtomicUsize,
}

impl Lines {
    pub fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            attached: AtomicUsize::new(0),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.attached.load(Ordering::SeqCst) == 0
    }

    /// Adds a connection to its streams. `came` is told, under the stream's lock, of each that its
    /// user was not at before.
    pub fn attach(&self, streams: &[Stream], reader: &Reader, came: impl Fn(&Stream)) {
        for stream in streams {
            let mut shard = self.shard(stream).write().unwrap_or_else(PoisonError::into_inner);
            if shard.entry(stream.clone()).or_default().add(reader.clone()) {
                came(stream);
            }
        }
        self.attached.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes it away again. `gone` is told of each stream that its user is not at any more.
    pub fn detach(&self, streams: &[Stream], id: u64, user: &UserId, gone: impl Fn(&Stream)) {
        for stream in streams {
            let mut shard = self.shard(stream).write().unwrap_or_else(PoisonError::into_inner);
            let Some(line) = shard.get_mut(stream) else { continue };
            if line.remove(id, user) {
                gone(stream);
            }
            if line.is_empty() {
                shard.remove(stream);
            }
        }
        self.attached.fetch_sub(1, Ordering::SeqCst);
    }

    /// What `ask` finds of a stream; `None` where nobody reads it here.
    pub fn with<T>(&self, stream: &Stream, ask: impl FnOnce(&Line) -> T) -> Option<T> {
        let shard = self.shard(stream).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(stream).map(ask)
    }

    /// Goes through all streams, one lock after another; `rest` is called with each lock held.
    pub fn each(&self, mut ask: impl FnMut(&Stream, &Line), mut rest: impl FnMut()) {
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.iter().for_each(|(stream, line)| ask(stream, line));
            rest();
        }
    }

    fn shard(&self, stream: &Stream) -> &RwLock<HashMap<Stream, Line>> {
        &self.shards[self.hasher.hash_one(stream) as usize % SHARDS]
    }
}

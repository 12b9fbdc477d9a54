use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::{SignedDuration, Timestamp};

use crate::model::{Stream, UserId};

/// A node that was silent so long is gone: it says something every few seconds.
const SILENCE: SignedDuration = SignedDuration::from_secs(20);

/// Who is connected to other nodes, as far as those told.
#[derive(Default)]
pub struct Roster(RwLock<HashMap<String, Peer>>);

struct Peer {
    heard_at: Timestamp,
    here: HashMap<Stream, HashSet<UserId>>,
}

impl Roster {
    /// A node said something; whether it is a new one.
    pub fn hear(&self, node: &str, now: Timestamp) -> bool {
        let mut peers = self.write();
        if let Some(peer) = peers.get_mut(node) {
            peer.heard_at = now;
            return false;
        }
        peers.insert(node.to_owned(), Peer { heard_at: now, here: HashMap::new() });
        true
    }

    pub fn here(&self, node: &str, stream: Stream, user: UserId, on: bool) {
        let mut peers = self.write();
        let Some(peer) = peers.get_mut(node) else { return };
        if on {
            peer.here.entry(stream).or_default().insert(user);
        } else if let Some(users) = peer.here.get_mut(&stream) {
            users.remove(&user);
            if users.is_empty() {
                peer.here.remove(&stream);
            }
        }
    }

    /// Forgets what a node told.
    pub fn anew(&self, node: &str) {
        if let Some(peer) = self.write().get_mut(node) {
            peer.here.clear();
        }
    }

    /// Forgets all nodes.
    pub fn clear(&self) {
        self.write().clear();
    }

    /// Forgets the nodes that fell silent.
    pub fn tidy(&self, now: Timestamp) {
        self.write().retain(|_, peer| now.duration_since(peer.heard_at) <= SILENCE);
    }

    /// Whether no other node is known.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    pub fn has(&self, stream: &Stream, user: &UserId) -> bool {
        let peers = self.read();
        peers.values().any(|peer| peer.here.get(stream).is_some_and(|users| users.contains(user)))
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Peer>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Peer>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_there_as_long_as_one_node_says_so() {
        let (roster, now) = (Roster::default(), Timestamp::UNIX_EPOCH);
        let (stream, user) = (Stream::Room("blue".into()), UserId::from("7"));
        assert!(roster.hear("a", now) && roster.hear("b", now) && !roster.hear("a", now));
        for node in ["a", "b"] {
            roster.here(node, stream.clone(), user.clone(), true);
        }
        roster.here("a", stream.clone(), user.clone(), false);
        assert!(roster.has(&stream, &user));
        roster.anew("b");
        assert!(!roster.has(&stream, &user));
        roster.here("a", stream.clone(), user.clone(), true);
        let later = now + SILENCE + SignedDuration::from_secs(1);
        roster.hear("b", later);
        roster.tidy(later);
        assert!(!roster.has(&stream, &user) && !roster.is_empty());
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::buffer::Buffer;
use super::protocol::Encoded;
use crate::model::UserId;

/// One stream's readers on this node.
#[derive(Default)]
pub struct Line {
    readers: Vec<Reader>,
    /// The highest `seq` that the readers were handed; 0: not known yet.
    told: AtomicU64,
}

#[derive(Clone)]
pub struct Reader {
    pub id: u64,
    pub user: UserId,
    pub buffer: Buffer,
    /// It is the user's own, not an admin's look at their inbox.
    pub own: bool,
}

impl Line {
    /// Whether the user was not here before.
    pub fn add(&mut self, reader: Reader) -> bool {
        let first = !self.has(&reader.user, None);
        self.readers.push(reader);
        first
    }

    /// Whether the user is not here any more.
    pub fn remove(&mut self, id: u64, user: &UserId) -> bool {
        self.readers.retain(|reader| reader.id != id);
        !self.has(user, None)
    }

    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// Whether `user` is here, by another connection than `except`.
    pub fn has(&self, user: &UserId, except: Option<u64>) -> bool {
        self.readers.iter().any(|one| one.user == *user && Some(one.id) != except)
    }

    /// Whether somebody reads an inbox that is theirs.
    pub fn has_owner(&self) -> bool {
        self.readers.iter().any(|one| one.own)
    }

    /// Who is here, each once.
    pub fn users(&self) -> Vec<&UserId> {
        let mut users: Vec<&UserId> = self.readers.iter().map(|one| &one.user).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Whether frames between those that were handed out and `seq` have not come by.
    pub fn lacks_before(&self, seq: u64) -> bool {
        let told = self.told();
        told != 0 && seq > told + 1
    }

    /// Hands a frame, or a mark, to all but one.
    pub fn hand(&self, encoded: &Arc<Encoded>, except: Option<u64>) {
        if let Some(seq) = encoded.seq {
            self.told.fetch_max(seq, Ordering::Relaxed);
        }
        for reader in self.readers.iter().filter(|one| Some(one.id) != except) {
            reader.buffer.offer(encoded);
        }
    }

    /// The same for one user's connections.
    pub fn hand_to(&self, user: &UserId, encoded: &Arc<Encoded>) {
        for reader in self.readers.iter().filter(|one| one.user == *user) {
            reader.buffer.offer(encoded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stream;
    use crate::relay::buffer::buffer;

    #[test]
    fn a_frame_past_a_hole_is_known_by_its_place() {
        let stream = Stream::Topic("news".into());
        let (buffer, _waiting) = buffer(8, 8);
        let mut line = Line::default();
        assert!(line.add(Reader { id: 1, user: "7".into(), buffer: buffer.clone(), own: false }));
        assert!(!line.add(Reader { id: 2, user: "7".into(), buffer, own: false }));
        // What was handed before is not known yet: connections see to it themselves.
        assert!(!line.lacks_before(9));
        line.hand(&Arc::new(Encoded::mark(&stream, 3)), None);
        assert_eq!(
            (line.lacks_before(3), line.lacks_before(4), line.lacks_before(5)),
            (false, false, true)
        );
        line.hand(&Arc::new(Encoded::mark(&stream, 2)), None);
        assert_eq!(line.told(), 3, "a late one takes nothing back");
        let user = UserId::from("7");
        assert!(line.has(&user, Some(1)) && !line.remove(1, &user) && line.remove(2, &user));
        assert!(line.is_empty());
    }
}

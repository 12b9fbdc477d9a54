use std::collections::BTreeMap;

use async_trait::async_trait;

use super::MemoryStore;
use crate::model::{Frame, RoomName, Saying, Stream, UserId};
use crate::store::{Result, Rooms};

#[derive(Default)]
pub(super) struct Room {
    /// Each with how far it has read.
    pub members: BTreeMap<UserId, u64>,
    pub said: BTreeMap<u64, Saying>,
}

#[async_trait]
impl Rooms for MemoryStore {
    async fn join(&self, room: &RoomName, user: &UserId) -> Result<bool> {
        let mut state = self.state();
        let members = &mut state.rooms.entry(room.clone()).or_default().members;
        let is_new = !members.contains_key(user);
        members.entry(user.clone()).or_default();
        Ok(is_new)
    }

    async fn leave(&self, room: &RoomName, user: &UserId) -> Result<bool> {
        let mut state = self.state();
        Ok(state.rooms.get_mut(room).is_some_and(|room| room.members.remove(user).is_some()))
    }

    async fn is_member(&self, room: &RoomName, user: &UserId) -> Result<bool> {
        Ok(self.state().rooms.get(room).is_some_and(|room| room.members.contains_key(user)))
    }

    async fn say(&self, saying: &Saying, keep: bool) -> Result<Frame> {
        let mut state = self.state();
        let stream = Stream::Room(saying.room.clone());
        let seq = state.kept.get(&stream).map_or(0, |kept| kept.head) + 1;
        let frame = state.push(&stream, saying.frame(seq), saying.at);
        if keep {
            let room = state.rooms.entry(saying.room.clone()).or_default();
            room.said.insert(frame.seq, saying.clone());
        }
        Ok(frame)
    }

    async fn history(
        &self,
        room: &RoomName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Saying)>> {
        let state = self.state();
        let Some(room) = state.rooms.get(room) else { return Ok(Vec::new()) };
        let earlier = room.said.range(..before.unwrap_or(u64::MAX)).rev().take(limit);
        let mut found: Vec<_> = earlier.map(|(seq, saying)| (*seq, saying.clone())).collect();
        found.reverse();
        Ok(found)
    }

    async fn read_up_to(&self, room: &RoomName, user: &UserId, seq: u64) -> Result<bool> {
        let mut state = self.state();
        let read = state.rooms.get_mut(room).and_then(|room| room.members.get_mut(user));
        let Some(read) = read.filter(|read| **read < seq) else { return Ok(false) };
        *read = seq;
        Ok(true)
    }
}

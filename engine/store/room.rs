use async_trait::async_trait;

use super::Result;
use crate::model::{Frame, RoomName, Saying, UserId};

/// Who belongs to which room, and what is said there.
#[async_trait]
pub trait Rooms {
    /// `true` if it is new. The user need not be known yet.
    async fn join(&self, room: &RoomName, user: &UserId) -> Result<bool>;

    /// `true` if it was a member.
    async fn leave(&self, room: &RoomName, user: &UserId) -> Result<bool>;

    async fn is_member(&self, room: &RoomName, user: &UserId) -> Result<bool>;

    /// Adds what a member says to the room's stream; `keep`: and to its history.
    async fn say(&self, saying: &Saying, keep: bool) -> Result<Frame>;

    /// The last that was kept before `before` (`None`: of all), at most `limit`, the oldest first,
    /// each with its `seq`.
    async fn history(
        &self,
        room: &RoomName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Saying)>>;

    /// A member has read up to `seq`. `false` where nothing is new, or it is no member.
    async fn read_up_to(&self, room: &RoomName, user: &UserId, seq: u64) -> Result<bool>;
}

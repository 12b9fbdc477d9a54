use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{FrameBody, RoomName, UserId};

/// What a member says in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    pub id: Uuid,
    pub room: RoomName,
    pub user: UserId,
    /// As the room is shown it.
    pub username: String,
    pub message: String,
    pub at: Timestamp,
}

impl Saying {
    /// As clients get it, at its place in the room's stream.
    pub fn to_json(&self, seq: u64) -> Value {
        json!({
            "id": self.id,
            "room": self.room,
            "user_id": self.user.to_json(),
            "username": self.username,
            "message": self.message,
            "created_at": self.at,
            "seq": seq,
        })
    }

    pub fn frame(&self, seq: u64) -> FrameBody {
        FrameBody::Published { name: "chat_message".to_owned(), data: self.to_json(seq) }
    }
}

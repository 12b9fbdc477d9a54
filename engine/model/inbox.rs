use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Category, EventId, Priority, RunId, UserId};

/// One run's notification in one user's inbox. Its id is the run's.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: RunId,
    pub event: EventId,
    pub user: UserId,
    /// Its place in the user's stream, from 1, without gaps; given by the store.
    pub seq: u64,
    pub category: Category,
    pub title: String,
    pub message: String,
    pub priority: Priority,
    pub metadata: Map<String, Value>,
    pub created_at: Timestamp,
    pub read_at: Option<Timestamp>,
    /// Title, message and metadata are on the disk only as ciphertext, and no search finds them.
    pub sensitive: bool,
    /// What a search may find of a sensitive entry.
    pub public_title: Option<String>,
}

/// A relay stream: a user's inbox, a topic's or a room's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    User(UserId),
    Topic(super::TopicName),
    Room(super::RoomName),
}

impl Stream {
    /// `topic:news`: unique over all streams.
    pub fn name(&self) -> String {
        match self {
            Self::User(user) => format!("user:{user}"),
            Self::Topic(topic) => format!("topic:{topic}"),
            Self::Room(room) => format!("room:{room}"),
        }
    }

    /// The stream that has this name.
    pub fn named(name: &str) -> Option<Self> {
        match name.split_once(':')? {
            ("user", user) => Some(Self::User(user.into())),
            ("topic", topic) => Some(Self::Topic(topic.into())),
            ("room", room) => Some(Self::Room(room.into())),
            _ => None,
        }
    }
}

/// What goes to the connections of a stream, encoded once for all of them.
#[derive(Clone, Debug)]
pub struct Frame {
    pub stream: Stream,
    pub seq: u64,
    pub body: Arc<FrameBody>,
}

/// The server-to-client shapes that change an inbox (docs/reference/relay.md), serialized as `{"type","data"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum FrameBody {
    NewNotification {
        id: RunId,
        notification_type: Category,
        title: String,
        message: String,
        priority: Priority,
        created_at: Timestamp,
        metadata: Map<String, Value>,
    },
    NotificationRead {
        notification_id: RunId,
        read_at: Option<Timestamp>,
    },
    BulkUpdate {
        /// `mark_all_read`, `mark_multiple_read` or `bulk_delete`.
        action: String,
        affected_count: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        notification_type: Option<Category>,
    },
    /// A message to a stream: the name and the data are the publisher's.
    #[serde(untagged)]
    Published {
        #[serde(rename = "type")]
        name: String,
        data: Value,
    },
}

impl From<&Entry> for FrameBody {
    fn from(entry: &Entry) -> Self {
        Self::NewNotification {
            id: entry.id,
            notification_type: entry.category.clone(),
            title: entry.title.clone(),
            message: entry.message.clone(),
            priority: entry.priority,
            created_at: entry.created_at,
            metadata: entry.metadata.clone(),
        }
    }
}

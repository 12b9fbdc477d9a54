//! The frames of docs/reference/relay.md.

use axum::extract::ws::Utf8Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::model::{Category, Frame, FrameBody, RunId, Stream, TopicName};

/// A frame as it goes over the wire: encoded once for all its receivers.
#[derive(Debug)]
pub struct Encoded {
    pub stream: Stream,
    /// `None`: it is told to those who are there, and kept nowhere.
    pub seq: Option<u64>,
    /// Of a `new_notification`: what `subscribe` narrows by.
    pub category: Option<Category>,
    /// Of a `chat_message`: its sender knows it again.
    pub said: Option<Uuid>,
    pub text: Utf8Bytes,
}

/// What a client sends: flat, told apart by `type`.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    MarkRead {
        notification_id: RunId,
    },
    MarkAllRead {
        #[serde(default)]
        notification_type: Option<Category>,
    },
    /// `[]`: all.
    Subscribe {
        notification_types: Vec<Category>,
    },
    Ping,
    Resume {
        epoch: String,
        seq: u64,
        /// Which of several topics is meant.
        #[serde(default)]
        topic: Option<TopicName>,
    },
    Authenticate {
        token: String,
    },
    /// To the room.
    Send {
        message: String,
    },
    Typing {
        on: bool,
    },
    /// Up to there.
    Read {
        seq: u64,
    },
    History {
        #[serde(default)]
        before: Option<u64>,
        #[serde(default)]
        limit: Option<usize>,
    },
}

/// Why a frame was not taken, for its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    pub code: &'static str,
    pub message: String,
}

/// The state that every connection begins with.
pub struct Status<'a> {
    /// 0 where there is no inbox.
    pub unread_count: u64,
    pub last_sync: Timestamp,
    pub epoch: &'a str,
    /// Of the first stream.
    pub seq: u64,
    /// The `seq` of each, where there are several topics.
    pub topics: Map<String, Value>,
}

impl Encoded {
    /// `None` for a body that cannot be written, which no stored one is.
    pub fn of(frame: &Frame) -> Option<Self> {
        let mut text = serde_json::to_string(&*frame.body).ok()?;
        debug_assert!(text.ends_with('}'), "a frame is an object");
        text.pop();
        text.push_str(",\"seq\":");
        text.push_str(&frame.seq.to_string());
        text.push('}');
        let category = match &*frame.body {
            FrameBody::NewNotification { notification_type, .. } => Some(notification_type.clone()),
            _ => None,
        };
        let said = match &*frame.body {
            FrameBody::Published { name, data } if name == "chat_message" => {
                data["id"].as_str().and_then(|id| id.parse().ok())
            }
            _ => None,
        };
        let (stream, seq) = (frame.stream.clone(), Some(frame.seq));
        Some(Self { stream, seq, category, said, text: text.into() })
    }

    /// What is told to those who are there, and kept nowhere.
    pub fn whisper(stream: &Stream, text: Utf8Bytes) -> Self {
        Self { stream: stream.clone(), seq: None, category: None, said: None, text }
    }

    /// No frame for the client: its connection asks whether it may still be there.
    pub fn knock(stream: &Stream) -> Self {
        Self::whisper(stream, Utf8Bytes::default())
    }

    /// No frame either: the stream stands at `seq`, and a connection that is not there has missed
    /// something.
    pub fn mark(stream: &Stream, seq: u64) -> Self {
        Self { seq: Some(seq), ..Self::knock(stream) }
    }

    pub fn is_knock(&self) -> bool {
        self.text.is_empty() && self.seq.is_none()
    }

    pub fn is_mark(&self) -> bool {
        self.text.is_empty() && self.seq.is_some()
    }

    /// The same for a narrowed connection: with the `seq` that was sent before on it.
    pub fn after(&self, prev: u64) -> Utf8Bytes {
        let whole = self.text.as_str();
        format!("{},\"prev\":{prev}}}", &whole[..whole.len() - 1]).into()
    }

    /// The same for the connection that said it.
    pub fn answering(&self, reference: &Value) -> Utf8Bytes {
        let whole = self.text.as_str();
        format!("{},\"ref\":{reference}}}", &whole[..whole.len() - 1]).into()
    }

    /// The same for a connection to several topics: with its own, whose `seq` it has.
    pub fn of_topic(&self) -> Utf8Bytes {
        let Stream::Topic(topic) = &self.stream else { return self.text.clone() };
        let whole = self.text.as_str();
        let topic = Value::from(topic.as_str());
        format!("{},\"topic\":{topic}}}", &whole[..whole.len() - 1]).into()
    }
}

impl Request {
    /// Reads a frame; its `ref`, if there is one, comes back with the answer.
    pub fn read(text: &str) -> (Option<Value>, Result<Self, Complaint>) {
        let invalid = |message: String| Err(Complaint { code: "INVALID", message });
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => return (None, invalid(format!("the frame is no JSON: {error}"))),
        };
        let reference = value.get("ref").filter(|one| one.is_string() || one.is_number()).cloned();
        if !value.get("type").is_some_and(Value::is_string) {
            return (reference, invalid("a frame is an object with a `type`".into()));
        }
        let request = Self::deserialize(value).or_else(|error| invalid(error.to_string()));
        (reference, request)
    }
}

impl Status<'_> {
    pub fn encode(&self) -> Utf8Bytes {
        let mut frame = json!({"type": "connection_status", "data": {
            "status": "connected",
            "unread_count": self.unread_count,
            "last_sync": self.last_sync,
            "epoch": self.epoch,
            "seq": self.seq,
        }});
        if !self.topics.is_empty() {
            frame["data"]["topics"] = self.topics.clone().into();
        }
        frame.to_string().into()
    }
}

impl Complaint {
    pub fn encode(&self, reference: Option<&Value>) -> Utf8Bytes {
        let data = json!({"code": self.code, "message": self.message, "ref": reference});
        json!({"type": "error", "data": data}).to_string().into()
    }
}

/// The gap cannot be filled: the client loads the list again and goes on from `seq`.
pub fn resync(reason: &str, epoch: &str, seq: u64) -> Utf8Bytes {
    let data = json!({"reason": reason, "epoch": epoch, "seq": seq});
    json!({"type": "resync", "data": data}).to_string().into()
}

pub fn pong(reference: Option<&Value>) -> Utf8Bytes {
    let data = reference.map_or_else(|| json!({}), |reference| json!({"ref": reference}));
    json!({"type": "pong", "data": data}).to_string().into()
}

pub fn authenticated(expires_at: Timestamp) -> Utf8Bytes {
    json!({"type": "authenticated", "data": {"expires_at": expires_at}}).to_string().into()
}

/// An answer that changed nothing, so that it has no `seq` and goes to its asker alone.
pub fn unchanged(body: &FrameBody) -> Option<Utf8Bytes> {
    serde_json::to_string(body).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_frame_carries_its_seq_and_where_narrowed_the_one_before() {
        let body = FrameBody::BulkUpdate {
            action: "mark_all_read".into(),
            affected_count: 2,
            notification_type: None,
        };
        let frame = Frame { stream: Stream::User("42".into()), seq: 7, body: Arc::new(body) };
        let encoded = Encoded::of(&frame).expect("it can be written");
        let mut expected = json!({
            "type": "bulk_update",
            "data": {"action": "mark_all_read", "affected_count": 2},
            "seq": 7,
        });
        let read = |text: &str| serde_json::from_str::<Value>(text).expect("it is JSON");
        assert_eq!(read(&encoded.text), expected);
        expected["prev"] = json!(5);
        assert_eq!(read(&encoded.after(5)), expected);
    }

    #[test]
    fn requests_are_read_or_complained_of() {
        let (reference, request) =
            Request::read(r#"{"type":"resume","epoch":"e","seq":3,"ref":9}"#);
        assert_eq!(reference, Some(json!(9)));
        assert_eq!(request, Ok(Request::Resume { epoch: "e".into(), seq: 3, topic: None }));
        assert_eq!(Request::read(r#"{"type":"ping"}"#).1, Ok(Request::Ping));
        for wrong in ["nope", "[]", "{}", r#"{"type":"dance"}"#, r#"{"type":"mark_read"}"#] {
            let complaint = Request::read(wrong).1.expect_err(wrong);
            assert_eq!(complaint.code, "INVALID");
        }
    }
}

//! What relays say to each other: lines of a header and, after a tab, a frame's text.

use serde::{Deserialize, Serialize};

use super::protocol::Encoded;
use crate::model::{Category, Stream, UserId};

/// One line's header. Another version may say more: what is not known is passed over.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Word {
    /// A frame was committed.
    Frame {
        stream: String,
        seq: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<Category>,
    },
    /// A frame that is kept nowhere.
    Whisper { stream: String },
    /// What a user may hear may have changed.
    Knock { stream: String, user: UserId },
    /// A user came to a stream, or is gone from it.
    Here { stream: String, user: UserId, on: bool },
    /// Who is here is told anew: all that was told before is forgotten.
    Anew,
    /// The others are to tell who is there.
    Who,
}

impl Word {
    /// Whether other nodes want to know who is at a stream: of inboxes their owners, and of rooms
    /// everybody.
    pub fn is_of_interest(stream: &Stream, user: &UserId) -> bool {
        match stream {
            Stream::User(owner) => owner == user,
            Stream::Topic(_) => false,
            Stream::Room(_) => true,
        }
    }

    pub fn frame(encoded: &Encoded) -> Option<String> {
        let (stream, category) = (encoded.stream.name(), encoded.category.clone());
        let header = Self::Frame { stream, seq: encoded.seq?, category };
        Some(format!("{}\t{}", header.line()?, encoded.text))
    }

    pub fn whisper(stream: &Stream, text: &str) -> Option<String> {
        Some(format!("{}\t{text}", Self::Whisper { stream: stream.name() }.line()?))
    }

    /// JSON has neither tabs nor line breaks in it: they would be escaped.
    pub fn line(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// The header, and the text that goes with it.
    pub fn read(line: &str) -> Option<(Self, &str)> {
        let (header, text) = line.split_once('\t').unwrap_or((line, ""));
        Some((serde_json::from_str(header).ok()?, text))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Frame, FrameBody};

    #[test]
    fn a_frame_comes_over_as_it_was() {
        let data = serde_json::json!({"a": "tab\tbreak\nend"});
        let body = FrameBody::Published { name: "note".into(), data };
        let stream = Stream::Topic("news:all".into());
        let frame = Frame { stream: stream.clone(), seq: 7, body: Arc::new(body) };
        let encoded = Encoded::of(&frame).expect("it can be written");
        let line = Word::frame(&encoded).expect("it can be said");
        assert_eq!(line.lines().count(), 1);
        let (word, text) = Word::read(&line).expect("it can be read");
        assert_eq!(word, Word::Frame { stream: stream.name(), seq: 7, category: None });
        assert_eq!(text, encoded.text.as_str());
        assert_eq!(Stream::named(&stream.name()), Some(stream));
    }

    #[test]
    fn what_a_later_version_says_is_passed_over() {
        assert_eq!(Word::read(r#"{"say":"sing"}"#), None);
        assert_eq!(Word::read(r#"{"say":"who","why":1}"#), Some((Word::Who, "")));
    }
}

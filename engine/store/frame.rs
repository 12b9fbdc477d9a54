use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::{Replay, Result};
use crate::model::{Frame, FrameBody, Once, Stream};

/// Frames kept of a topic's or a room's stream, the newest; and how long, in seconds.
pub const KEPT_FRAMES: u64 = 1_000;
pub const KEPT_SECONDS: i64 = 3_600;

/// The streams of topics and rooms, and what is published to any stream.
///
/// `seq` counts from 1 without gaps in each stream. A stream keeps its last frames, those of an
/// hour up to 1,000; a user's keeps what the inbox keeps.
#[async_trait]
pub trait Frames {
    /// Adds a frame at the next place of a stream.
    async fn publish(&self, stream: &Stream, body: FrameBody, now: Timestamp) -> Result<Frame>;

    /// The last `seq`; 0 for an empty stream.
    async fn stream_head(&self, stream: &Stream) -> Result<u64>;

    /// The last `seq` of each of several streams, in their order.
    async fn stream_heads(&self, streams: &[Stream]) -> Result<Vec<u64>> {
        let mut heads = Vec::with_capacity(streams.len());
        for stream in streams {
            heads.push(self.stream_head(stream).await?);
        }
        Ok(heads)
    }

    /// The frames after `seq`, at most `limit`.
    async fn stream_replay(&self, stream: &Stream, seq: u64, limit: usize) -> Result<Replay>;

    /// What was kept under a name.
    async fn kept(&self, once: &Once) -> Result<Option<Value>>;

    /// Keeps a result under a name, unless there is one: answers the one that is kept.
    async fn keep(&self, once: &Once, result: Value) -> Result<Value>;
}

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{MemoryStore, State};
use crate::model::{Frame, FrameBody, Once, Publication, Stream};
use crate::store::frame::{KEPT_FRAMES, KEPT_SECONDS};
use crate::store::{Frames, Replay, Result};

/// A topic's or a room's stream.
#[derive(Default)]
pub(super) struct Kept {
    pub head: u64,
    pub frames: BTreeMap<u64, (Timestamp, Arc<FrameBody>)>,
}

#[async_trait]
impl Frames for MemoryStore {
    async fn publish(&self, stream: &Stream, body: FrameBody, now: Timestamp) -> Result<Frame> {
        Ok(self.state().push(stream, body, now))
    }

    async fn stream_head(&self, stream: &Stream) -> Result<u64> {
        Ok(self.state().head(stream))
    }

    async fn stream_heads(&self, streams: &[Stream]) -> Result<Vec<u64>> {
        let state = self.state();
        Ok(streams.iter().map(|stream| state.head(stream)).collect())
    }

    async fn stream_replay(&self, stream: &Stream, seq: u64, limit: usize) -> Result<Replay> {
        let state = self.state();
        if let Stream::User(user) = stream {
            return Ok(state.replay_stream(user, seq, limit));
        }
        let empty = Kept::default();
        let kept = state.kept.get(stream).unwrap_or(&empty);
        let frames: Vec<Frame> = kept
            .frames
            .range(seq.saturating_add(1)..)
            .map(|(&seq, (_, body))| Frame { stream: stream.clone(), seq, body: body.clone() })
            .collect();
        let whole = seq <= kept.head && frames.len() as u64 == kept.head - seq;
        Ok(if whole && frames.len() <= limit { Replay::Frames(frames) } else { Replay::Gone })
    }

    async fn kept(&self, once: &Once) -> Result<Option<Value>> {
        Ok(self.state().once.get(once).cloned())
    }

    async fn keep(&self, once: &Once, result: Value) -> Result<Value> {
        Ok(self.state().once.entry(once.clone()).or_insert(result).clone())
    }
}

impl State {
    fn head(&self, stream: &Stream) -> u64 {
        match stream {
            Stream::User(user) => self.streams.get(user).map_or(0, |stream| stream.head),
            shared => self.kept.get(shared).map_or(0, |kept| kept.head),
        }
    }

    /// `None`: it was published before, under its name.
    pub(super) fn publish_once(&mut self, publication: Publication) -> Option<Frame> {
        let Publication { stream, body, decision, once } = publication;
        if let Some(once) = once {
            if self.once.contains_key(&once) {
                return None;
            }
            self.once.insert(once, Value::Null);
        }
        let now = decision.at;
        self.add_decisions([decision]);
        Some(self.push(&stream, body, now))
    }

    pub(super) fn push(&mut self, stream: &Stream, body: FrameBody, now: Timestamp) -> Frame {
        if let Stream::User(user) = stream {
            return self.streams.entry(user.clone()).or_default().push(user, body, now);
        }
        let kept = self.kept.entry(stream.clone()).or_default();
        kept.head += 1;
        let body = Arc::new(body);
        kept.frames.insert(kept.head, (now, body.clone()));
        let oldest = now.saturating_sub(SignedDuration::from_secs(KEPT_SECONDS));
        let oldest = oldest.unwrap_or(Timestamp::MIN);
        let first = kept.head.saturating_sub(KEPT_FRAMES);
        kept.frames.retain(|seq, (at, _)| *seq > first && *at >= oldest);
        Frame { stream: stream.clone(), seq: kept.head, body }
    }
}

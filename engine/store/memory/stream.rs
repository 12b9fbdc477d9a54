use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::State;
use crate::model::{Category, Entry, Frame, FrameBody, RunId, Stream, UserId};
use crate::store::Replay;

/// Read and bulk frames kept for those who were away; the oldest go first.
const KEPT_FRAMES: usize = 1000;

/// A user's stream: one numbering for entries and for what changed them.
#[derive(Default)]
pub(super) struct UserStream {
    pub head: u64,
    entries: BTreeMap<u64, RunId>,
    kept: BTreeMap<u64, (Timestamp, Arc<FrameBody>)>,
}

impl UserStream {
    /// Gives the entry the next `seq`, and answers its frame.
    pub fn enter(&mut self, entry: &mut Entry) -> Frame {
        self.head += 1;
        entry.seq = self.head;
        self.entries.insert(entry.seq, entry.id);
        entry_frame(entry)
    }

    pub fn push(&mut self, user: &UserId, body: FrameBody, now: Timestamp) -> Frame {
        self.head += 1;
        let body = Arc::new(body);
        self.kept.insert(self.head, (now, body.clone()));
        if self.kept.len() > KEPT_FRAMES {
            self.kept.pop_first();
        }
        Frame { stream: Stream::User(user.clone()), seq: self.head, body }
    }

    /// Drops what is from before that moment, and says how much it was.
    pub fn forget_before(&mut self, before: Timestamp) -> usize {
        let held = self.kept.len();
        self.kept.retain(|_, (at, _)| *at >= before);
        held - self.kept.len()
    }
}

impl State {
    pub(super) fn push_read(&mut self, entry: &Entry, now: Timestamp) -> Frame {
        let body =
            FrameBody::NotificationRead { notification_id: entry.id, read_at: entry.read_at };
        self.streams.entry(entry.user.clone()).or_default().push(&entry.user, body, now)
    }

    /// No frame where nothing changed.
    pub(super) fn push_bulk(
        &mut self,
        user: &UserId,
        action: &str,
        affected_count: u64,
        category: Option<&Category>,
        now: Timestamp,
    ) -> Vec<Frame> {
        if affected_count == 0 {
            return Vec::new();
        }
        let body = FrameBody::BulkUpdate {
            action: action.into(),
            affected_count,
            notification_type: category.cloned(),
        };
        vec![self.streams.entry(user.clone()).or_default().push(user, body, now)]
    }

    pub(super) fn replay_stream(&self, user: &UserId, seq: u64, limit: usize) -> Replay {
        let empty = UserStream::default();
        let stream = self.streams.get(user).unwrap_or(&empty);
        let missed = match stream.head.checked_sub(seq) {
            Some(missed) if missed <= limit as u64 => missed,
            _ => return Replay::Gone,
        };
        let frames: Option<Vec<Frame>> = (seq + 1..=seq + missed)
            .map(|seq| match stream.kept.get(&seq) {
                Some((_, body)) => {
                    Some(Frame { stream: Stream::User(user.clone()), seq, body: body.clone() })
                }
                None => Some(entry_frame(self.entries.get(stream.entries.get(&seq)?)?)),
            })
            .collect();
        frames.map_or(Replay::Gone, Replay::Frames)
    }
}

fn entry_frame(entry: &Entry) -> Frame {
    Frame {
        stream: Stream::User(entry.user.clone()),
        seq: entry.seq,
        body: Arc::new(FrameBody::from(entry)),
    }
}

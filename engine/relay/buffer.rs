use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::protocol::Encoded;

/// What waits for one reader: bounded in frames and in bytes. Clones are of one buffer.
#[derive(Clone)]
pub struct Buffer {
    frames: mpsc::Sender<Arc<Encoded>>,
    bytes: Arc<AtomicUsize>,
    max_bytes: usize,
    /// Cancelled once something did not fit: the connection has a gap, and ends.
    overflowed: CancellationToken,
}

/// The reader's end.
pub struct Waiting {
    frames: mpsc::Receiver<Arc<Encoded>>,
    bytes: Arc<AtomicUsize>,
    overflowed: CancellationToken,
}

pub fn buffer(max_frames: usize, max_bytes: usize) -> (Buffer, Waiting) {
    let (sender, receiver) = mpsc::channel(max_frames.max(1));
    let bytes = Arc::new(AtomicUsize::new(0));
    let overflowed = CancellationToken::new();
    let buffer =
        Buffer { frames: sender, bytes: bytes.clone(), max_bytes, overflowed: overflowed.clone() };
    (buffer, Waiting { frames: receiver, bytes, overflowed })
}

impl Buffer {
    /// Never waits. What does not fit ends the connection: it resumes later.
    pub fn offer(&self, frame: &Arc<Encoded>) {
        if self.overflowed.is_cancelled() {
            return;
        }
        let size = frame.text.len();
        let held = self.bytes.fetch_add(size, Ordering::Relaxed) + size;
        // One frame always fits, however large: it could never be sent otherwise.
        if held > self.max_bytes.max(size) || self.frames.try_send(frame.clone()).is_err() {
            self.overflowed.cancel();
        }
    }
}

impl Waiting {
    /// Adds what waits to `batch`, at least one frame. Cancel-safe. `false` once nothing will come
    /// any more.
    pub async fn take(&mut self, batch: &mut Vec<Arc<Encoded>>, most: usize) -> bool {
        let taken = self.frames.recv_many(batch, most).await;
        let size: usize = batch[batch.len() - taken..].iter().map(|frame| frame.text.len()).sum();
        self.bytes.fetch_sub(size, Ordering::Relaxed);
        taken > 0
    }

    /// Cancelled when the reader was too slow.
    pub fn overflowed(&self) -> &CancellationToken {
        &self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stream;

    fn frame(size: usize) -> Arc<Encoded> {
        Arc::new(Encoded {
            stream: Stream::User("42".into()),
            seq: Some(1),
            category: None,
            said: None,
            text: "x".repeat(size).into(),
        })
    }

    #[tokio::test]
    async fn frames_and_bytes_are_bounded() {
        let (by_frames, waiting) = buffer(2, 1000);
        by_frames.offer(&frame(1));
        by_frames.offer(&frame(1));
        assert!(!waiting.overflowed().is_cancelled());
        by_frames.offer(&frame(1));
        assert!(waiting.overflowed().is_cancelled());

        let (by_bytes, waiting) = buffer(100, 10);
        by_bytes.offer(&frame(10));
        assert!(!waiting.overflowed().is_cancelled());
        by_bytes.offer(&frame(1));
        assert!(waiting.overflowed().is_cancelled());
    }

    #[tokio::test]
    async fn what_was_taken_makes_room() {
        let (buffer, mut waiting) = buffer(2, 10);
        let mut batch = Vec::new();
        for _ in 0..10 {
            buffer.offer(&frame(5));
            buffer.offer(&frame(5));
            assert!(waiting.take(&mut batch, 8).await);
        }
        assert_eq!(batch.len(), 20);
        assert!(!waiting.overflowed().is_cancelled());
    }
}

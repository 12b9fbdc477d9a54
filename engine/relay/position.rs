/// Where a connection stands in its stream: what it was sent is `(begin, sent]`.
///
/// A frame may reach a connection twice (from the hub and from the store), late, or after a later
/// one (two tasks publish what two transactions committed). By its `seq` a position tells which of
/// these it is, so that the client gets each frame once and in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    begin: u64,
    sent: u64,
}

/// What to do with a frame from the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    Send,
    /// It was sent already.
    Skip,
    /// Frames before it have not come by: read from the store.
    Gap,
}

impl Position {
    /// At the stream's head, with nothing sent.
    pub fn at(head: u64) -> Self {
        Self { begin: head, sent: head }
    }

    pub fn sent(&self) -> u64 {
        self.sent
    }

    pub fn live(&self, seq: u64) -> Live {
        if seq <= self.sent {
            Live::Skip
        } else if seq == self.sent + 1 {
            Live::Send
        } else {
            Live::Gap
        }
    }

    /// Whether a frame read from the store has not been sent on this connection.
    pub fn lacks(&self, seq: u64) -> bool {
        seq <= self.begin || seq > self.sent
    }

    /// All up to `seq` was sent, or need not be.
    pub fn pass(&mut self, seq: u64) {
        self.sent = self.sent.max(seq);
    }

    /// All after `seq` was sent, down to where the connection began.
    pub fn resumed(&mut self, seq: u64) {
        self.begin = self.begin.min(seq);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_resume_gives_what_is_missing_and_no_more() {
        let mut position = Position::at(10);
        assert_eq!(position.live(11), Live::Send);
        position.pass(11);
        // The client has seen up to 7: the store gives 8 to 12, of which 11 went out already.
        let missing: Vec<_> = (8..=12).filter(|seq| position.lacks(*seq)).collect();
        assert_eq!(missing, [8, 9, 10, 12]);
        position.pass(12);
        position.resumed(7);
        assert_eq!((8..=12).filter(|seq| position.lacks(*seq)).count(), 0);
        assert_eq!(position.live(12), Live::Skip);
        assert_eq!(position.live(13), Live::Send);
    }

    proptest! {
        /// Whatever the order in which frames are published, and wherever a resume falls.
        #[test]
        fn each_frame_is_sent_once(
            head in 0_u64..20,
            published in Just((1_u64..=40).collect::<Vec<_>>()).prop_shuffle(),
            resume_at in 0_usize..40,
            seen in 0_u64..20,
        ) {
            let seen = seen.min(head);
            let mut position = Position::at(head);
            let mut committed = head;
            let mut wire = Vec::new();
            let send = |position: &mut Position, from: u64, to: u64, wire: &mut Vec<u64>| {
                for seq in from + 1..=to {
                    if position.lacks(seq) {
                        wire.push(seq);
                    }
                }
                position.pass(to);
            };
            for (turn, seq) in published.into_iter().enumerate() {
                // A frame is published after its commit, and commits go in the order of `seq`.
                committed = committed.max(seq);
                if turn == resume_at {
                    send(&mut position, seen, committed, &mut wire);
                    position.resumed(seen);
                }
                match position.live(seq) {
                    Live::Skip => {}
                    Live::Send => { wire.push(seq); position.pass(seq); }
                    Live::Gap => {
                        let sent = position.sent();
                        send(&mut position, sent, committed, &mut wire);
                    }
                }
            }
            wire.sort_unstable();
            let first = if resume_at < 40 { seen } else { head };
            prop_assert_eq!(wire, (first + 1..=40).collect::<Vec<_>>());
        }
    }
}

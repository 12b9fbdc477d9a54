use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// After so long, if it is not ready before: while it opens, migrates and recovers.
    Unready(Duration),
    /// As soon as it is ready.
    Ready,
    /// When so many accepts have been asked for, whatever became of them.
    Begun(usize),
    /// After so many answers to accepts.
    Accepts(usize),
    /// After so many arrivals at the sink.
    Arrivals(usize),
    /// While so many sends wait for the sink's answer.
    Held(usize),
}

impl Moment {
    pub fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0..8 => Self::Unready(Duration::from_millis(random.random_range(0..400))),
            8..16 => Self::Ready,
            16..30 => Self::Begun(random.random_range(1..=60)),
            30..45 => Self::Accepts(random.random_range(1..=60)),
            45..65 => Self::Arrivals(random.random_range(1..=40)),
            _ => Self::Held(random.random_range(1..=16)),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Unready(_) => "before it was ready",
            Self::Ready => "as it was ready",
            Self::Begun(_) => "during accepts",
            Self::Accepts(_) => "after an accept",
            Self::Arrivals(_) => "after an arrival",
            Self::Held(_) => "during held sends",
        }
    }
}

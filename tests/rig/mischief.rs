use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What a sink does with what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Take,
    /// Takes it, and answers late.
    Delay(Duration),
    /// Closes the connection, and has nothing.
    DropBefore,
    /// Closes the connection, and has it.
    DropAfter,
    /// 429, or what a mail server says to the same end.
    TooMuch,
    /// 503, or 451.
    Unavailable,
}

/// The sinks' schedule, drawn by a seed; one for all. Calm until it is stirred.
#[derive(Clone)]
pub struct Mischief(Arc<Drawn>);

struct Drawn {
    random: Mutex<StdRng>,
    stirred: AtomicBool,
}

impl Mischief {
    pub fn new(seed: u64) -> Self {
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        Self(Arc::new(Drawn { random, stirred: AtomicBool::new(false) }))
    }

    pub fn stir(&self, stirred: bool) {
        self.0.stirred.store(stirred, Ordering::Relaxed);
    }

    pub fn draw(&self) -> Act {
        if !self.0.stirred.load(Ordering::Relaxed) {
            return Act::Take;
        }
        let mut random = self.0.random.lock().unwrap_or_else(PoisonError::into_inner);
        match random.random_range(0..100) {
            0..76 => Act::Take,
            76..84 => Act::Delay(Duration::from_millis(random.random_range(20..300))),
            84..88 => Act::DropBefore,
            88..92 => Act::DropAfter,
            92..96 => Act::TooMuch,
            _ => Act::Unavailable,
        }
    }
}

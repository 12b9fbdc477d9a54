use std::fmt::Display;
use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use nuncio::store::StoreError;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How often something goes wrong in one story, in thousandths. Drawn by the seed, so that some
/// stories are calm in one respect and wild in another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    pub pause: u32,
    pub fail: u32,
    pub lose: u32,
    pub die: u32,
    pub kill: u32,
    pub nap: u32,
}

/// What the store, the channels and the world ask before they go on: the seed's answers, one after
/// another. Shared by all that takes part in a story.
#[derive(Clone)]
pub struct Fates(Arc<Mutex<Drawn>>);

struct Drawn {
    random: StdRng,
    rates: Rates,
    peace: bool,
    interruption: Option<Interruption>,
    /// Kept only when the story is told again, because it went wrong.
    story: Option<Vec<String>>,
    moment: u64,
}

/// What happens to the job that is being polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// Its worker is lost with it, and says nothing.
    Death,
    /// The whole node is lost.
    Kill,
    /// It stands still for so long and then goes on, whatever happened meanwhile.
    Nap(Duration),
}

/// Nothing was learned of a call: the connection broke.
#[derive(Debug, thiserror::Error)]
#[error("the connection broke")]
pub struct Broken;

impl Fates {
    pub fn new(seed: u64, told: bool) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let rates = Rates::draw(&mut random);
        let story = told.then(|| vec![format!("{rates:?}")]);
        Self(Arc::new(Mutex::new(Drawn {
            random,
            rates,
            peace: true,
            interruption: None,
            story,
            moment: 0,
        })))
    }

    /// From now on, things go wrong.
    pub fn make_trouble(&self) {
        self.drawn().peace = false;
    }

    /// Nothing goes wrong any more.
    pub fn make_peace(&self) {
        self.drawn().peace = true;
    }

    pub fn is_peace(&self) -> bool {
        self.drawn().peace
    }

    /// A number below `end`.
    pub fn below(&self, end: usize) -> usize {
        self.drawn().random.random_range(0..end.max(1))
    }

    /// Whether something of so many thousandths happens. Never, in peace.
    pub fn strikes(&self, thousandths: u32) -> bool {
        let mut drawn = self.drawn();
        !drawn.peace && drawn.random.random_range(0..1000) < thousandths
    }

    pub fn rates(&self) -> Rates {
        self.drawn().rates
    }

    /// The next moment of the story: what is noted of it is in order.
    pub fn tick(&self) -> u64 {
        let mut drawn = self.drawn();
        drawn.moment += 1;
        drawn.moment
    }

    pub fn tell<T: Display>(&self, what: impl FnOnce() -> T) {
        let mut drawn = self.drawn();
        let moment = drawn.moment;
        if let Some(story) = &mut drawn.story {
            story.push(format!("{moment:>5} {}", what()));
        }
    }

    pub fn story(&self) -> Vec<String> {
        self.drawn().story.clone().unwrap_or_default()
    }

    /// What befell the job that was polled last.
    pub fn take_interruption(&self) -> Option<Interruption> {
        self.drawn().interruption.take()
    }

    /// Before a call: it may not come to it.
    ///
    /// # Errors
    /// The call is not made.
    pub async fn before(&self, call: &str) -> Result<(), StoreError> {
        let rates = self.rates();
        self.meanwhile("before", call).await;
        if self.strikes(rates.fail) {
            self.tell(|| format!("{call} is refused"));
            return Err(StoreError::Unavailable(Box::new(Broken)));
        }
        Ok(())
    }

    /// After a call that has taken effect: its caller may not hear of it.
    ///
    /// # Errors
    /// The answer is lost.
    pub async fn after(&self, call: &str) -> Result<(), StoreError> {
        let rates = self.rates();
        self.meanwhile("after", call).await;
        if self.strikes(rates.lose) {
            self.tell(|| format!("the answer to {call} is lost"));
            return Err(StoreError::Unavailable(Box::new(Broken)));
        }
        Ok(())
    }

    /// Others may go first, or the caller may never go on.
    pub async fn meanwhile(&self, when: &str, call: &str) {
        let rates = self.rates();
        if self.strikes(rates.kill) {
            self.interrupt(Interruption::Kill, when, call);
            return pending().await;
        }
        if self.strikes(rates.die) {
            return self.die(when, call).await;
        }
        if self.strikes(rates.nap) {
            let length = Duration::from_secs([5, 45, 70, 200][self.below(4)]);
            self.interrupt(Interruption::Nap(length), when, call);
            return once_later().await;
        }
        if self.strikes(rates.pause) {
            once_later().await;
        }
    }

    /// The caller never goes on.
    pub async fn die<T>(&self, when: &str, call: &str) -> T {
        self.interrupt(Interruption::Death, when, call);
        pending().await
    }

    fn interrupt(&self, interruption: Interruption, when: &str, call: &str) {
        self.tell(|| format!("{interruption:?} {when} {call}"));
        self.drawn().interruption = Some(interruption);
    }

    fn drawn(&self) -> MutexGuard<'_, Drawn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rates {
    fn draw(random: &mut StdRng) -> Self {
        let mut of = |choices: [u32; 4]| choices[random.random_range(0..4)];
        Self {
            pause: of([0, 100, 300, 700]),
            fail: of([0, 0, 15, 60]),
            lose: of([0, 0, 15, 60]),
            die: of([0, 5, 20, 50]),
            kill: of([0, 0, 2, 8]),
            nap: of([0, 5, 20, 50]),
        }
    }
}

/// Lets others go first.
async fn once_later() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

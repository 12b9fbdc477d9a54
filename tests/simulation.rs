//! Stories that a seed makes up: several nodes over one store, where everything that can go wrong
//! between two writes does, on a clock that goes forth and back. At the end of each, every promise
//! is asked for (docs/decisions/0048-a-simulation-of-our-own.md).
//!
//! `NUNCIO_SEEDS` says how many stories are lived through, `NUNCIO_SEED` which single one.

mod client;
mod fate;
mod files;
mod log;
mod outlet;
mod promises;
mod store;
mod story;
mod task;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use world::{Tally, World};

/// Stories of a build's test.
const SEEDS: u64 = 2_000;
/// What stories are about: each is decided in one of a hundred at least.
const DECIDED: [&str; 13] = [
    "attempts.exhausted",
    "batch",
    "batch.joined",
    "budget.hour",
    "cancelled",
    "digest",
    "duplicate",
    "provider.unknown",
    "route.succeeded",
    "throttle.limit",
    "wait_for",
    "wait_for.matched",
    "wait_for.timeout",
];
/// Lines of a story that went wrong, from its end.
const SHOWN: usize = 400;

#[test]
fn whatever_breaks_every_promise_is_kept() {
    let (first, count) = match number("NUNCIO_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("NUNCIO_SEEDS").unwrap_or(SEEDS)),
    };
    let next = AtomicU64::new(first);
    let began = std::time::Instant::now();
    let tallies = std::thread::scope(|scope| {
        let live = || {
            let mut all = Tally::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    return all;
                }
                all.add(lived(seed));
            }
        };
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(live)).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended.collect::<Vec<_>>()
    });
    let mut all = Tally::default();
    for tally in tallies {
        all.add(tally.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    }
    println!("simulation: {count} stories in {:?}: {all:?}", began.elapsed());
    if count >= SEEDS {
        assert!(all.deaths.min(all.kills).min(all.naps) > count / 4, "little went wrong: {all:?}");
        let seldom = DECIDED.iter().filter(|code| all.decided(code) < count / 100);
        let seldom: Vec<_> = seldom.collect();
        assert!(seldom.is_empty(), "hardly any {seldom:?}: {all:?}");
    }
}

#[test]
fn a_seed_tells_one_story() {
    for seed in [1, 2, 3] {
        let told = || story(seed, true).0.fates.story();
        assert!(told() == told(), "seed {seed} tells two stories");
    }
}

/// Lives through a story; one that breaks a promise is told.
fn lived(seed: u64) -> Tally {
    let (world, broken) = story(seed, false);
    if broken.is_empty() {
        return world.tally;
    }
    let (world, broken) = story(seed, true);
    let story = world.fates.story();
    let shown = story.len().saturating_sub(SHOWN);
    panic!(
        "seed {seed} (NUNCIO_SEED={seed} tells it again):\n{}\n\nbroken:\n{}",
        story[shown..].join("\n"),
        broken.join("\n")
    );
}

fn story(seed: u64, told: bool) -> (World, Vec<String>) {
    let mut world = World::new(seed, told);
    let lived = catch_unwind(AssertUnwindSafe(|| {
        world.live_in_trouble();
        world.live_in_peace()
    }));
    let broken = match lived {
        Ok(Ok(())) => promises::broken(&mut world),
        Ok(Err(endless)) => vec![endless],
        Err(_) => vec!["it panicked".to_owned()],
    };
    (world, broken)
}

/// A number of the environment.
#[expect(clippy::disallowed_methods, reason = "what whoever runs the tests asks of them")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.deaths += other.deaths;
        self.kills += other.kills;
        self.naps += other.naps;
        self.steps += other.steps;
        for (code, times) in other.decided {
            *self.decided.entry(code).or_default() += times;
        }
    }

    fn decided(&self, code: &str) -> u64 {
        self.decided.get(code).copied().unwrap_or_default()
    }
}

//! Users' own tests, run: each in a world of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::compare::{self, Difference, Refused};
use super::{Halt, Simulation, World, at_once};
use crate::check::{Move, Test};
use crate::explain::Row;
use crate::ingest::Incoming;

/// What became of one test.
#[derive(Clone, Debug)]
pub struct Ran {
    pub name: String,
    /// `path:line`.
    pub place: Arc<str>,
    /// `None`: as expected.
    pub failure: Option<Failure>,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub why: Why,
    /// What happened, in the order of time, and whether an expectation asked for it.
    pub rows: Vec<(Row, bool)>,
}

#[derive(Clone, Debug)]
pub enum Why {
    /// The first expectation that was not met.
    Expected(Difference),
    /// An event was refused, and nothing expected that.
    Refused(Refused),
    /// It did not come to its end: a code and a sentence.
    Halted(&'static str, String),
}

/// Runs one test, from nothing.
pub fn run(world: &World, test: &Test) -> Ran {
    let failure = match at_once(lived(world, test)) {
        Ok(failure) => failure,
        Err(halt) => {
            let why = Why::Halted(halt.code(), halt.to_string());
            Some(Failure { why, rows: Vec::new() })
        }
    };
    Ran { name: test.name.clone(), place: test.place.clone(), failure }
}

/// Runs tests on as many threads as there are cores; answers in their order. `done` hears of each
/// that has ended.
pub fn run_all(world: &World, tests: &[Test], done: &(dyn Fn(&Ran) + Sync)) -> Vec<Ran> {
    let next = AtomicUsize::new(0);
    let ran = Mutex::new(Vec::with_capacity(tests.len()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(tests.len()) {
            scope.spawn(|| {
                while let Some((index, test)) = take(tests, &next) {
                    let one = run(world, test);
                    done(&one);
                    ran.lock().unwrap_or_else(PoisonError::into_inner).push((index, one));
                }
            });
        }
    });
    let mut ran = ran.into_inner().unwrap_or_else(PoisonError::into_inner);
    ran.sort_by_key(|(index, _)| *index);
    ran.into_iter().map(|(_, one)| one).collect()
}

fn take<'t>(tests: &'t [Test], next: &AtomicUsize) -> Option<(usize, &'t Test)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    tests.get(index).map(|test| (index, test))
}

async fn lived(world: &World, test: &Test) -> Result<Option<Failure>, Halt> {
    let mut simulation = world.begin(test.clock, test.workflow.clone());
    simulation.know(&test.people).await?;
    let mut refused = Vec::new();
    for next in &test.moves {
        make(&mut simulation, next, &mut refused).await?;
    }
    let rows = simulation.rows().await?;
    let sent = simulation.sent(&rows).await?;
    Ok(compare::all(&test.then, rows, &sent, refused))
}

async fn make(
    simulation: &mut Simulation,
    next: &Move,
    refused: &mut Vec<Refused>,
) -> Result<(), Halt> {
    match next {
        Move::Event(event) => hand_in(simulation, event.clone(), refused).await?,
        Move::Wait(span) => {
            let until = simulation.now().saturating_add(span.0);
            simulation.live(Some(until.unwrap_or(jiff::Timestamp::MAX))).await?;
        }
        Move::Until(at) => simulation.live(Some(*at)).await?,
        Move::Read(reading) => simulation.read(reading).await?,
        Move::Fail(fault) => simulation.fail(fault.clone()),
        Move::Prefer(user, said) => simulation.prefer(user, said).await?,
        Move::Know(one) => simulation.know(std::slice::from_ref(one)).await?,
    }
    simulation.settle().await
}

/// An event that says when it happens is handed in then.
async fn hand_in(
    simulation: &mut Simulation,
    event: Incoming,
    refused: &mut Vec<Refused>,
) -> Result<(), Halt> {
    if let Some(at) = event.at {
        simulation.come_to(super::whole(at)).await?;
    }
    let (at, name) = (simulation.now(), event.name.clone());
    if let Err(refusal) = simulation.accept(event).await? {
        let message = refusal.to_string();
        refused.push(Refused { at, event: name, code: refusal.code, message });
    }
    Ok(())
}

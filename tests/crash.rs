//! Kills that nothing announces, and stops that something does: what was accepted is sent, and
//! what may have been sent twice is journalled as such.

mod installation;
mod journal;
mod load;
mod moment;
pub mod process;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::sink::{Answer, Sink};
use installation::Installation;
use journal::Sent;
use load::Load;
use moment::Moment;
use process::Process;

/// Kills of the run.
const KILLS: usize = 54;
/// So many of them, at least, must have caught sends under way.
const CAUGHT: usize = 10;
/// Everything is written down by then, or something hangs.
const LONGEST: Duration = Duration::from_secs(30);
/// A stop that has nothing to wait for. An order of stopping that hangs until its grace ends
/// (25 s) is found out.
const STOP: Duration = Duration::from_secs(5);
/// All the kills, with what lies between them.
const ALTOGETHER: Duration = Duration::from_secs(60);
/// Every so many lives the queue runs empty first: a message whose worker dies more than five
/// times without getting anywhere is given up, and that is another test's matter.
const BREATH: usize = 4;
/// From the start of a process to its ready line. The promise is a second. A build without
/// optimisation spends several times what the real one does on loading the plugin and linking
/// a large binary, on a machine that builds other things at the same time: five.
const RECOVERY: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });

/// What the kills did.
#[derive(Default)]
struct Tally {
    kills: HashMap<&'static str, usize>,
    caught: usize,
    sending: usize,
    recoveries: Vec<Duration>,
    complaints: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_lose_nothing_and_double_nothing_in_secret() {
    let seed = seed();
    println!("crash: seed {seed} (CRASH_SEED={seed} at the build repeats it)");
    let mut random = StdRng::seed_from_u64(seed);
    let sink = Sink::counting().await;
    let installation = Installation::make(&sink.url("/")).await;
    let mut load = Load::new(installation.key());
    let mut tally = Tally::default();
    let began = Instant::now();
    for life in 0..KILLS {
        let moment = Moment::draw(&mut random);
        let quota = random.random_range(20..=80);
        live(&installation, &sink, &mut load, &mut tally, (life, moment, quota)).await;
    }
    let kills = began.elapsed();

    let mut last = start(&installation, &mut tally).await;
    load.post_rest(last.url()).await;
    drain(&installation, &sink).await;
    assert!(last.stop(STOP).await.success(), "a stop in order ends with status 0");
    tally.complaints.extend(last.complaints());

    tally.print(kills, &load);
    assert_eq!(tally.kills.values().sum::<usize>(), KILLS);
    assert!(tally.caught >= CAUGHT, "{} kills caught sends under way", tally.caught);
    check(&installation, &sink, &load, &tally).await;
    let slowest = tally.recoveries.iter().max().expect("there were starts");
    assert!(*slowest < RECOVERY, "a recovery took {slowest:?}");
    assert!(kills < ALTOGETHER, "{KILLS} kills took {kills:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_finishes_what_it_began() {
    let sink = Sink::counting().await;
    let installation = Installation::make(&sink.url("/")).await;
    let mut load = Load::new(installation.key());
    let mut tally = Tally::default();
    let held: Vec<_> = (0..8).map(|_| std::sync::Arc::default()).collect();
    for signal in &held {
        sink.answer(Answer::status(200).after(signal));
    }

    let mut process = start(&installation, &mut tally).await;
    let posting = load.begin(process.url(), 200);
    awaited("sends to be held", sink.reached(held.len())).await;
    awaited("accepts", posting.answered(100)).await;
    process.terminate().await;
    awaited("the stop to begin", process.line("stopping")).await;
    for signal in &held {
        signal.notify_one();
    }
    let status = process.exit(STOP).await;
    load.end(posting).await;

    assert!(status.success(), "{status}: {:?}", process.complaints());
    assert_eq!(installation.journal().claimed().await, 0, "rows are left leased or sending");
    assert_eq!(installation.journal().unknown().await, 0, "attempts of unknown outcome");
    let stopped_at = sink.count();

    let mut next = start(&installation, &mut tally).await;
    assert_eq!((next.released(), next.unknown()), (0, 0), "a stop in order leaves no claims");
    load.post_rest(next.url()).await;
    drain(&installation, &sink).await;
    assert!(next.stop(STOP).await.success());
    check(&installation, &sink, &load, &tally).await;
    assert!(sink.by_id().values().all(|times| *times == 1), "a message was sent again");
    println!("stop: {} accepted, {stopped_at} sent before the end", load.accepted().len());
}

/// One process from its start to its kill.
async fn live(
    installation: &Installation,
    sink: &Sink,
    load: &mut Load,
    tally: &mut Tally,
    (life, moment, quota): (usize, Moment, usize),
) {
    let journal = installation.journal();
    let mut process;
    if let Moment::Unready(patience) = moment {
        process = Process::start(installation);
        // Ready already or not: killed all the same.
        let _ = tokio::time::timeout(patience, process.ready()).await;
        process.kill().await;
    } else {
        process = start(installation, tally).await;
        if life % BREATH == 0 {
            load.post_rest(process.url()).await;
            drain(installation, sink).await;
        }
        let before = sink.count();
        if let Moment::Held(sends) = moment {
            for _ in 0..sends {
                sink.answer(Answer::status(200).after(&std::sync::Arc::default()));
            }
        }
        let posting = load.begin(process.url(), quota);
        match moment {
            Moment::Ready | Moment::Unready(_) => {}
            Moment::Begun(requests) => {
                awaited("requests", posting.begun(requests.min(quota))).await;
            }
            Moment::Accepts(answers) => {
                awaited("accepts", posting.answered(answers.min(quota))).await;
            }
            Moment::Arrivals(sends) | Moment::Held(sends) => {
                awaited("arrivals", sink.reached(before + sends.min(quota))).await;
            }
        }
        process.kill().await;
        load.end(posting).await;
    }
    sink.clear();
    let sending = journal.sending().await;
    *tally.kills.entry(moment.name()).or_default() += 1;
    tally.caught += usize::from(sending > 0);
    tally.sending += sending;
    tally.complaints.extend(process.complaints());
}

/// Starts a process and holds it to what the last one left.
async fn start(installation: &Installation, tally: &mut Tally) -> Process {
    let sending = installation.journal().sending().await;
    let began = Instant::now();
    let mut process = Process::start(installation);
    if tokio::time::timeout(LONGEST, process.ready()).await.is_err() {
        panic!("a process was not ready in {LONGEST:?}: {:?}", process.complaints());
    }
    tally.recoveries.push(began.elapsed());
    assert_eq!(process.unknown(), sending, "each send under way is counted as of unknown outcome");
    process
}

/// Waits until nothing is left to do.
async fn drain(installation: &Installation, sink: &Sink) {
    let journal = installation.journal();
    let drained = async {
        while journal.open().await > 0 {
            // The next arrival, or the write after the last one.
            let next = sink.reached(sink.count() + 1);
            let _ = tokio::time::timeout(Duration::from_millis(10), next).await;
        }
    };
    if tokio::time::timeout(LONGEST, drained).await.is_err() {
        panic!("the queue does not drain: {:?}", journal.left().await);
    }
}

/// The promise: every accepted event has one message, which was sent, and sent again only where
/// the journal says that an attempt's outcome was unknown.
async fn check(installation: &Installation, sink: &Sink, load: &Load, tally: &Tally) {
    let journal = installation.journal();
    let rows = journal.sent().await;
    let arrived = sink.by_id();
    let mut by_key: HashMap<&str, &Sent> = HashMap::new();
    for row in &rows {
        assert!(by_key.insert(&row.key, row).is_none(), "two messages or events of {}", row.key);
    }
    for (number, id) in load.accepted() {
        let key = load::key_of(*number);
        let row = by_key.get(key.as_str());
        let row = row.unwrap_or_else(|| panic!("{key} was accepted and is gone"));
        assert_eq!(row.event, *id, "{key} has the id that was answered");
    }
    assert_eq!(rows.len(), load.accepted().len(), "each event was accepted once");
    let (mut doubled, mut unexplained) = (0, Vec::new());
    for row in &rows {
        let times = arrived.get(&row.message).copied().unwrap_or_default();
        assert_eq!((row.runs, row.status), (1, 4), "one run, and the message is sent: {row:?}");
        assert!(times > 0, "it never arrived: {row:?}");
        assert_eq!(row.accepted, 1, "one attempt was accepted: {row:?}");
        assert_eq!(row.attempts, 1 + row.crashed, "the others ended in a crash: {row:?}");
        doubled += times - 1;
        if times > 1 + row.crashed {
            unexplained.push((times, row));
        }
    }
    println!(
        "crash: {} messages, {} arrivals, {doubled} repeated, {} attempts of unknown outcome, \
         {} repetitions unexplained",
        rows.len(),
        sink.count(),
        rows.iter().map(|row| row.crashed).sum::<usize>(),
        unexplained.len()
    );
    assert!(unexplained.is_empty(), "sent again without a word of it: {unexplained:?}");
    assert_eq!(arrived.len(), rows.len(), "nothing else was sent");
    assert_eq!(journal.open().await + journal.claimed().await, 0, "{:?}", journal.left().await);
    assert!(!tally.complaints.iter().any(|line| line.contains("panicked")));
}

impl Tally {
    fn print(&mut self, took: Duration, load: &Load) {
        self.recoveries.sort_unstable();
        let at = |place: usize| self.recoveries[place].as_millis();
        println!(
            "crash: {KILLS} kills in {:.1} s, {} of them with rows in `sending` ({} rows)",
            took.as_secs_f64(),
            self.caught,
            self.sending
        );
        println!("crash: killed {:?}", self.kills);
        println!(
            "crash: {} accepted, {} answers lost and asked for again",
            load.accepted().len(),
            load.lost()
        );
        println!(
            "crash: start to ready: min {} ms, median {} ms, max {} ms",
            at(0),
            at(self.recoveries.len() / 2),
            at(self.recoveries.len() - 1)
        );
        for line in self.complaints.iter().take(20) {
            println!("crash: a process said: {line}");
        }
    }
}

async fn awaited<T>(what: &str, event: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(LONGEST, event).await;
    waited.unwrap_or_else(|_| panic!("waited {LONGEST:?} for {what}"))
}

fn seed() -> u64 {
    let given = option_env!("CRASH_SEED").map(|seed| seed.parse().expect("a number"));
    given
        .unwrap_or_else(|| nuncio::clock::Clock::system().random_between(0, 1 << 30).unsigned_abs())
}

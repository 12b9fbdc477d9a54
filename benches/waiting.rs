//! What waiting costs: the claim of due runs beside many that are not due, and a waiting run's
//! bytes. `cargo bench --bench waiting [-- RUNS]`, a million by default.

use std::path::Path;
use std::time::{Duration, Instant};

use nuncio::clock::Clock;
use nuncio::model::{Event, Priority, Run, RunStatus, StepPath};
use nuncio::store::Installation as _;
use nuncio::store::sqlite::SqliteStore;
use nuncio::store::{Acceptance, Claim, Events, Plan, Progress, Queue};
use serde_json::json;

/// Runs of one claim.
const CLAIMED: usize = 100;
const ROUNDS: usize = 101;
/// Runs written at once.
const PAGE: usize = 500;
const FEW: usize = 10_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let many = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let few = measured(FEW).await?;
        let much = measured(many).await?;
        println!("{FEW} waiting: a claim of {CLAIMED} due runs takes {:?}", few.claim);
        println!(
            "{many} waiting: {:?}, {:.2} times that",
            much.claim,
            ratio(much.claim, few.claim)
        );
        println!("a waiting run takes {} bytes of store, its event left out", much.bytes);
        Ok(())
    })
}

struct Measured {
    /// The median.
    claim: Duration,
    bytes: u64,
}

async fn measured(waiting: usize) -> Result<Measured, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("nuncio.db");
    let clock = Clock::system();
    let store = SqliteStore::open(&format!("sqlite:{}", path.display()), clock.clone()).await?;
    let later = clock.after(Duration::from_hours(24 * 30));
    let before = bytes(&path);
    let event = event(&clock);
    wait(&store, &clock, &event, later, waiting).await?;
    let bytes = (bytes(&path) - before) / waiting as u64;
    let mut claims = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        wait(&store, &clock, &self::event(&clock), clock.now(), CLAIMED).await?;
        let claim = Claim { now: clock.now(), until: later, limit: CLAIMED };
        let began = Instant::now();
        let due = store.claim_runs(claim).await?;
        claims.push(began.elapsed());
        assert_eq!(due.len(), CLAIMED, "what is due is claimed");
        let progress = due.into_iter().map(|due| Progress {
            id: due.run.id,
            fence: due.fence,
            plan: Plan::default(),
            run: Some(Run { status: RunStatus::Finished, wake_at: None, ..due.run }),
        });
        store.advanced(progress.collect()).await?;
    }
    claims.sort();
    store.close().await;
    Ok(Measured { claim: claims[ROUNDS / 2], bytes })
}

/// Stores `count` runs of `event` that wait until then.
async fn wait(
    store: &SqliteStore,
    clock: &Clock,
    event: &Event,
    until: jiff::Timestamp,
    count: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let pages = count.div_ceil(PAGE);
    for page in 0..pages {
        let first = page * PAGE;
        let runs = (first..count.min(first + PAGE)).map(|number| run(clock, event, number, until));
        let plan = Plan { runs: runs.collect(), ..Plan::default() };
        // Each page as an event of its own would store the event as often: the first one is
        // stored, and the others only bring their runs.
        let event =
            if page == 0 { event.clone() } else { Event { id: clock.id(), ..small(event) } };
        store.accept(vec![Acceptance { event, body_hash: [0; 32], plan, emitter: None }]).await?;
    }
    Ok(())
}

fn small(event: &Event) -> Event {
    Event { data: json!({}), ..event.clone() }
}

fn event(clock: &Clock) -> Event {
    Event {
        id: clock.id(),
        tenant: String::new(),
        name: "order.placed".into(),
        actor: None,
        data: json!({"order": 7}),
        at: clock.now(),
        received_at: clock.now(),
        idempotency_key: None,
        depth: 0,
        told: Vec::new(),
        sensitive: false,
        trace: None,
    }
}

fn run(clock: &Clock, event: &Event, number: usize, until: jiff::Timestamp) -> Run {
    Run {
        id: clock.id(),
        event: event.id,
        workflow: "order-placed".into(),
        version: "9".repeat(64).into(),
        recipient: Some(number.to_string().into()),
        role: "buyer".into(),
        contact: None,
        priority: [Priority::High, Priority::Low][number % 2],
        key: Some(format!("order {number}")),
        status: RunStatus::Waiting,
        position: Some(StepPath::from("1")),
        wake_at: Some(until),
        state: json!({"vars": {"total": 12}, "steps": {"first": {"status": "done"}}}),
        started_at: clock.now(),
        sensitive: false,
        topic: None,
    }
}

/// Of the file and its log.
fn bytes(path: &Path) -> u64 {
    let size = |path: &Path| std::fs::metadata(path).map(|file| file.len()).unwrap_or_default();
    size(path) + size(&path.with_extension("db-wal"))
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

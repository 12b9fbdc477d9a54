//! What waiting costs: the claim of due runs and of due messages beside many that are not due, and
//! a waiting run's bytes. `cargo bench --bench waiting [-- COUNT]`, a million by default.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nuncio::clock::Clock;
use nuncio::model::{Event, Lane, Message, MessageStatus, Priority, Run, RunStatus, StepPath};
use nuncio::store::Installation as _;
use nuncio::store::sqlite::SqliteStore;
use nuncio::store::{Acceptance, Claim, Events, Plan, Progress, Queue, Settlement};
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
        for what in [What::Runs, What::Messages] {
            let few = measured(what, FEW).await?;
            let much = measured(what, many).await?;
            let noun = what.noun();
            println!("{FEW} waiting: a claim of {CLAIMED} due {noun} takes {:?}", few.claim);
            let ratio = much.claim.as_secs_f64() / few.claim.as_secs_f64();
            println!("{many} waiting: {:?}, {ratio:.2} times that", much.claim);
            if let What::Runs = what {
                println!("a waiting run takes {} bytes of store, its event left out", much.bytes);
            }
        }
        Ok(())
    })
}

/// What waits.
#[derive(Clone, Copy)]
enum What {
    Runs,
    /// Of runs that have ended.
    Messages,
}

struct Measured {
    /// The median.
    claim: Duration,
    bytes: u64,
}

async fn measured(what: What, waiting: usize) -> Result<Measured, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("nuncio.db");
    let clock = Clock::system();
    let store = SqliteStore::open(&format!("sqlite:{}", path.display()), clock.clone()).await?;
    let later = clock.after(Duration::from_hours(24 * 30));
    let before = bytes(&path);
    let event = event(&clock);
    what.wait(&store, &clock, &event, later, waiting).await?;
    let bytes = (bytes(&path) - before) / waiting as u64;
    let mut claims = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        what.wait(&store, &clock, &self::event(&clock), clock.now(), CLAIMED).await?;
        let claim = Claim { now: clock.now(), until: later, limit: CLAIMED };
        claims.push(what.claim(&store, claim).await?);
    }
    claims.sort();
    store.close().await;
    Ok(Measured { claim: claims[ROUNDS / 2], bytes })
}

impl What {
    fn noun(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Messages => "messages",
        }
    }

    /// Claims, and ends what was claimed; answers how long the claim took.
    async fn claim(self, store: &SqliteStore, claim: Claim) -> nuncio::store::Result<Duration> {
        let began = Instant::now();
        let (took, count) = match self {
            Self::Runs => {
                let due = store.claim_runs(claim).await?;
                let (took, count) = (began.elapsed(), due.len());
                let progress = due.into_iter().map(|due| Progress {
                    id: due.run.id,
                    fence: due.fence,
                    plan: Plan::default(),
                    run: Some(Run { status: RunStatus::Finished, wake_at: None, ..due.run }),
                });
                store.advanced(progress.collect()).await?;
                (took, count)
            }
            Self::Messages => {
                let due = store.claim_messages(claim).await?;
                let (took, count) = (began.elapsed(), due.len());
                let settled = due.into_iter().map(|due| Settlement {
                    message: due.message.id,
                    fence: due.fence,
                    status: MessageStatus::Suppressed,
                    due_at: None,
                    attempt: None,
                    entry: None,
                    decisions: Vec::new(),
                    code: None,
                    held: None,
                    expected: None,
                });
                store.settle(settled.collect()).await?;
                (took, count)
            }
        };
        assert_eq!(count, CLAIMED, "what is due is claimed");
        Ok(took)
    }

    /// Stores `count` runs of `event`, which wait until then, or their messages do.
    async fn wait(
        self,
        store: &SqliteStore,
        clock: &Clock,
        event: &Event,
        until: Timestamp,
        count: usize,
    ) -> nuncio::store::Result<()> {
        for page in 0..count.div_ceil(PAGE) {
            let first = page * PAGE;
            let mut plan = Plan::default();
            for number in first..count.min(first + PAGE) {
                let waiting = run(clock, event, number, until);
                plan.runs.push(match self {
                    Self::Runs => waiting,
                    Self::Messages => {
                        plan.messages.push(message(clock, &waiting, until));
                        Run { status: RunStatus::Finished, wake_at: None, ..waiting }
                    }
                });
            }
            // Each page as an event of its own would store the event as often: the first one is
            // stored, and the others only bring their runs.
            let event =
                if page == 0 { event.clone() } else { Event { id: clock.id(), ..small(event) } };
            let acceptance = Acceptance { event, body_hash: [0; 32], plan, emitter: None };
            store.accept(vec![acceptance]).await?;
        }
        Ok(())
    }
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

fn message(clock: &Clock, run: &Run, due_at: Timestamp) -> Message {
    Message {
        id: clock.id(),
        event: run.event,
        run: run.id,
        step: StepPath::from("1"),
        item: 0,
        channel: "email".into(),
        recipient: run.recipient.clone(),
        workflow: run.workflow.clone(),
        category: "order".into(),
        priority: run.priority,
        lane: Lane::default(),
        status: MessageStatus::Pending,
        due_at,
        expires_at: None,
        attempt: 0,
        forgiven: 0,
        provider: None,
        receipt: None,
        code: None,
        created_at: clock.now(),
    }
}

/// Of the file and its log.
fn bytes(path: &Path) -> u64 {
    let size = |path: &Path| std::fs::metadata(path).map(|file| file.len()).unwrap_or_default();
    size(path) + size(&path.with_extension("db-wal"))
}

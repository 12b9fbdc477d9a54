use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Keep, Retention};
use crate::store::frame::KEPT_SECONDS;
use crate::store::{Kept, Store};
use crate::telemetry::RowsPruned;

/// Rows that one write looks at.
const SLICE: usize = 1000;
/// From the end of a pass to the next.
const REST: Duration = Duration::from_secs(600);
/// The least pause after a slice.
const PAUSE: Duration = Duration::from_millis(20);
/// A slice is followed by a pause of so many times what it took: clearing gets a fifth of the
/// store at most.
const PACE: u32 = 4;

/// Removes what is past its retention, a slice after the other, until `stop`.
pub(super) async fn prune(
    store: Arc<dyn Store>,
    clock: Clock,
    retention: Retention,
    stop: CancellationToken,
) {
    let passes = async {
        loop {
            for of in Kept::ALL {
                if let Some(age) = age(&retention, of) {
                    let before = clock.now().saturating_sub(age).unwrap_or(Timestamp::MIN);
                    pass(&*store, &clock, of, before).await;
                }
            }
            clock.sleep(REST).await;
        }
    };
    stop.run_until_cancelled(passes).await;
}

async fn pass(store: &dyn Store, clock: &Clock, of: Kept, before: Timestamp) {
    let mut after = None;
    loop {
        let began = Instant::now();
        match store.prune(of, before, after.as_ref(), SLICE).await {
            Ok(pruned) => {
                if pruned.rows > 0 {
                    RowsPruned { table: of.as_str(), rows: pruned.rows }.emit();
                }
                after = pruned.next;
            }
            Err(error) => {
                tracing::warn!(%error, table = of.as_str(), "old rows could not be cleared yet");
                after = None;
            }
        }
        clock.sleep((began.elapsed() * PACE).max(PAUSE)).await;
        if after.is_none() {
            return;
        }
    }
}

/// How old the rows are that go; `None`: they stay. What hangs on another is not kept longer.
fn age(retention: &Retention, of: Kept) -> Option<Duration> {
    let Retention { events, messages, attempts, decisions, dead_letters, .. } = *retention;
    let least = |all: &[Keep]| all.iter().filter_map(|keep| keep.span()).min();
    match of {
        Kept::Attempts => least(&[attempts, messages, events]),
        Kept::Messages => least(&[messages, events]),
        Kept::DeadLetters => dead_letters.span(),
        Kept::Decisions => least(&[decisions, events]),
        Kept::Runs | Kept::Events => events.span(),
        Kept::Inbox => retention.inbox.span(),
        Kept::Frames => retention.frames.span(),
        Kept::Sayings => retention.sayings.span(),
        Kept::Streams => Some(Duration::from_secs(KEPT_SECONDS.unsigned_abs())),
    }
}

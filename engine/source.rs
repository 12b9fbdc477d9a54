//! Events that come in beside HTTP: from the outbox of a PostgreSQL database, and from a stream of
//! Redis.
//!
//! ```text
//! a service's transaction ─▶ nuncio.outbox ──────┐
//!                                                ├─▶ Told ─▶ Accept, up to 1,000 a call ─▶ taken away
//! XADD ─▶ nuncio:events ─▶ consumer group ───────┘                └─ refused ─▶ set aside
//! ```
//!
//! An event is taken from its source after it was accepted, never before. A crash between the two
//! leaves it there: accepted again, its key makes it a duplicate of itself. What the pipeline
//! refuses is set aside with the reason, and holds nobody up.

pub mod outbox;
pub mod stream;

mod backoff;
mod intake;
mod told;

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use intake::Intake;
pub use told::{Rejection, Told};

use crate::store::StoreError;
use crate::telemetry::{SourceFound, SourceLost};
use backoff::Backoff;

/// Events of one accept.
pub const MOST_EVENTS: usize = 1000;
/// Bytes of data of one accept, about; one event is taken however large it may be.
const MOST_BYTES: usize = 8 << 20;

/// What goes on at a stop is waited for this long; it is in its source still.
const GRACE: Duration = Duration::from_secs(5);

/// Why nothing could be taken. It is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    #[error("the outbox's database cannot be worked with")]
    Postgres(#[from] sqlx::Error),
    #[error("the stream's server cannot be worked with")]
    Redis(#[from] redis::RedisError),
    #[error("the source's server does not answer")]
    Silent,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The running sources of one node.
pub struct Sources {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Sources {
    /// Begins to take events, by itself and until it is stopped. A server that is away is waited
    /// for.
    pub fn start(
        intake: Intake,
        outbox: Option<outbox::Settings>,
        stream: Option<stream::Settings>,
    ) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = Vec::new();
        if let Some(settings) = outbox {
            tasks.push(tokio::spawn(outbox::run(settings, intake.clone(), stop.clone())));
        }
        if let Some(settings) = stream {
            tasks.push(tokio::spawn(stream::run(settings, intake, stop.clone())));
        }
        Self { stop, tasks }
    }

    /// Takes nothing more; what is being accepted is taken away from its source first.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let all = futures_util::future::join_all(&mut self.tasks);
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!("a source was still being drained at the end of the grace");
        }
        for task in self.tasks {
            task.abort();
        }
    }
}

/// Follows a source until the stop: what fails is begun anew after a while.
async fn keep_on<F>(
    source: &'static str,
    intake: &Intake,
    stop: &CancellationToken,
    mut follow: impl FnMut(Found) -> F,
) where
    F: Future<Output = Result<(), SourceError>>,
{
    let mut backoff = Backoff::default();
    let mut lost = false;
    while !stop.is_cancelled() {
        let found = Found::default();
        let Err(error) = follow(found.clone()).await else { return };
        if found.is() {
            (backoff, lost) = (Backoff::default(), false);
        }
        SourceLost { source, error: &error, first: !lost }.emit();
        lost = true;
        tokio::select! {
            () = intake.clock.sleep(backoff.next()) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Set once the source has answered.
#[derive(Clone, Default)]
struct Found(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Found {
    fn say(&self, source: &'static str) {
        SourceFound { source }.emit();
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn is(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

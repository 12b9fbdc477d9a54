//! A stream of Redis, read as a consumer group.
//!
//! An entry is acknowledged after its event was accepted. Those of a node that went silent are
//! claimed by another; those of a connection that broke are read again first.

mod entry;
mod group;

use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

pub use entry::Entry;
pub use group::Group;

use super::{Found, Intake, Rejection, SourceError, Told, keep_on};
use crate::telemetry::{EventsSetAside, SourceDrained};

/// Which stream, and how it is read.
#[derive(Clone)]
pub struct Settings {
    client: redis::Client,
    /// `nuncio:events`; beside it `…:rejected`.
    pub key: String,
    /// This node's name in the group, new with each start.
    pub consumer: String,
    /// Entries that their consumer has left so long are another's. Not zero.
    pub claim_after: Duration,
    /// Entries; once there are more, acknowledged ones are removed.
    pub max_length: usize,
}

/// The URL is none of Redis's. It is not told: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("this is no URL of a Redis: write it as `redis://host:6379/` or `rediss://…`")]
pub struct BadUrl;

impl Settings {
    /// The stream `PREFIX:events` of the server at `url`, with the defaults of
    /// [`config::Stream`](crate::config::Stream).
    ///
    /// # Errors
    /// The URL cannot be read.
    pub fn new(url: &str, prefix: &str, consumer: String) -> Result<Self, BadUrl> {
        let client = redis::Client::open(url).map_err(|_| BadUrl)?;
        let defaults = crate::config::Stream::default();
        Ok(Self {
            client,
            key: format!("{prefix}:events"),
            consumer,
            claim_after: defaults.claim_after.0,
            max_length: defaults.max_length,
        })
    }
}

/// Reads until the stop.
pub(super) async fn run(settings: Settings, intake: Intake, stop: CancellationToken) {
    let follow = |found| follow(&settings, &intake, &stop, found);
    keep_on("stream", &intake, &stop, follow).await;
}

async fn follow(
    settings: &Settings,
    intake: &Intake,
    stop: &CancellationToken,
    found: Found,
) -> Result<(), SourceError> {
    let mut group = Group::join(settings).await?;
    found.say("stream");
    // What an answer that was lost had brought.
    loop {
        let entries = group.unfinished().await?;
        if take(&mut group, intake, entries).await? == 0 {
            break;
        }
    }
    let mut look: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async {});
    loop {
        if (&mut look).now_or_never().is_some() {
            loop {
                let entries = group.left_behind().await?;
                if take(&mut group, intake, entries).await? == 0 {
                    break;
                }
            }
            let (clock, wait) = (intake.clock.clone(), settings.claim_after / 2);
            look = Box::pin(async move { clock.sleep(wait).await });
        }
        if stop.is_cancelled() {
            return group.leave().await;
        }
        let entries = group.next().await?;
        take(&mut group, intake, entries).await?;
    }
}

/// Accepts and acknowledges what was read: how many entries that were.
async fn take(
    group: &mut Group,
    intake: &Intake,
    entries: Vec<Entry>,
) -> Result<usize, SourceError> {
    if entries.is_empty() {
        return Ok(0);
    }
    let told: Vec<Told> = entries.iter().map(Entry::told).collect();
    let fates = intake.accept(&told).await?;
    group.settle(&entries, &fates).await?;
    let lag = intake.clock.now().duration_since(told[0].at).try_into().unwrap_or_default();
    SourceDrained { source: "stream", count: entries.len() as u64, lag }.emit();
    for (entry, fate) in entries.iter().zip(&fates) {
        if let Some(Rejection { code, .. }) = fate {
            EventsSetAside { source: "stream", id: &entry.id, code }.emit();
        }
    }
    Ok(entries.len())
}

//! The outbox of a PostgreSQL database, drained (migrations/postgres/0009_outbox.sql).
//!
//! Whoever emits says so by NOTIFY, which makes it quick; the sweep makes it sure.

mod drain;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use drain::{Batch, Drain};
pub use schema::install;

use super::backoff::Backoff;
use super::{Found, Intake, SourceError, keep_on};
use crate::clock::Clock;

/// The channel that `nuncio.emit` notifies.
const CHANNEL: &str = "nuncio_outbox";
/// The rows are looked at so often, whatever was heard.
const SWEEP: Duration = Duration::from_secs(1);
/// The longest that a statement may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which database.
#[derive(Clone)]
pub struct Settings {
    options: PgConnectOptions,
}

/// The URL is none of PostgreSQL's. It is not told: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("this is no URL of a PostgreSQL database: write it as `postgres://user@host:5432/name`")]
pub struct BadUrl;

impl Settings {
    /// # Errors
    /// The URL cannot be read.
    pub fn new(url: &str) -> Result<Self, BadUrl> {
        if !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
            return Err(BadUrl);
        }
        let options: PgConnectOptions = url.parse().map_err(|_| BadUrl)?;
        Ok(Self { options: options.application_name("nuncio outbox") })
    }
}

/// Drains until the stop.
pub(super) async fn run(settings: Settings, intake: Intake, stop: CancellationToken) {
    let wake = Arc::new(Notify::new());
    let listening = listen(settings.options.clone(), intake.clock.clone(), wake.clone());
    let _listening = AbortOnDropHandle::new(tokio::spawn(listening));
    let follow = |found| follow(&settings, &intake, &wake, &stop, found);
    keep_on("outbox", &intake, &stop, follow).await;
}

async fn follow(
    settings: &Settings,
    intake: &Intake,
    wake: &Notify,
    stop: &CancellationToken,
    found: Found,
) -> Result<(), SourceError> {
    let mut drain = Drain::open(settings).await?;
    found.say("outbox");
    let mut looked = false;
    loop {
        while drain.once(intake).await? > 0 {
            if stop.is_cancelled() {
                return Ok(());
            }
        }
        if !looked {
            looked = true;
            if drain.find_lost().await? > 0 {
                continue;
            }
        }
        tokio::select! {
            () = wake.notified() => {}
            () = intake.clock.sleep(SWEEP) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// Turns notifications into wake-ups, however often the connection breaks.
async fn listen(options: PgConnectOptions, clock: Clock, wake: Arc<Notify>) {
    let mut backoff = Backoff::default();
    loop {
        match hear(&options, &wake).await {
            Ok(()) => backoff = Backoff::default(),
            Err(error) => tracing::debug!(%error, "the outbox cannot be listened to"),
        }
        clock.sleep(backoff.next()).await;
    }
}

async fn hear(options: &PgConnectOptions, wake: &Notify) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    // What was told before somebody listened.
    wake.notify_one();
    while listener.try_recv().await?.is_some() {
        wake.notify_one();
    }
    Ok(())
}

/// A statement's answer, or an error where none comes.
async fn within<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, SourceError> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(SourceError::Silent),
    }
}

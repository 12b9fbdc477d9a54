//! The work that is due, brought to the pipeline: apalis workers over our own rows.
//!
//! ```text
//! store ──claim──▶ claimer ──channel──▶ Backend ──▶ apalis Worker ──▶ pipeline ──settle──▶ store
//! ```
//!
//! docs/decisions/0002 says why the rows are ours: the claimer, not the poll loop, asks the store, so that
//! a slow batch or an unreachable database never ends a worker, and every row bears a lease that
//! is renewed while its work goes on and a fence that makes a late writer harmless.

mod backend;
mod claimer;
mod due;
mod handler;
mod lease;
mod sweeper;

use std::sync::Arc;
use std::time::Duration;

use apalis_core::worker::builder::WorkerBuilder;
use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::pipeline::Pipeline;
use crate::store::{DueEvent, DueMessage, DueRun};
use backend::Backend;
use claimer::Claimer;
use due::Due;
use handler::Handler;
use lease::{Leases, Terms};

/// How the jobs of one node run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Messages worked on at once; events and runs get an eighth of it each.
    pub workers: usize,
    /// A node that dies has its work taken over within this time.
    pub takeover: Duration,
    /// What is still running after this is left to its leases.
    pub grace: Duration,
}

/// The running workers of one node.
pub struct Jobs {
    stop: CancellationToken,
    workers: Vec<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    grace: Duration,
}

impl Jobs {
    /// Starts workers for events, runs and messages, the renewal of leases and the sweeper.
    /// `name` is this node's, new with each start (docs/decisions/0002, T8).
    pub fn start(name: &str, pipeline: &Arc<Pipeline>, settings: Settings) -> Self {
        let stop = CancellationToken::new();
        let leases = Arc::new(Leases::default());
        let terms = Terms::within(settings.takeover);
        let store = pipeline.store().clone();
        let clock = pipeline.clock().clone();
        let mut jobs = Self {
            stop: stop.clone(),
            workers: Vec::new(),
            tasks: vec![
                tokio::spawn(lease::renew(leases.clone(), store, clock, terms)),
                tokio::spawn(sweeper::sweep(pipeline.clone(), terms, stop)),
            ],
            grace: settings.grace,
        };
        let few = (settings.workers / 8).max(1);
        jobs.work::<DueEvent>(name, pipeline, &leases, terms, few);
        jobs.work::<DueRun>(name, pipeline, &leases, terms, few);
        jobs.work::<DueMessage>(name, pipeline, &leases, terms, settings.workers);
        jobs
    }

    /// Claims nothing more, gives back what was not begun, and waits for the rest.
    pub async fn stop(self) {
        self.stop.cancel();
        let all = futures_util::future::join_all(self.workers);
        if tokio::time::timeout(self.grace, all).await.is_err() {
            tracing::warn!("work was still going on at the end of the grace; its leases will end");
        }
        for task in self.tasks {
            task.abort();
        }
    }

    fn work<D: Due>(
        &mut self,
        name: &str,
        pipeline: &Arc<Pipeline>,
        leases: &Arc<Leases>,
        terms: Terms,
        workers: usize,
    ) {
        let claimer = Claimer {
            store: pipeline.store().clone(),
            clock: pipeline.clock().clone(),
            wake: pipeline.wake().clone(),
            leases: leases.clone(),
            lease: terms.lease,
            workers,
            stop: self.stop.clone(),
        };
        let (due, claiming) = claimer.start::<D>();
        let backend = Backend::new(due, self.stop.clone(), pipeline.store().clone());
        let worker = WorkerBuilder::new(format!("{name}-{:?}", D::QUEUE))
            .backend(backend)
            .build(Handler::<D>::new(pipeline.clone()));
        self.tasks.push(claiming);
        let running = async move {
            if let Err(error) = worker.run().await {
                tracing::error!(%error, queue = ?D::QUEUE, "a worker ended");
            }
        };
        self.workers.push(tokio::spawn(running.boxed()));
    }
}

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;

use super::lease::Held;
use crate::pipeline::Pipeline;
use crate::store::{Claim, DueEvent, DueMessage, DueRun, QueueName, Result, Store, Unsent};

/// A kind of job: how its rows are claimed and given back, and what the pipeline does with one.
pub(super) trait Due: Sized + Send + 'static {
    const QUEUE: QueueName;

    fn claim(store: &dyn Store, claim: Claim) -> impl Future<Output = Result<Vec<Self>>> + Send;

    fn unsent(&self) -> Unsent;

    fn run(self, pipeline: &Pipeline) -> impl Future<Output = ()> + Send;
}

/// A claimed row with its place among the workers and its lease, both ending with it.
pub(super) struct Claimed<D> {
    pub due: D,
    pub place: OwnedSemaphorePermit,
    pub lease: Held,
}

impl<D: Due> Claimed<D> {
    pub fn unsent(&self) -> Unsent {
        self.due.unsent()
    }

    /// Does the work. A panic in it costs this job alone: its lease ends, its claims are counted,
    /// and the pipeline gives it up when they are too many.
    pub async fn run(self, pipeline: &Arc<Pipeline>) {
        let Self { due, place, lease } = self;
        if AssertUnwindSafe(due.run(pipeline)).catch_unwind().await.is_err() {
            tracing::error!(queue = ?D::QUEUE, "a job panicked; it is tried again when its lease ends");
        }
        drop((place, lease));
    }
}

impl Due for DueEvent {
    const QUEUE: QueueName = QueueName::Events;

    fn claim(store: &dyn Store, claim: Claim) -> impl Future<Output = Result<Vec<Self>>> + Send {
        store.claim_events(claim)
    }

    fn unsent(&self) -> Unsent {
        Unsent::Event(self.event.id, self.fence)
    }

    fn run(self, pipeline: &Pipeline) -> impl Future<Output = ()> + Send {
        pipeline.expand(self)
    }
}

impl Due for DueRun {
    const QUEUE: QueueName = QueueName::Runs;

    fn claim(store: &dyn Store, claim: Claim) -> impl Future<Output = Result<Vec<Self>>> + Send {
        store.claim_runs(claim)
    }

    fn unsent(&self) -> Unsent {
        Unsent::Run(self.run.id, self.fence)
    }

    fn run(self, pipeline: &Pipeline) -> impl Future<Output = ()> + Send {
        pipeline.advance(self)
    }
}

impl Due for DueMessage {
    const QUEUE: QueueName = QueueName::Messages;

    fn claim(store: &dyn Store, claim: Claim) -> impl Future<Output = Result<Vec<Self>>> + Send {
        store.claim_messages(claim)
    }

    fn unsent(&self) -> Unsent {
        Unsent::Message(self.message.id, self.fence)
    }

    fn run(self, pipeline: &Pipeline) -> impl Future<Output = ()> + Send {
        pipeline.deliver(self)
    }
}

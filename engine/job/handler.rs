use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use apalis_core::task::Task;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::Service;

use super::due::{Claimed, Due};
use crate::pipeline::Pipeline;

/// apalis's view of the work: each job on a task of its own, so that the worker's task only
/// hands them out and all cores share them.
pub(super) struct Handler<D> {
    pipeline: Arc<Pipeline>,
    due: PhantomData<fn(D)>,
}

impl<D> Handler<D> {
    pub fn new(pipeline: Arc<Pipeline>) -> Self {
        Self { pipeline, due: PhantomData }
    }
}

impl<D: Due> Service<Task<Claimed<D>>> for Handler<D> {
    type Response = ();
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<(), Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Claimed<D>>) -> Self::Future {
        let pipeline = self.pipeline.clone();
        let claimed = task.args;
        // In a box first: spawning moves what it is given several times, and this is large.
        let work = async move { claimed.run(&pipeline).await }.boxed();
        // A panic is caught inside; the handle fails only with the runtime itself.
        tokio::spawn(work).map(|_| Ok(())).boxed()
    }
}

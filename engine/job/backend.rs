use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend as ApalisBackend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::task_id::RandomId;
use apalis_core::worker::context::WorkerContext;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::layer::util::Identity;

use super::due::{Claimed, Due};
use crate::store::{Store, Unsent};

/// apalis's view of our rows: it takes what the claimer has claimed, and nothing can go wrong in
/// it (docs/decisions/0002, T2: an error here would end the worker).
pub(super) struct Backend<D: Due> {
    due: mpsc::Receiver<Claimed<D>>,
    stop: CancellationToken,
    store: Arc<dyn Store>,
    /// Claims that nobody has begun, given back at the end.
    unsent: Vec<Unsent>,
    closing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<D: Due> Backend<D> {
    pub fn new(
        due: mpsc::Receiver<Claimed<D>>,
        stop: CancellationToken,
        store: Arc<dyn Store>,
    ) -> Self {
        Self { due, stop, store, unsent: Vec::new(), closing: None }
    }
}

impl<D: Due> ApalisBackend for Backend<D> {
    type Task = Task<Claimed<D>>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _context: &mut Context<'_>,
        _worker: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        loop {
            let next = std::task::ready!(self.due.poll_recv(context));
            match next {
                Some(claimed) if self.stop.is_cancelled() => self.unsent.push(claimed.unsent()),
                Some(claimed) => return Poll::Ready(Some(Ok(Task::new(claimed)))),
                None => {
                    // A worker whose rows have ended still waits to be told to stop. It refuses
                    // only before its start, and it has been started to poll this.
                    let _ = worker.stop();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn poll_close(
        &mut self,
        context: &mut Context<'_>,
        _worker: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        let closing = self.closing.get_or_insert_with(|| {
            let unsent = std::mem::take(&mut self.unsent);
            let store = self.store.clone();
            Box::pin(async move {
                if !unsent.is_empty()
                    && let Err(error) = store.unsent(unsent).await
                {
                    tracing::warn!(%error, "claims could not be given back; their leases will end");
                }
            })
        });
        closing.as_mut().poll(context).map(Ok)
    }
}

impl<D: Due> BackendConfig for Backend<D> {
    type Args = Claimed<D>;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _worker: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use jiff::Timestamp;
use nuncio::model::Fence;
use nuncio::store::QueueName;

/// Something a node is doing, that goes on when it is polled, and not by itself.
pub struct Task {
    pub node: usize,
    /// Of the row that it works on.
    pub lease: Option<(QueueName, Fence)>,
    pub naps_until: Option<Timestamp>,
    work: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Task {
    pub fn new(
        node: usize,
        lease: Option<(QueueName, Fence)>,
        work: impl Future<Output = ()> + 'static,
    ) -> Self {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Self { node, lease, naps_until: None, work: Box::pin(work), woken }
    }

    /// Whether it has anything to go on for.
    pub fn is_ready(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }

    /// `true` once it has ended.
    pub fn poll(&mut self) -> bool {
        self.woken.0.store(false, Ordering::Relaxed);
        self.naps_until = None;
        let waker = Waker::from(self.woken.clone());
        self.work.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

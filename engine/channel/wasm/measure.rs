use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A future with the time that it was polled for: what it took of a processor, and not what it
/// waited.
pub(super) struct Measured<'m, F> {
    inner: Pin<&'m mut F>,
    took: &'m mut Duration,
}

impl<'m, F: Future> Measured<'m, F> {
    pub fn new(inner: Pin<&'m mut F>, took: &'m mut Duration) -> Self {
        Self { inner, took }
    }
}

impl<F: Future> Future for Measured<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began = Instant::now();
        let polled = self.inner.as_mut().poll(context);
        *self.took += began.elapsed();
        polled
    }
}

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::State;
use super::body::{self, BodyError};
use crate::clock::Clock;

/// A body that has to come in time, and to fit into what all bodies together may hold.
struct Paced {
    inner: Body,
    /// KiB.
    room: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    bytes: usize,
    /// What is read past this is dropped as it comes.
    most: usize,
    /// Handled as it comes: each piece has its time, and nothing is kept here.
    streamed: bool,
    clock: Clock,
    patience: Duration,
    /// Set when there was something to wait for.
    alarm: Option<BoxFuture<'static, ()>>,
}

/// The request with its body bounded. Encoded bodies are refused: a small one may become a large
/// one.
pub fn request(api: &State, request: Request) -> Result<Request, BodyError> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(BodyError::Encoded);
    }
    let streamed = body::is_lines(request.headers());
    Ok(request.map(|inner| {
        Body::new(Paced {
            inner,
            room: api.reading.clone(),
            held: None,
            bytes: 0,
            most: api.server.max_body.min(api.server.max_intake),
            streamed,
            clock: api.clock.clone(),
            patience: api.server.body_timeout.0,
            alarm: None,
        })
    }))
}

impl Paced {
    /// Takes room for what has come. A body in one piece needs none: it is handed on at once.
    fn keep(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.bytes += bytes;
        if self.streamed || self.inner.is_end_stream() {
            return Ok(());
        }
        let kept = self.bytes.min(self.most).div_ceil(1024);
        let missing = kept - self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let more = self.room.clone().try_acquire_many_owned(missing);
        let more = more.map_err(|_| BodyError::Overloaded)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    fn late(&mut self, context: &mut Context<'_>) -> bool {
        let (clock, patience) = (self.clock.clone(), self.patience);
        let alarm =
            self.alarm.get_or_insert_with(|| Box::pin(async move { clock.sleep(patience).await }));
        alarm.as_mut().poll(context).is_ready()
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if this.streamed {
                    this.alarm = None;
                }
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                Poll::Ready(Some(this.keep(bytes).map(|()| frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BodyError::Interrupted))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if this.late(context) => Poll::Ready(Some(Err(BodyError::TooSlow))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

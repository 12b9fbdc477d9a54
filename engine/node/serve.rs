//! The door: TCP connections in, each bounded in what it may hold and for how long.
//!
//! A client that is slow with its headers is let go by hyper, one that is slow with its body by
//! `api`; one that comes when the house is full is told so at once.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::open_files;
use crate::clock::Clock;
use crate::config;
use crate::telemetry::{ConnectionRefused, ConnectionsCounted};

/// What hyper keeps of a connection that has not been read on: headers, and a piece of a body.
const BUFFER_BYTES: usize = 64 << 10;
/// Files that are not connections in: the store's, the plugins', those of connections out.
const OWN_FILES: usize = 512;
/// After the system refused a connection: most often there are no files left.
const BREATH: Duration = Duration::from_millis(100);
/// The whole answer to a connection that is one too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: application/problem+json\r\ncontent-length: 164\r\n\r\n\
    {\"type\":\"urn:nuncio:problem:connections\",\"title\":\"Too many connections\",\"status\":503,\
    \"detail\":\"the server has as many connections as it takes\",\"code\":\"connections\"}";

/// How a node is reached.
pub(super) struct Door {
    listener: TcpListener,
    router: Router,
    header_timeout: Duration,
    places: Arc<Semaphore>,
    most: usize,
    clock: Clock,
}

impl Door {
    pub fn new(
        listener: TcpListener,
        router: Router,
        limits: &config::Server,
        clock: Clock,
    ) -> Self {
        let files = open_files::raise().saturating_sub(OWN_FILES).max(1);
        let most = limits.max_connections.min(files).min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(most));
        let header_timeout = limits.header_timeout.0;
        Self { listener, router, header_timeout, places, most, clock }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Serves until `stop`, then until every connection has had its answer.
    pub async fn serve(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => self.welcome(stream, peer, &connections, &stop),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    self.clock.sleep(BREATH).await;
                }
            }
        }
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }

    fn welcome(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        connections: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            ConnectionRefused.emit();
            // All of it, or nothing: the client has been told to come again either way.
            let _ = stream.try_write(FULL);
            return;
        };
        ConnectionsCounted { open: self.most - self.places.available_permits() }.emit();
        // A socket that is gone already is found by what reads it.
        let _ = stream.set_nodelay(true);
        let seated = Seated { stream, _place: Place { permit: place, most: self.most } };
        let router = self.router.clone();
        let serving = connection(seated, router, peer, self.header_timeout, stop.clone());
        connections.spawn(serving);
    }
}

async fn connection(
    seated: Seated,
    router: Router,
    peer: SocketAddr,
    header_timeout: Duration,
    stop: CancellationToken,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(never)) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(seated), service)
        .with_upgrades();
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection broke");
    }
}

fn never<T>(impossible: Infallible) -> T {
    match impossible {}
}

/// The connection was gone before it was taken: the next may be well.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A connection with its place among those that may be open. The place goes with the socket, so a
/// WebSocket keeps it for as long as it lasts.
struct Seated {
    stream: TcpStream,
    _place: Place,
}

struct Place {
    permit: OwnedSemaphorePermit,
    most: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Its own permit is not back yet.
        let taken = self.most - self.permit.semaphore().available_permits();
        ConnectionsCounted { open: taken.saturating_sub(1) }.emit();
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

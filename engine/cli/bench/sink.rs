use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::sync::watch;

/// An HTTP server that counts, and notes when each number first came.
pub(super) struct Sink {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

struct Seen {
    began: Instant,
    count: AtomicUsize,
    wanted: AtomicUsize,
    /// All that is wanted has come.
    done: watch::Sender<bool>,
    /// Microseconds since `began` at which each number came; 0: not yet.
    arrivals: Vec<AtomicUsize>,
}

impl Sink {
    pub async fn start(numbers: usize) -> std::io::Result<Self> {
        let seen = Arc::new(Seen {
            began: Instant::now(),
            count: AtomicUsize::new(0),
            wanted: AtomicUsize::new(usize::MAX),
            done: watch::Sender::new(false),
            arrivals: (0..numbers).map(|_| AtomicUsize::new(0)).collect(),
        });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/", post(take)).with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, seen })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Forgets what came, and waits for `wanted` from now on.
    pub fn expect(&self, wanted: usize) {
        self.seen.done.send_replace(false);
        self.seen.count.store(0, Ordering::SeqCst);
        self.seen.wanted.store(wanted, Ordering::SeqCst);
        for arrival in &self.seen.arrivals {
            arrival.store(0, Ordering::Relaxed);
        }
    }

    /// Returns when all that is wanted has come.
    pub async fn all(&self) {
        // The sender is this sink's own: it is not gone.
        let _ = self.seen.done.subscribe().wait_for(|done| *done).await;
    }

    /// When number `n` came, on the clock of [`Sink::now`].
    pub fn arrival(&self, n: usize) -> Option<Duration> {
        let micros = self.seen.arrivals.get(n)?.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros as u64))
    }

    pub fn now(&self) -> Duration {
        self.seen.began.elapsed()
    }
}

async fn take(State(seen): State<Arc<Seen>>, body: Bytes) -> StatusCode {
    if let Some(n) = number(&body)
        && let Some(arrival) = seen.arrivals.get(n)
    {
        arrival.store(seen.began.elapsed().as_micros() as usize, Ordering::Relaxed);
    }
    if seen.count.fetch_add(1, Ordering::SeqCst) + 1 == seen.wanted.load(Ordering::SeqCst) {
        seen.done.send_replace(true);
    }
    StatusCode::OK
}

/// The template begins every body with `<!-- n -->`.
fn number(body: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(body.get(..40)?).ok()?;
    text.split("n=").nth(1)?.split(';').next()?.parse().ok()
}

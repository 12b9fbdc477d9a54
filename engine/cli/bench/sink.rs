use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::runtime;
use tokio::sync::watch;

/// An HTTP server that counts what comes, each number once. It has a thread of its own: in the
/// runtime of those who send, a request and its answer would change hands without a switch, as
/// nothing does that comes over a network.
pub(super) struct Sink {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

struct Seen {
    count: AtomicUsize,
    wanted: AtomicUsize,
    come: watch::Sender<Come>,
    /// Whether each number has come.
    numbers: Vec<AtomicBool>,
}

/// How much of what is wanted has come.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Come {
    Nothing,
    Some,
    All,
}

impl Sink {
    pub fn start(numbers: usize) -> std::io::Result<Self> {
        let seen = Arc::new(Seen {
            count: AtomicUsize::new(0),
            wanted: AtomicUsize::new(usize::MAX),
            come: watch::Sender::new(Come::Nothing),
            numbers: (0..numbers).map(|_| AtomicBool::new(false)).collect(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/", post(take)).with_state(seen.clone());
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        thread::Builder::new().name("sink".into()).spawn(move || {
            runtime.block_on(async {
                axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
            })
        })?;
        Ok(Self { address, seen })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Forgets what came, and waits for `wanted` from now on.
    pub fn expect(&self, wanted: usize) {
        self.seen.come.send_replace(Come::Nothing);
        self.seen.count.store(0, Ordering::SeqCst);
        self.seen.wanted.store(wanted, Ordering::SeqCst);
        for number in &self.seen.numbers {
            number.store(false, Ordering::Relaxed);
        }
    }

    /// Returns when the first has come.
    pub async fn first(&self) {
        self.come(Come::Some).await;
    }

    /// Returns when all that is wanted has come.
    pub async fn all(&self) {
        self.come(Come::All).await;
    }

    async fn come(&self, wanted: Come) {
        // The sender is this sink's own: it is not gone.
        let _ = self.seen.come.subscribe().wait_for(|come| *come >= wanted).await;
    }
}

async fn take(State(seen): State<Arc<Seen>>, body: Bytes) -> StatusCode {
    let again =
        |n: usize| seen.numbers.get(n).is_some_and(|number| number.swap(true, Ordering::Relaxed));
    if number(&body).is_some_and(again) {
        return StatusCode::OK;
    }
    let count = seen.count.fetch_add(1, Ordering::SeqCst) + 1;
    if count == 1 {
        seen.come.send_replace(Come::Some);
    }
    if count == seen.wanted.load(Ordering::SeqCst) {
        seen.come.send_replace(Come::All);
    }
    StatusCode::OK
}

/// The template begins every body with `<!-- n -->`.
fn number(body: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(body.get(..40)?).ok()?;
    text.split("n=").nth(1)?.split(';').next()?.parse().ok()
}

//! A real HTTP server that takes messages: counts them by `webhook-id`, and answers as told.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// Stops when it is dropped.
pub struct Sink {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What to say to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Said once this is notified: a slow server without a clock.
    pub after: Option<Arc<Notify>>,
}

struct Shared {
    keep_requests: bool,
    ids: Option<Mutex<File>>,
    inner: Mutex<Inner>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<String, usize>,
    requests: Vec<Received>,
    script: VecDeque<Answer>,
    always: Option<Answer>,
}

impl Sink {
    /// On a free port, keeping every request.
    pub async fn start() -> Self {
        Self::at(("127.0.0.1", 0)).await
    }

    /// Keeping every request, at an address of this machine.
    pub async fn at(address: (&str, u16)) -> Self {
        Self::with(address, true, None).await
    }

    /// For load: counts alone.
    pub async fn counting() -> Self {
        Self::with(("127.0.0.1", 0), false, None).await
    }

    /// Appends each `webhook-id` to a file as a line, before it answers: what a process that is
    /// killed has had.
    pub async fn writing_ids(path: &Path) -> Self {
        let file = File::options().create(true).append(true).open(path).expect("a file for ids");
        Self::with(("127.0.0.1", 0), false, Some(file)).await
    }

    async fn with(address: (&str, u16), keep_requests: bool, ids: Option<File>) -> Self {
        let shared = Arc::new(Shared {
            keep_requests,
            ids: ids.map(Mutex::new),
            inner: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let app = Router::new()
            .fallback(take)
            .layer(DefaultBodyLimit::max(8 << 20))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("axum::serve does not end");
        });
        Self { address, shared, server }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request gets this answer; further ones theirs, in order; then 200 again.
    pub fn answer(&self, answer: Answer) {
        self.shared.lock().script.push_back(answer);
    }

    /// Every request gets this answer, once the script is used up.
    pub fn answer_always(&self, answer: Answer) {
        self.shared.lock().always = Some(answer);
    }

    /// Takes back the answers that no request has had.
    pub fn clear(&self) {
        let mut inner = self.shared.lock();
        inner.script.clear();
        inner.always = None;
    }

    pub fn requests(&self) -> Vec<Received> {
        self.shared.lock().requests.clone()
    }

    /// How often each `webhook-id` came.
    pub fn by_id(&self) -> HashMap<String, usize> {
        self.shared.lock().by_id.clone()
    }

    pub fn count(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// Returns once that many requests have come.
    pub async fn reached(&self, count: usize) {
        let mut counted = self.shared.count.subscribe();
        counted.wait_for(|now| *now >= count).await.expect("the sink counts as long as it lives");
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), after: None }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Said once `signal` is notified, if ever.
    pub fn after(mut self, signal: &Arc<Notify>) -> Self {
        self.after = Some(Arc::clone(signal));
        self
    }

    fn response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("a status");
        let mut response = Response::builder().status(status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Body::from(self.body)).expect("a response")
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    if let (Some(ids), Some(id)) = (&shared.ids, &id) {
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(ids, "{id}").expect("a line for the id");
    }
    let answer = {
        let mut inner = shared.lock();
        if let Some(id) = id {
            *inner.by_id.entry(id).or_default() += 1;
        }
        if shared.keep_requests {
            inner.requests.push(Received { method, uri, headers, body });
        }
        inner.script.pop_front().or_else(|| inner.always.clone())
    };
    shared.count.send_modify(|count| *count += 1);
    let mut answer = answer.unwrap_or_else(|| Answer::status(200));
    if let Some(signal) = answer.after.take() {
        signal.notified().await;
    }
    answer.response()
}

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::installation::USERS;

/// Requests under way at once.
const CALLERS: usize = 8;
/// One in so many accepted events is posted a second time.
const REPEATED: usize = 10;

/// A service that posts events, and posts again what had no answer, with the same key.
pub struct Load {
    api_key: String,
    next: usize,
    /// To be posted (again) first.
    again: Vec<usize>,
    accepted: BTreeMap<usize, String>,
    lost: usize,
}

/// Posts under way.
pub struct Posting {
    callers: JoinSet<()>,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

struct Shared {
    to_post: Mutex<VecDeque<usize>>,
    ended: Mutex<Ended>,
    begun: watch::Sender<usize>,
    answered: watch::Sender<usize>,
}

#[derive(Default)]
struct Ended {
    accepted: Vec<(usize, String)>,
    lost: Vec<usize>,
}

impl Load {
    pub fn new(api_key: &str) -> Self {
        Self {
            api_key: api_key.to_owned(),
            next: 0,
            again: Vec::new(),
            accepted: BTreeMap::new(),
            lost: 0,
        }
    }

    /// By number, the id of each event that was answered.
    pub fn accepted(&self) -> &BTreeMap<usize, String> {
        &self.accepted
    }

    /// Requests that ended without an answer.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Begins to post what had no answer, and `fresh` further events.
    pub fn begin(&mut self, url: &str, fresh: usize) -> Posting {
        let mut to_post: VecDeque<usize> = self.again.drain(..).collect();
        to_post.extend(self.next..self.next + fresh);
        self.next += fresh;
        let shared = Arc::new(Shared {
            to_post: Mutex::new(to_post),
            ended: Mutex::default(),
            begun: watch::Sender::new(0),
            answered: watch::Sender::new(0),
        });
        let stop = CancellationToken::new();
        nuncio::egress::use_ring();
        let client = Client::new();
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let caller = Caller {
                client: client.clone(),
                url: format!("{url}/v1/events"),
                api_key: self.api_key.clone(),
                shared: shared.clone(),
                stop: stop.clone(),
            };
            callers.spawn(caller.call());
        }
        Posting { callers, shared, stop }
    }

    /// Begins nothing more, awaits what is under way, and takes in what became of it.
    pub async fn end(&mut self, posting: Posting) {
        posting.stop.cancel();
        self.take(posting).await;
    }

    /// Posts what had no answer until it has one.
    pub async fn post_rest(&mut self, url: &str) {
        while !self.again.is_empty() {
            let posting = self.begin(url, 0);
            self.take(posting).await;
        }
    }

    async fn take(&mut self, posting: Posting) {
        let Posting { mut callers, shared, .. } = posting;
        while let Some(ended) = callers.join_next().await {
            ended.expect("a caller does not panic");
        }
        let ended = std::mem::take(&mut *lock(&shared.ended));
        self.lost += ended.lost.len();
        self.again.extend(ended.lost);
        self.again.extend(lock(&shared.to_post).drain(..));
        for (number, id) in ended.accepted {
            match self.accepted.get(&number) {
                Some(first) => assert_eq!(*first, id, "the same key gave another event"),
                None => {
                    self.accepted.insert(number, id);
                    if number % REPEATED == 0 {
                        self.again.push(number);
                    }
                }
            }
        }
    }
}

impl Posting {
    /// Returns once so many requests have been begun.
    pub async fn begun(&self, count: usize) {
        reached(&self.shared.begun, count).await;
    }

    /// Returns once so many have been answered.
    pub async fn answered(&self, count: usize) {
        reached(&self.shared.answered, count).await;
    }
}

pub fn key_of(number: usize) -> String {
    format!("key-{number}")
}

/// One of those that post.
struct Caller {
    client: Client,
    url: String,
    api_key: String,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl Caller {
    async fn call(self) {
        while !self.stop.is_cancelled() {
            let Some(number) = lock(&self.shared.to_post).pop_front() else { return };
            self.shared.begun.send_modify(|count| *count += 1);
            match self.post(number).await {
                Ok(id) => {
                    lock(&self.shared.ended).accepted.push((number, id));
                    self.shared.answered.send_modify(|count| *count += 1);
                }
                Err(_) => lock(&self.shared.ended).lost.push(number),
            }
        }
    }

    /// The event's id; an error: there was no answer, or half of one.
    async fn post(&self, number: usize) -> reqwest::Result<String> {
        let event = json!({
            "name": "crash.test",
            "idempotency_key": key_of(number),
            "data": {"n": number, "user_id": format!("u{}", number % USERS)},
        });
        let request = self.client.post(&self.url).bearer_auth(&self.api_key).json(&event);
        let answer = request.send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        Ok(body["id"].as_str().expect("an event's id").to_owned())
    }
}

async fn reached(counted: &watch::Sender<usize>, count: usize) {
    let mut counted = counted.subscribe();
    counted.wait_for(|now| *now >= count).await.expect("the sender is ours");
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

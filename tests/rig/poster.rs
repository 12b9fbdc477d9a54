use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Requests under way at once.
const CALLERS: usize = 6;
/// So long an answer is waited for: a node that stands still gives none.
const PATIENCE: Duration = Duration::from_secs(3);
/// After a refusal. Twice as long after each further one, up to a second.
const BREATH: Duration = Duration::from_millis(20);
/// One in so many accepted events is posted a second time.
const REPEATED: usize = 10;
pub const USERS: usize = 5;

/// A service that posts every event to some node until it is accepted. Clones are the same; its
/// callers end with the last.
#[derive(Clone)]
pub struct Poster {
    shared: Arc<Shared>,
    _callers: Arc<JoinSet<()>>,
}

struct Shared {
    client: Client,
    api_key: String,
    urls: watch::Receiver<Vec<String>>,
    to_post: Semaphore,
    state: Mutex<State>,
    settled: watch::Sender<usize>,
    refused: watch::Sender<usize>,
}

#[derive(Clone, Debug, Default)]
pub struct State {
    next: usize,
    /// By number, the id of each event that was answered.
    pub accepted: BTreeMap<usize, String>,
    /// Requests that ended without an answer.
    pub lost: usize,
    /// Answers that were no 202.
    pub refused: usize,
    pub complaints: Vec<String>,
}

impl Poster {
    pub fn start(api_key: &str, urls: watch::Receiver<Vec<String>>) -> Self {
        nuncio::egress::use_ring();
        let client = Client::builder().timeout(PATIENCE).build().expect("a client");
        let shared = Arc::new(Shared {
            client,
            api_key: api_key.to_owned(),
            urls,
            to_post: Semaphore::new(0),
            state: Mutex::default(),
            settled: watch::Sender::new(0),
            refused: watch::Sender::new(0),
        });
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(shared.clone().call());
        }
        Self { shared, _callers: Arc::new(callers) }
    }

    /// So many more events are to be posted.
    pub fn pour(&self, count: usize) {
        self.shared.to_post.add_permits(count);
    }

    /// Posts one event, now; answers its number once it is accepted.
    pub async fn post(&self) -> usize {
        let number = self.shared.number();
        self.shared.clone().until_accepted(number).await;
        number
    }

    /// Returns once so many of all that were poured are accepted.
    pub async fn accepted(&self, count: usize) {
        let mut settled = self.shared.settled.subscribe();
        settled.wait_for(|now| *now >= count).await.expect("the sender is ours");
    }

    /// Returns once so many requests were refused, since the beginning.
    pub async fn refused(&self, count: usize) {
        let mut refused = self.shared.refused.subscribe();
        refused.wait_for(|now| *now >= count).await.expect("the sender is ours");
    }

    pub fn state(&self) -> State {
        self.shared.state().clone()
    }

    /// Posts what was accepted once more, each by itself: what had been lost with its rows is
    /// accepted anew, under another id.
    pub async fn post_all_again(&self) {
        for (number, first) in self.state().accepted {
            let id = loop {
                if let Some(id) = self.shared.try_post(number, 0).await {
                    break id;
                }
            };
            if id != first {
                self.shared.state().accepted.insert(number, id);
            }
        }
    }
}

impl Shared {
    async fn call(self: Arc<Self>) {
        loop {
            let Ok(one) = self.to_post.acquire().await else { return };
            one.forget();
            let number = self.number();
            self.clone().until_accepted(number).await;
            if number.is_multiple_of(REPEATED) {
                self.clone().until_accepted(number).await;
            }
            self.settled.send_modify(|count| *count += 1);
        }
    }

    fn number(&self) -> usize {
        let mut state = self.state();
        state.next += 1;
        state.next - 1
    }

    async fn until_accepted(self: Arc<Self>, number: usize) {
        let mut breath = BREATH;
        for turn in 0.. {
            if let Some(id) = self.try_post(number, turn).await {
                let mut state = self.state();
                let first = state.accepted.entry(number).or_insert_with(|| id.clone()).clone();
                if first != id {
                    state.complaints.push(format!("key {number} is {first}, and {id}"));
                }
                return;
            }
            // Callers of a service that is away wait before they ask again, these too.
            let mut urls = self.urls.clone();
            urls.mark_unchanged();
            let _ = tokio::time::timeout(breath, urls.changed()).await;
            breath = (breath * 2).min(Duration::from_secs(1));
        }
    }

    /// The event's id, if it was accepted.
    async fn try_post(&self, number: usize, turn: usize) -> Option<String> {
        let url = {
            let urls = self.urls.borrow();
            urls.get((number + turn) % urls.len().max(1))?.clone()
        };
        let event = json!({
            "name": "rig.test",
            "idempotency_key": key_of(number),
            "data": {"n": number, "user_id": user(number % USERS)},
        });
        let request = self.client.post(format!("{url}/v1/events")).bearer_auth(&self.api_key);
        let answered = async {
            let answer = request.json(&event).send().await?;
            Ok::<_, reqwest::Error>((answer.status(), answer.json::<Value>().await?))
        };
        match answered.await {
            Ok((StatusCode::ACCEPTED, body)) => Some(body["id"].as_str()?.to_owned()),
            Ok((status, body)) => {
                let mut state = self.state();
                state.refused += 1;
                self.refused.send_replace(state.refused);
                // Away, or too much at once; anything else is a mistake.
                if ![StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS]
                    .contains(&status)
                {
                    state.complaints.push(format!("{status}: {body}"));
                }
                None
            }
            Err(_) => {
                self.state().lost += 1;
                None
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn key_of(number: usize) -> String {
    format!("rig-{number}")
}

pub fn user(number: usize) -> String {
    format!("u{number}")
}

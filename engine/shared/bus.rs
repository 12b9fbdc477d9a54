use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::State;
use super::link::{CONNECT, Failed, Link, PROBE, within};
use crate::telemetry::RedisFailed;

/// What waits to be sent, in texts and in bytes; more is lost, and said to be.
const MOST_WAITING: usize = 8192;
const MOST_WAITING_BYTES: usize = 16 << 20;

/// Bytes of one publication, from which on no more is added.
const FULL: usize = 256 << 10;

/// Texts taken from the queue at once.
const BATCH: usize = 512;

/// How often a node that has nothing to say says that it is there.
pub const BEAT: Duration = Duration::from_secs(5);

/// How long one publication may take.
const DELIVERY: Duration = Duration::from_secs(1);

/// Between two attempts to subscribe.
const PAUSE: Duration = Duration::from_millis(500);

/// Says to all other nodes. Clones say in one order.
#[derive(Clone)]
pub struct Sender {
    link: Arc<Link>,
    queue: mpsc::Sender<String>,
    held: Arc<Held>,
}

#[derive(Default)]
struct Held {
    bytes: AtomicUsize,
    /// Something was not sent, or may not have been.
    missed: AtomicBool,
}

/// Hears all other nodes.
pub struct Listener {
    link: Arc<Link>,
    channel: String,
    node: String,
    ears: Option<Ears>,
}

/// What there is to hear.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// From here on all is heard; what was said before is not.
    Began,
    Said {
        node: String,
        /// Something that was said before, by this node, did not come by.
        missed: bool,
        /// None where the node only says that it is there.
        lines: String,
    },
    /// Nothing is heard from here on.
    Ended,
}

struct Ears {
    stream: PubSubStream,
    deaf: CancellationToken,
    _end: DropGuard,
}

/// The first line of a publication.
#[derive(Serialize, Deserialize)]
struct Head {
    node: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    missed: bool,
}

pub(super) fn bus(link: &Arc<Link>, channel: &str, node: &str) -> (Sender, Listener) {
    let (queue, waiting) = mpsc::channel(MOST_WAITING);
    let held = Arc::new(Held::default());
    let channel = link.name(channel);
    let delivery = Delivery {
        link: link.clone(),
        channel: channel.clone(),
        node: node.to_owned(),
        held: held.clone(),
    };
    tokio::spawn(delivery.run(waiting));
    let sender = Sender { link: link.clone(), queue, held };
    (sender, Listener { link: link.clone(), channel, node: node.to_owned(), ears: None })
}

impl Sender {
    /// Whether what is said now may be heard. Where it may not, that is taken as a loss.
    pub fn is_open(&self) -> bool {
        let open = self.link.is_up();
        if !open {
            self.miss();
        }
        open
    }

    /// Says a text of one or more lines. Never waits; what cannot be said now is lost, and others
    /// hear that something was as soon as they hear anything.
    pub fn send(&self, text: String) {
        let size = text.len();
        let bytes = self.held.bytes.fetch_add(size, Ordering::Relaxed) + size;
        if bytes > MOST_WAITING_BYTES || self.queue.try_send(text).is_err() {
            self.held.bytes.fetch_sub(size, Ordering::Relaxed);
            self.miss();
        }
    }

    /// Others are to know that they may have missed something.
    pub fn miss(&self) {
        self.held.missed.store(true, Ordering::Relaxed);
    }
}

struct Delivery {
    link: Arc<Link>,
    channel: String,
    node: String,
    held: Arc<Held>,
}

impl Delivery {
    async fn run(self, mut waiting: mpsc::Receiver<String>) {
        let mut states = self.link.state();
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = self.link.ended.cancelled() => return,
                taken = waiting.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                }
                // Back again: what was lost is told at once.
                _ = states.changed() => {}
                () = self.link.clock.sleep(BEAT) => {}
            }
            let size: usize = batch.iter().map(String::len).sum();
            self.held.bytes.fetch_sub(size, Ordering::Relaxed);
            if *states.borrow_and_update() == State::Up {
                self.publish_all(&mut batch).await;
            } else if !batch.is_empty() {
                self.held.missed.store(true, Ordering::Relaxed);
            }
            batch.clear();
        }
    }

    async fn publish_all(&self, batch: &mut Vec<String>) {
        let mut texts = batch.drain(..).peekable();
        loop {
            let missed = self.held.missed.swap(false, Ordering::Relaxed);
            let head = Head { node: self.node.clone(), missed };
            let Ok(mut payload) = serde_json::to_string(&head) else { return };
            while payload.len() < FULL
                && let Some(text) = texts.next()
            {
                payload.push('\n');
                payload.push_str(&text);
            }
            let mut publish = redis::cmd("PUBLISH");
            publish.arg(&self.channel).arg(payload);
            let published = self.link.call(DELIVERY, |mut connection| async move {
                publish.query_async::<()>(&mut connection).await
            });
            if published.await.is_none() {
                self.held.missed.store(true, Ordering::Relaxed);
                return;
            }
            if texts.peek().is_none() {
                return;
            }
        }
    }
}

impl Listener {
    /// What comes next; `None` once nothing will any more. Own words are not heard.
    pub async fn next(&mut self) -> Option<Heard> {
        let ended = self.link.ended.clone();
        loop {
            let Some(ears) = &mut self.ears else {
                tokio::select! {
                    () = ended.cancelled() => return None,
                    ears = begin(&self.link, &self.channel) => self.ears = Some(ears),
                }
                return Some(Heard::Began);
            };
            let message = tokio::select! {
                biased;
                () = ended.cancelled() => return None,
                () = ears.deaf.cancelled() => None,
                message = ears.stream.next() => message,
            };
            let Some(message) = message else {
                self.ears = None;
                return Some(Heard::Ended);
            };
            if let Some(heard) = self.read(message.get_payload_bytes()) {
                return Some(heard);
            }
        }
    }

    fn read(&self, payload: &[u8]) -> Option<Heard> {
        let text = String::from_utf8_lossy(payload);
        let (head, lines) = text.split_once('\n').unwrap_or((&text, ""));
        // Another version's words, perhaps: that something was said is all that is understood.
        let Ok(head) = serde_json::from_str::<Head>(head) else {
            RedisFailed { why: "a publication cannot be read" }.emit();
            return Some(Heard::Said { node: String::new(), missed: true, lines: String::new() });
        };
        let (node, missed, lines) = (head.node, head.missed, lines.to_owned());
        (node != self.node).then_some(Heard::Said { node, missed, lines })
    }
}

/// Returns with a subscription, however long that takes.
async fn begin(link: &Arc<Link>, channel: &str) -> Ears {
    let mut states = link.state();
    loop {
        // The sender is part of the link, which we hold.
        let _ = states.wait_for(|state| *state == State::Up).await;
        let subscribe = async {
            let (mut sink, stream) = link.client.get_async_pubsub().await?.split();
            sink.subscribe(channel).await?;
            Ok((sink, stream))
        };
        match within(&link.clock, CONNECT, subscribe).await {
            Ok((sink, stream)) => {
                let deaf = CancellationToken::new();
                tokio::spawn(watch(link.clone(), sink, deaf.clone()));
                return Ears { stream, _end: deaf.clone().drop_guard(), deaf };
            }
            Err(Failed::Refused(why) | Failed::Broken(why)) => {
                RedisFailed { why: &why }.emit();
                link.clock.sleep(PAUSE).await;
            }
        }
    }
}

/// Cancels `deaf` when the subscription is no good any more.
async fn watch(link: Arc<Link>, mut sink: PubSubSink, deaf: CancellationToken) {
    let mut states = link.state();
    loop {
        tokio::select! {
            () = deaf.cancelled() => return,
            () = link.ended.cancelled() => return,
            _ = states.wait_for(|state| *state != State::Up) => break,
            () = link.clock.sleep(PROBE) => {}
        }
        if within(&link.clock, CONNECT, sink.ping::<redis::Value>()).await.is_err() {
            break;
        }
    }
    deaf.cancel();
}

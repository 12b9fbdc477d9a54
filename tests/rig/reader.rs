use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::receipts::Receipts;

pub const WEB_SOCKET: &str = "websocket";
/// So long nothing came: asks whether something was missed.
const SILENCE: Duration = Duration::from_millis(300);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A user's app: connected to some node, and again to the next one when that is gone; takes every
/// frame once, in order. Stops when it is dropped.
pub struct Reader {
    heard: Arc<Mutex<Heard>>,
    last: watch::Sender<u64>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
pub struct Heard {
    pub connections: usize,
    /// A gap that could not be filled, or a frame out of its order.
    pub complaints: Vec<String>,
}

struct Ear {
    user: String,
    token: String,
    urls: watch::Receiver<Vec<String>>,
    receipts: Receipts,
    heard: Arc<Mutex<Heard>>,
    last: watch::Sender<u64>,
}

impl Reader {
    pub fn start(
        user: String,
        token: String,
        urls: watch::Receiver<Vec<String>>,
        receipts: Receipts,
    ) -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let last = watch::Sender::new(0);
        let ear = Ear { user, token, urls, receipts, heard: heard.clone(), last: last.clone() };
        Self { heard, last, task: tokio::spawn(ear.listen()) }
    }

    /// Returns once it has heard everything up to `seq`.
    pub fn caught_up(&self, seq: u64) -> impl Future<Output = ()> + use<> {
        let mut last = self.last.subscribe();
        async move {
            last.wait_for(|last| *last >= seq).await.expect("the sender is ours");
        }
    }

    pub fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ear {
    async fn listen(mut self) {
        for turn in 0_usize.. {
            let url = {
                let urls = self.urls.wait_for(|urls| !urls.is_empty()).await;
                let Ok(urls) = urls else { return };
                urls[turn % urls.len()].replacen("http", "ws", 1)
            };
            let url = format!("{url}/ws/notifications/{}/?token={}", self.user, self.token);
            let connecting = tokio::time::timeout(SILENCE * 10, connect_async(url)).await;
            match connecting {
                Ok(Ok((socket, _))) => self.hear(socket).await,
                // It is gone, or stands still: the next one, after a breath.
                _ => drop(tokio::time::timeout(SILENCE / 3, self.urls.changed()).await),
            }
        }
    }

    /// Until the connection ends, or says nothing to a question.
    async fn hear(&self, mut socket: Socket) {
        self.heard(|heard| heard.connections += 1);
        let Some(status) = frame(&mut socket).await else { return };
        let epoch = status["data"]["epoch"].clone();
        let mut asked = 0;
        loop {
            let last = *self.last.borrow();
            if asked > 3 {
                return;
            }
            if asked > 0 || status["data"]["seq"].as_u64() > Some(last) {
                let resume = json!({"type": "resume", "epoch": epoch, "seq": last});
                if socket.send(Message::text(resume.to_string())).await.is_err() {
                    return;
                }
            }
            let ping = json!({"type": "ping"}).to_string();
            if socket.send(Message::text(ping)).await.is_err() {
                return;
            }
            asked += 1;
            while let Some(frame) = frame(&mut socket).await {
                if frame["type"] == "pong" {
                    asked = 1;
                }
                if !self.take(&frame).await {
                    return;
                }
            }
        }
    }

    /// `false`: something is missing before it.
    async fn take(&self, frame: &Value) -> bool {
        if frame["type"] == "resync" {
            self.heard(|heard| heard.complaints.push(format!("{}: {frame}", self.user)));
        }
        let Some(seq) = frame["seq"].as_u64().or_else(|| frame["data"]["seq"].as_u64()) else {
            return true;
        };
        let last = *self.last.borrow();
        if frame["type"] != "new_notification" || seq <= last {
            return true;
        }
        if seq > last + 1 {
            return false;
        }
        let id = frame["data"]["id"].as_str().unwrap_or_default();
        self.receipts.take(WEB_SOCKET, id.to_owned(), None).await;
        self.last.send_replace(seq);
        true
    }

    fn heard(&self, note: impl FnOnce(&mut Heard)) {
        note(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The next frame; `None` where none comes.
async fn frame(socket: &mut Socket) -> Option<Value> {
    loop {
        match tokio::time::timeout(SILENCE, socket.next()).await.ok()?? {
            Ok(Message::Text(text)) => return serde_json::from_str(text.as_str()).ok(),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

//! A channel that keeps what it is given, for `dev`, tests and `simulate`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::{Address, Channel, ContentKind, Outcome, Traits};
use crate::model::{ChannelName, MessageId, Parcel};

/// Messages kept: past that the oldest go.
pub const CAPTURED: usize = 10_000;

/// Takes everything, sends nothing. Clones of one share what it holds, so that the channels of a
/// node fill one outbox.
#[derive(Clone)]
pub struct Capture {
    traits: Traits,
    held: Arc<Mutex<VecDeque<Captured>>>,
}

/// One message as `GET /dev/outbox` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Captured {
    pub message_id: MessageId,
    pub channel: ChannelName,
    /// Always `capture`.
    pub provider: &'static str,
    pub to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub body: String,
    /// The body, where it is HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The text beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The content's further parts, and `idempotency_key` and `attempt`.
    pub headers: BTreeMap<String, String>,
    pub at: Timestamp,
}

impl Capture {
    pub const PROVIDER: &'static str = "capture";

    pub fn new(traits: Traits) -> Self {
        Self { traits, held: Arc::default() }
    }

    /// Another channel into the same outbox.
    pub fn with_traits(&self, traits: Traits) -> Self {
        Self { traits, held: Arc::clone(&self.held) }
    }

    /// What is held, oldest first.
    pub fn list(&self) -> Vec<Captured> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub fn clear(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Default for Capture {
    /// Takes any content for anybody, as a channel that people notice.
    fn default() -> Self {
        Self::new(Traits {
            interrupts: true,
            idempotent: true,
            address: Address::Email,
            kind: ContentKind::Text,
            fixed_address: false,
        })
    }
}

#[async_trait]
impl Channel for Capture {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn send(&self, parcel: &Parcel, _deadline: Duration) -> Outcome {
        let captured = Captured::from(parcel);
        let receipt = Some(captured.message_id.to_string());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() == CAPTURED {
            held.pop_front();
        }
        held.push_back(captured);
        Outcome::Accepted { receipt, detail: None }
    }
}

impl From<&Parcel> for Captured {
    fn from(parcel: &Parcel) -> Self {
        let content = &parcel.content;
        let mut headers = content.parts.clone();
        let (text, title) = (headers.remove("text"), headers.remove("title"));
        headers.insert("idempotency_key".into(), parcel.idempotency_key.clone());
        headers.insert("attempt".into(), parcel.attempt.to_string());
        Self {
            message_id: parcel.message,
            channel: parcel.channel.clone(),
            provider: Capture::PROVIDER,
            to: parcel.to.clone(),
            title: title.or_else(|| content.subject.clone()),
            subject: content.subject.clone(),
            body: content.body.clone(),
            html: (content.kind == "html").then(|| content.body.clone()),
            text,
            headers,
            at: parcel.at,
        }
    }
}

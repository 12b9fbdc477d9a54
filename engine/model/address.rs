use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{AttemptNumber, ChannelName, MessageId};

/// What a template made for one message: the channel's own parts, by their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// `html`, `text` or `json`.
    pub kind: &'static str,
    /// E-mail's `subject`, else the `title` of the front matter. Never holds a line break.
    pub subject: Option<String>,
    pub body: String,
    /// Further named parts and front matter fields: `text` (an e-mail's text part), `preheader`,
    /// `action_url` …
    pub parts: BTreeMap<String, String>,
    /// `metadata` of an inbox entry.
    pub metadata: Map<String, Value>,
}

/// What a channel is given: a rendered message with an address, and nothing of the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    pub message: MessageId,
    pub channel: ChannelName,
    pub tenant: String,
    /// The same for every attempt: the message's id. Travels to the provider (webhook-id,
    /// Message-ID) so that it can tell a repetition.
    pub idempotency_key: String,
    pub attempt: AttemptNumber,
    /// An address of the channel's own kind (mailbox, number, URL). Empty where the provider's
    /// settings hold the only one.
    pub to: String,
    pub content: Content,
    /// Growth path of channel.wit: `event`, `workflow`, `sent_at` …
    pub extra: BTreeMap<String, String>,
    pub at: Timestamp,
}

use std::sync::Arc;
use std::time::Duration;

use super::{Fields, Send, send};
use crate::diagnostic::Node;
use crate::model::Span;

/// Channels one after another, until one succeeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The message, and the channels in their order. It has no condition: the step's is asked
    /// when the step begins.
    pub send: Send,
    pub success: Success,
    /// How long one channel has to succeed, where the file says it.
    pub within: Option<Span>,
}

/// What a channel has to reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Success {
    #[default]
    Accepted,
    Delivered,
    Seen,
    Read,
}

const SUCCESSES: [(&str, Success); 4] = [
    ("accepted", Success::Accepted),
    ("delivered", Success::Delivered),
    ("seen", Success::Seen),
    ("read", Success::Read),
];

/// `within` for what may never happen, where the file gives none.
const WITHIN: Duration = Duration::from_secs(5 * 60);

impl Route {
    /// How long one channel has; `None`: until its message ends.
    pub fn within(&self) -> Option<Span> {
        self.within.or((self.success != Success::Accepted).then_some(Span(WITHIN)))
    }
}

impl Success {
    /// Whether it is the reader that decides.
    pub fn is_read(self) -> bool {
        matches!(self, Self::Seen | Self::Read)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Seen => "seen",
            Self::Read => "read",
        }
    }
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>, place: Arc<str>) -> Option<Route> {
    let reader = fields.reader;
    fields.take("route");
    let mut fields = fields.join(value);
    let channels = fields.texts("channels");
    if channels.is_empty() {
        reader.error("route.channels", fields.span.clone(), "a `route` step needs `channels`");
    }
    let send = send::message(&mut fields, channels, None, place);
    let success = fields.word("success", &SUCCESSES);
    let within = fields.span("within");
    fields.finish();
    Some(Route { send, success, within })
}

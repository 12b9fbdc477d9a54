//! The channel that is our own: its delivery is a row.

use jiff::Timestamp;

use super::attempt::Ended;
use crate::model::{Attempt, AttemptOutcome, Entry};
use crate::render::Rendered;

/// The name under which the journal knows the inbox.
pub(super) const INBOX: &str = "inbox";

/// Puts a rendered in-app message into its recipient's inbox. The store gives it its `seq` in the
/// transaction that says so.
pub(super) fn deliver(rendered: &Rendered, at: Timestamp) -> Ended {
    let planned = rendered.planned();
    let message = &planned.message;
    let content = rendered.content();
    let attempt = Attempt {
        message: message.id,
        number: message.attempt + 1,
        provider: INBOX.into(),
        started_at: at,
        finished_at: at,
        outcome: AttemptOutcome::Accepted,
        code: None,
        detail: None,
        receipt: None,
    };
    // The gates let no in-app message pass that has no user.
    let user = message.recipient.clone().unwrap_or_else(|| "".into());
    let entry = Entry {
        id: message.run,
        event: message.event,
        user,
        seq: 0,
        category: message.category.clone(),
        title: content.subject.clone().unwrap_or_default(),
        message: content.body.clone(),
        priority: message.priority,
        metadata: content.metadata.clone(),
        created_at: at,
        read_at: None,
        sensitive: planned.run.sensitive,
        public_title: content.parts.get("public_title").cloned(),
    };
    Ended::delivered(entry, attempt, rendered.passes().to_vec())
}

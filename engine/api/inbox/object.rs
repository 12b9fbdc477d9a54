//! The notification object, short and whole.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::State;
use crate::model::{
    Attempt, AttemptOutcome, Category, Entry, Message, MessageStatus, Priority, RunId, UserId,
};
use crate::store::StoreError;

/// The short form: what the list gives.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Notification {
    #[schema(value_type = String, format = Uuid)]
    id: RunId,
    #[schema(value_type = String)]
    notification_type: Category,
    title: String,
    message: String,
    #[schema(value_type = String)]
    priority: Priority,
    is_read: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// The whole: what the detail gives.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NotificationDetail {
    #[serde(flatten)]
    notification: Notification,
    /// `{id, username, email, first_name, last_name}`.
    #[schema(value_type = Object)]
    recipient: Value,
    /// The same of who caused it, if anybody did.
    #[schema(value_type = Option<Object>)]
    sender: Value,
    #[schema(value_type = Option<String>, format = DateTime)]
    read_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_for: Option<Timestamp>,
    /// `pending`, `sent`, `delivered` or `failed`.
    delivery_status: &'static str,
    channels: Vec<String>,
    delivery_attempts: usize,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_delivery_attempt: Option<Timestamp>,
    #[schema(value_type = Vec<Object>)]
    delivery_errors: Vec<Value>,
}

impl From<Entry> for Notification {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            notification_type: entry.category,
            title: entry.title,
            message: entry.message,
            priority: entry.priority,
            is_read: entry.read_at.is_some(),
            created_at: entry.created_at,
            metadata: entry.metadata,
        }
    }
}

/// Gathers what the entry's run did, and who is concerned.
pub async fn detail(api: &State, entry: Entry) -> Result<NotificationDetail, StoreError> {
    let deliveries = api.store.deliveries(entry.id).await?;
    let actor = api.store.event(entry.event).await?.and_then(|record| record.event.actor);
    let sender = match actor {
        Some(actor) => person(api, &actor).await?,
        None => Value::Null,
    };
    let channels: BTreeSet<_> =
        deliveries.iter().map(|(message, _)| message.channel.to_string()).collect();
    let attempts = || deliveries.iter().flat_map(|(_, attempts)| attempts);
    Ok(NotificationDetail {
        recipient: person(api, &entry.user).await?,
        sender,
        read_at: entry.read_at,
        scheduled_for: None,
        delivery_status: status(&deliveries),
        channels: channels.into_iter().collect(),
        delivery_attempts: attempts().count(),
        last_delivery_attempt: attempts().map(|attempt| attempt.started_at).max(),
        delivery_errors: errors(&deliveries),
        notification: entry.into(),
    })
}

async fn person(api: &State, id: &UserId) -> Result<Value, StoreError> {
    let user = api.store.user(id).await?;
    let user = user.as_ref();
    Ok(json!({
        "id": id.to_json(),
        "username": user.and_then(|user| user.username.as_deref()),
        "email": user.and_then(|user| user.email.as_deref()),
        "first_name": user.and_then(|user| user.first_name.as_deref()),
        "last_name": user.and_then(|user| user.last_name.as_deref()),
    }))
}

/// Failed: all failed; pending: any pending; delivered: all delivered; else sent. What a gate dropped, or was cancelled,
/// does not count: it was not to be delivered.
fn status(deliveries: &[(Message, Vec<Attempt>)]) -> &'static str {
    use MessageStatus::{Bounced, Cancelled, Complained, Delivered, Failed, Suppressed};

    let mut counted = deliveries
        .iter()
        .map(|(message, _)| message.status)
        .filter(|status| !matches!(status, Suppressed | Cancelled))
        .peekable();
    if counted.peek().is_none() {
        return "sent";
    }
    let counted: Vec<_> = counted.collect();
    if counted.iter().all(|status| matches!(status, Failed | Bounced)) {
        "failed"
    } else if counted.iter().any(|status| !status.is_final()) {
        "pending"
    } else if counted.iter().all(|status| matches!(status, Delivered | Complained)) {
        "delivered"
    } else {
        "sent"
    }
}

fn errors(deliveries: &[(Message, Vec<Attempt>)]) -> Vec<Value> {
    let of_message = |(message, attempts): &(Message, Vec<Attempt>)| {
        let channel = message.channel.to_string();
        let failed = attempts.iter().filter(|one| one.outcome != AttemptOutcome::Accepted);
        let error = |attempt: &Attempt| {
            json!({
                "channel": channel,
                "provider": attempt.provider,
                "outcome": attempt.outcome,
                "code": attempt.code,
                "message": attempt.detail,
                "at": attempt.started_at,
            })
        };
        failed.map(error).collect::<Vec<_>>()
    };
    deliveries.iter().flat_map(of_message).collect()
}

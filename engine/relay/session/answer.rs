//! What a client asks for, done.

use axum::extract::ws::{Message, Utf8Bytes};
use serde_json::Value;

use super::wire::Received;
use super::{End, Session, Wire, catch_up, talk};
use crate::channel::Publish;
use crate::model::{Category, FrameBody, RunId, Stream, TopicName, UserId};
use crate::relay::protocol::{Complaint, Request, authenticated, pong, unchanged};
use crate::store::StoreError;
use crate::telemetry::{FrameReceived, StoreFailed};

/// Types that a connection may narrow itself to.
const MAX_TYPES: usize = 100;

pub async fn answer(session: &mut Session, wire: &mut Wire, received: Received) -> Result<(), End> {
    if matches!(received, Received::Pong) {
        return Ok(());
    }
    FrameReceived.emit();
    if !session.patience.take() {
        let message = "too many frames: slow down".into();
        return complain(session, wire, None, Complaint { code: "NOTIF_007", message }).await;
    }
    let text = match received {
        Received::Text(text) if text.len() <= session.relay.limits.max_frame_bytes => text,
        Received::Text(_) => {
            let most = session.relay.limits.max_frame_bytes;
            let message = format!("a frame takes at most {most} bytes");
            return complain(session, wire, None, Complaint { code: "TOO_LARGE", message }).await;
        }
        Received::Ping | Received::Pong => return Ok(()),
        Received::Binary => {
            let message = "a frame is JSON in a text message".into();
            return complain(session, wire, None, Complaint { code: "INVALID", message }).await;
        }
    };
    let (reference, request) = Request::read(&text);
    let reference = reference.as_ref();
    match request {
        Ok(request) => fulfil(session, wire, reference, request).await,
        Err(complaint) => complain(session, wire, reference, complaint).await,
    }
}

async fn fulfil(
    session: &mut Session,
    wire: &mut Wire,
    reference: Option<&Value>,
    request: Request,
) -> Result<(), End> {
    let done = match request {
        Request::Ping => Ok(Some(pong(reference))),
        Request::Resume { epoch, seq, topic } => match meant(session, topic.as_ref()) {
            Ok(place) => return catch_up::resume(session, wire, place, &epoch, seq).await,
            Err(complaint) => Err(complaint),
        },
        Request::MarkRead { notification_id } => mark_read(session, notification_id).await,
        Request::MarkAllRead { notification_type } => {
            mark_all_read(session, notification_type).await
        }
        Request::Subscribe { notification_types } => subscribe(session, notification_types),
        Request::Authenticate { token } => authenticate(session, &token).await,
        Request::Send { message } => talk::send(session, message, reference).await,
        Request::Typing { on } => talk::typing(session, on),
        Request::Read { seq } => talk::read(session, seq).await,
        Request::History { before, limit } => {
            talk::history(session, before, limit, reference).await
        }
    };
    match done {
        Ok(None) => Ok(()),
        Ok(Some(frame)) => wire.send(Message::Text(frame)).await,
        Err(complaint) => complain(session, wire, reference, complaint).await,
    }
}

/// Each complaint is a strike: a client that does not learn is let go.
async fn complain(
    session: &mut Session,
    wire: &mut Wire,
    reference: Option<&Value>,
    complaint: Complaint,
) -> Result<(), End> {
    wire.send(Message::Text(complaint.encode(reference))).await?;
    if session.patience.strike() { Err(End::Abuse) } else { Ok(()) }
}

/// The frame that tells comes by the hub, to this connection as to the others; a frame to this one
/// alone where nothing changed.
async fn mark_read(session: &Session, id: RunId) -> Result<Option<Utf8Bytes>, Complaint> {
    let relay = &session.relay;
    let user = inbox(session)?;
    let marked = relay.store.mark(user, id, Some(relay.clock.now())).await;
    let Some((entry, frames)) = marked.map_err(unavailable)? else {
        let message = "notification not found".into();
        return Err(Complaint { code: "NOTIF_001", message });
    };
    relay.hub.publish(&frames);
    let body = FrameBody::NotificationRead { notification_id: entry.id, read_at: entry.read_at };
    Ok(if frames.is_empty() { unchanged(&body) } else { None })
}

async fn mark_all_read(
    session: &Session,
    category: Option<Category>,
) -> Result<Option<Utf8Bytes>, Complaint> {
    let relay = &session.relay;
    let now = relay.clock.now();
    let marked = relay.store.mark_all(inbox(session)?, category.as_ref(), now).await;
    let (affected_count, frames) = marked.map_err(unavailable)?;
    relay.hub.publish(&frames);
    let body = FrameBody::BulkUpdate {
        action: "mark_all_read".into(),
        affected_count,
        notification_type: category,
    };
    Ok(if frames.is_empty() { unchanged(&body) } else { None })
}

fn subscribe(session: &mut Session, types: Vec<Category>) -> Result<Option<Utf8Bytes>, Complaint> {
    if types.len() > MAX_TYPES {
        let message = format!("at most {MAX_TYPES} types can be named");
        return Err(Complaint { code: "INVALID", message });
    }
    session.types = types;
    Ok(None)
}

/// A fresh token of the same user lengthens the connection.
async fn authenticate(session: &mut Session, token: &str) -> Result<Option<Utf8Bytes>, Complaint> {
    let refused = |message: String| Complaint { code: "NOTIF_008", message };
    let claims = session.relay.tokens.verify(token).map_err(|error| refused(error.to_string()))?;
    if claims.sub != session.claims.sub {
        return Err(refused("the token is another user's".into()));
    }
    if !session.place.admits(&session.relay, &claims).await.map_err(unavailable)? {
        return Err(refused("the token does not open this any more".into()));
    }
    session.claims = claims;
    session.warned = false;
    Ok(Some(authenticated(session.claims.expires_at)))
}

/// Whose inbox the connection is to.
fn inbox(session: &Session) -> Result<&UserId, Complaint> {
    session.place.inbox().ok_or_else(|| {
        let message = "this connection is to no inbox".into();
        Complaint { code: "INVALID", message }
    })
}

/// The place among the session's streams of the topic that a client names.
fn meant(session: &Session, topic: Option<&TopicName>) -> Result<usize, Complaint> {
    let found = match topic {
        None if session.reading.len() == 1 => Some(0),
        None => None,
        Some(topic) => {
            let stream = Stream::Topic(topic.clone());
            session.reading.iter().position(|one| one.stream == stream)
        }
    };
    found.ok_or_else(|| {
        let message = "name the `topic`: one of those of this connection".into();
        Complaint { code: "INVALID", message }
    })
}

pub(super) fn unavailable(error: StoreError) -> Complaint {
    StoreFailed { stage: "relay", error: &error }.emit();
    Complaint { code: "UNAVAILABLE", message: "the store cannot answer now".into() }
}

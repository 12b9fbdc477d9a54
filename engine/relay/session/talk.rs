//! What members do in a room.

use axum::extract::ws::Utf8Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Session;
use super::answer::unavailable;
use crate::channel::Publish;
use crate::model::{RoomName, Saying, Stream, User};
use crate::relay::place::Place;
use crate::relay::protocol::Complaint;

/// Bytes of one message.
const MAX_MESSAGE: usize = 16 << 10;
/// Messages of one answer to `history`: by default, and at most.
const PAGE: (usize, usize) = (50, 200);
/// Messages of ours whose frames have not come back yet; for more, the `ref` is not told.
const MAX_SAID: usize = 64;

/// A message of this connection that waits for its frame, with the client's own id of it.
pub struct Said {
    pub id: Uuid,
    pub reference: Value,
}

/// Its frame, which comes to all, is the answer: to this connection with its `ref`.
pub async fn send(
    session: &mut Session,
    message: String,
    reference: Option<&Value>,
) -> Result<Option<Utf8Bytes>, Complaint> {
    let (room, history) = speaking(session)?;
    if message.trim().is_empty() || message.len() > MAX_MESSAGE {
        let message = format!("a message is text of 1 to {MAX_MESSAGE} bytes");
        return Err(Complaint { code: "INVALID", message });
    }
    let relay = session.relay.clone();
    let user = session.claims.sub.clone();
    // A member may have left since the connection began.
    if !relay.store.is_member(&room, &user).await.map_err(unavailable)? {
        let message = "you are no member of this room".into();
        return Err(Complaint { code: "NOTIF_008", message });
    }
    let known = relay.store.user(&user).await.map_err(unavailable)?;
    let username = known.as_ref().and_then(name).unwrap_or_else(|| user.to_string());
    let id: Uuid = relay.clock.id();
    let saying = Saying { id, room, user, username, message, at: relay.clock.now() };
    let frame = relay.store.say(&saying, history).await.map_err(unavailable)?;
    if let Some(reference) = reference
        && session.said.len() < MAX_SAID
    {
        session.said.push(Said { id, reference: reference.clone() });
    }
    relay.hub.publish(&[frame]);
    Ok(None)
}

/// Told to the room's other connections, and kept nowhere.
pub fn typing(session: &Session, on: bool) -> Result<Option<Utf8Bytes>, Complaint> {
    let (room, _) = speaking(session)?;
    let data = json!({ "room": room, "user_id": session.claims.sub.to_json(), "on": on });
    whisper(session, room, "typing", data);
    Ok(None)
}

/// The member has read up to `seq`: told to the others where that is new.
pub async fn read(session: &Session, seq: u64) -> Result<Option<Utf8Bytes>, Complaint> {
    let (room, _) = speaking(session)?;
    let (relay, user) = (&session.relay, &session.claims.sub);
    let stream = Stream::Room(room.clone());
    let head = relay.store.stream_head(&stream).await.map_err(unavailable)?;
    if seq > head {
        let message = format!("nothing is at {seq}: the last is at {head}");
        return Err(Complaint { code: "INVALID", message });
    }
    if relay.store.read_up_to(&room, user, seq).await.map_err(unavailable)? {
        let data = json!({ "room": room, "user_id": user.to_json(), "seq": seq });
        whisper(session, room, "read_receipt", data);
    }
    Ok(None)
}

pub async fn history(
    session: &Session,
    before: Option<u64>,
    limit: Option<usize>,
    reference: Option<&Value>,
) -> Result<Option<Utf8Bytes>, Complaint> {
    let Place::Room { name, history: true, .. } = &session.place else {
        let message = "no history is kept here".into();
        return Err(Complaint { code: "INVALID", message });
    };
    let limit = limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let store = &session.relay.store;
    // One more than asked tells whether there is more.
    let mut found = store.history(name, before, limit + 1).await.map_err(unavailable)?;
    let more = found.len() > limit;
    if more {
        found.remove(0);
    }
    let messages: Vec<Value> = found.iter().map(|(seq, saying)| saying.to_json(*seq)).collect();
    let mut data = json!({ "room": name, "messages": messages, "more": more });
    if let Some(reference) = reference {
        data["ref"] = reference.clone();
    }
    Ok(Some(json!({ "type": "history", "data": data }).to_string().into()))
}

/// A room where members speak, and whether what they say is kept.
fn speaking(session: &Session) -> Result<(RoomName, bool), Complaint> {
    match &session.place {
        Place::Room { name, publish: true, history, .. } => Ok((name.clone(), *history)),
        _ => {
            let message = "nobody but the server speaks here".into();
            Err(Complaint { code: "INVALID", message })
        }
    }
}

fn whisper(session: &Session, room: RoomName, name: &str, data: Value) {
    let text = json!({ "type": name, "data": data }).to_string();
    session.relay.hub.whisper(&Stream::Room(room), text.into(), session.attached.id());
}

fn name(user: &User) -> Option<String> {
    let full = match (user.first_name.as_deref(), user.last_name.as_deref()) {
        (Some(first), Some(last)) => Some(format!("{first} {last}")),
        (one, other) => one.or(other).map(str::to_owned),
    };
    user.username.clone().or(full)
}

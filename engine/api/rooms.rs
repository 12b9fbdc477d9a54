//! Rooms and topics of the relay, as machines reach them.

use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Api;
use super::body;
use super::caller::Machine;
use super::path::At;
use super::problem::Problem;
use crate::auth::Scope;
use crate::ingest::FieldError;
use crate::model::{FrameBody, RoomName, Stream, TopicName, UserId};

/// Bytes of a name in a path, and of a frame's `type`.
const MAX_NAME: usize = 255;
/// Bytes of a publication's body.
const MAX_BODY: usize = 256 << 10;
/// Names of frames that say something of an inbox or a connection: those are the relay's own.
const OWN: [&str; 8] = [
    "connection_status",
    "new_notification",
    "notification_read",
    "bulk_update",
    "resync",
    "error",
    "pong",
    "authenticated",
];

#[derive(Serialize, utoipa::ToSchema)]
pub struct Membership {
    room: String,
    user: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Published {
    /// Its place in the stream.
    seq: u64,
}

#[utoipa::path(
    put, path = "/v1/rooms/{room}/members/{user}", tag = "relay",
    params(("room" = String, Path), ("user" = String, Path)),
    responses(
        (status = 200, description = "It was a member already", body = Membership),
        (status = 201, description = "It is a member", body = Membership),
    ),
)]
pub async fn join(
    extract::State(api): Api,
    machine: Machine,
    At((room, user)): At<(String, String)>,
) -> Result<(StatusCode, axum::Json<Membership>), Problem> {
    machine.needs(Scope::RoomsWrite)?;
    let (room, user) = names(room, user)?;
    let is_new = api.store.join(&room, &user).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let membership = Membership { room: room.to_string(), user: user.to_string() };
    Ok((status, axum::Json(membership)))
}

#[utoipa::path(
    delete, path = "/v1/rooms/{room}/members/{user}", tag = "relay",
    params(("room" = String, Path), ("user" = String, Path)),
    responses((status = 204, description = "It is no member, whether or not it was")),
)]
pub async fn leave(
    extract::State(api): Api,
    machine: Machine,
    At((room, user)): At<(String, String)>,
) -> Result<StatusCode, Problem> {
    machine.needs(Scope::RoomsWrite)?;
    let (room, user) = names(room, user)?;
    api.store.leave(&room, &user).await?;
    api.publish.knock(&Stream::Room(room), &user);
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    post, path = "/v1/rooms/{room}/messages", tag = "relay",
    params(("room" = String, Path)),
    request_body(content = Value, description = "{type, data}"),
    responses((status = 202, description = "It is in the room's stream", body = Published)),
)]
pub async fn tell(
    extract::State(api): Api,
    machine: Machine,
    At(room): At<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, axum::Json<Published>), Problem> {
    machine.needs(Scope::RoomsWrite)?;
    let mut fields = object(body::json(&headers, body, MAX_BODY).await?)?;
    let room = name("room", room)?;
    let mut errors = Vec::new();
    let frame = frame(&mut fields, &mut errors);
    publish(&api, Some(Stream::Room(room.into())), frame, fields, errors).await
}

#[utoipa::path(
    post, path = "/v1/relay/publish", tag = "relay",
    request_body(content = Value, description = "{topic or user or room, type, data}"),
    responses((status = 202, description = "It is in the stream", body = Published)),
)]
pub async fn relay(
    extract::State(api): Api,
    machine: Machine,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, axum::Json<Published>), Problem> {
    machine.needs(Scope::RelayPublish)?;
    let mut fields = object(body::json(&headers, body, MAX_BODY).await?)?;
    let mut errors = Vec::new();
    let stream = stream(&mut fields, &mut errors);
    let frame = frame(&mut fields, &mut errors);
    publish(&api, stream, frame, fields, errors).await
}

async fn publish(
    api: &super::State,
    stream: Option<Stream>,
    frame: Option<FrameBody>,
    unknown: Map<String, Value>,
    mut errors: Vec<FieldError>,
) -> Result<(StatusCode, axum::Json<Published>), Problem> {
    errors.extend(
        unknown.keys().map(|key| FieldError::new(format!("/{key}"), "there is no such field")),
    );
    let (Some(stream), Some(body), true) = (stream, frame, errors.is_empty()) else {
        return Err(Problem::invalid("publication.invalid", errors));
    };
    let frame = api.store.publish(&stream, body, api.clock.now()).await?;
    let seq = frame.seq;
    api.publish.publish(&[frame]);
    Ok((StatusCode::ACCEPTED, axum::Json(Published { seq })))
}

fn stream(fields: &mut Map<String, Value>, errors: &mut Vec<FieldError>) -> Option<Stream> {
    let mut given = Vec::new();
    for key in ["topic", "user", "room"] {
        let Some(value) = fields.remove(key).filter(|value| !value.is_null()) else { continue };
        let text = match key {
            "user" => UserId::from_json(&value).map(|user| user.to_string()),
            _ => value.as_str().map(str::to_owned),
        };
        match text.filter(|text| !text.is_empty() && text.len() <= MAX_NAME) {
            Some(text) => given.push(match key {
                "topic" => Stream::Topic(TopicName::from(text)),
                "user" => Stream::User(UserId::from(text)),
                _ => Stream::Room(RoomName::from(text)),
            }),
            None => {
                let message = format!("`{key}` is text of 1 to {MAX_NAME} bytes");
                errors.push(FieldError::new(format!("/{key}"), message));
            }
        }
    }
    if given.len() != 1 && errors.is_empty() {
        errors.push(FieldError::new("", "one of `topic`, `user` and `room` is needed"));
    }
    given.pop()
}

fn frame(fields: &mut Map<String, Value>, errors: &mut Vec<FieldError>) -> Option<FrameBody> {
    let name = match fields.remove("type") {
        Some(Value::String(name)) if !name.is_empty() && name.len() <= MAX_NAME => name,
        _ => {
            let message = format!("`type` is text of 1 to {MAX_NAME} bytes");
            errors.push(FieldError::new("/type", message));
            return None;
        }
    };
    if OWN.contains(&name.as_str()) {
        errors.push(FieldError::new("/type", format!("`{name}` is the relay's own")));
        return None;
    }
    let data = fields.remove("data").unwrap_or_else(|| Map::new().into());
    Some(FrameBody::Published { name, data })
}

fn object(value: Value) -> Result<Map<String, Value>, Problem> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => {
            let error = FieldError::new("", "the body is an object");
            Err(Problem::invalid("publication.invalid", vec![error]))
        }
    }
}

fn names(room: String, user: String) -> Result<(RoomName, UserId), Problem> {
    Ok((name("room", room)?.into(), name("user", user)?.into()))
}

fn name(noun: &str, name: String) -> Result<String, Problem> {
    if (1..=MAX_NAME).contains(&name.len()) {
        return Ok(name);
    }
    let message = format!("a {noun} in a path is text of 1 to {MAX_NAME} bytes");
    Err(Problem::invalid("path.invalid", vec![FieldError::new("", message)]))
}

use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::super::caller::EndUser;
use super::super::envelope::{ErrorEnvelope, InboxError};
use super::super::path::At;
use super::super::{Api, State, body};
use super::object::{self, NotificationDetail};
use crate::model::{Entry, RunId};

#[derive(Serialize, utoipa::ToSchema)]
pub struct UnreadCount {
    unread_count: u64,
}

#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document: the handler reads the body")]
pub struct ReadBody {
    /// `false` clears `read_at`.
    is_read: bool,
}

#[utoipa::path(
    get, path = "/api/notifications/{id}/", tag = "inbox", params(("id" = String, Path)),
    responses(
        (status = 200, description = "All of it", body = NotificationDetail),
        (status = 404, description = "None, or another's: NOTIF_001", body = ErrorEnvelope),
    ),
)]
pub async fn show(
    extract::State(api): Api,
    user: EndUser,
    At(id): At<String>,
) -> Result<axum::Json<NotificationDetail>, InboxError> {
    let entry = find(&api, &user, &id).await?;
    Ok(axum::Json(object::detail(&api, entry).await?))
}

#[utoipa::path(
    patch, path = "/api/notifications/{id}/", tag = "inbox", params(("id" = String, Path)),
    request_body = ReadBody,
    responses(
        (status = 200, description = "All of it", body = NotificationDetail),
        (status = 400, description = "The body does not fit", body = ErrorEnvelope),
        (status = 404, description = "None, or another's: NOTIF_001", body = ErrorEnvelope),
    ),
)]
pub async fn change(
    extract::State(api): Api,
    user: EndUser,
    At(id): At<String>,
    headers: HeaderMap,
    content: Body,
) -> Result<axum::Json<NotificationDetail>, InboxError> {
    let value = body::json(&headers, content, api.server.max_body).await?;
    let Some(is_read) = value.get("is_read").and_then(Value::as_bool) else {
        return Err(InboxError::invalid("is_read", "`is_read` is true or false"));
    };
    let entry = find(&api, &user, &id).await?;
    let read_at = is_read.then(|| api.clock.now());
    let marked = api.store.mark(&entry.user, entry.id, read_at).await?;
    let (entry, frames) = marked.ok_or_else(InboxError::not_found)?;
    api.publish.publish(&frames);
    Ok(axum::Json(object::detail(&api, entry).await?))
}

#[utoipa::path(
    delete, path = "/api/notifications/{id}/", tag = "inbox", params(("id" = String, Path)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "None, or another's: NOTIF_001", body = ErrorEnvelope),
    ),
)]
pub async fn erase(
    extract::State(api): Api,
    user: EndUser,
    At(id): At<String>,
) -> Result<StatusCode, InboxError> {
    let entry = find(&api, &user, &id).await?;
    let (deleted, _, frames) =
        api.store.delete_many(&entry.user, &[entry.id], api.clock.now()).await?;
    api.publish.publish(&frames);
    if deleted == 0 { Err(InboxError::not_found()) } else { Ok(StatusCode::NO_CONTENT) }
}

#[utoipa::path(
    get, path = "/api/notifications/unread-count/", tag = "inbox",
    responses((status = 200, description = "How many are unread", body = UnreadCount)),
)]
pub async fn unread(
    extract::State(api): Api,
    user: EndUser,
) -> Result<axum::Json<UnreadCount>, InboxError> {
    Ok(axum::Json(UnreadCount { unread_count: api.store.unread(user.id()).await? }))
}

/// The entry, if there is one and the caller may know.
async fn find(api: &State, user: &EndUser, id: &str) -> Result<Entry, InboxError> {
    let id: RunId = id.parse().map_err(|_| InboxError::not_found())?;
    let entry = api.store.entry(id).await?.filter(|entry| user.may_touch(&entry.user));
    entry.ok_or_else(InboxError::not_found)
}

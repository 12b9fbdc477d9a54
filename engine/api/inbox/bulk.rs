use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::caller::EndUser;
use super::super::envelope::{ErrorDetail, ErrorEnvelope, InboxError};
use super::super::{Api, State, body};
use super::known_type;
use crate::model::RunId;

/// Ids of one call.
const MAX_IDS: usize = 1000;

#[derive(Serialize, utoipa::ToSchema)]
pub struct Affected {
    affected_count: u64,
    /// NOTIF_009 with the ids that were not the caller's, where there are some (207).
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDetail>,
}

#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document: the handler reads the body")]
pub struct TypeBody {
    notification_type: Option<String>,
}

#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document: `ids` reads the body")]
pub struct IdsBody {
    /// At most 1,000.
    notification_ids: Vec<String>,
}

#[utoipa::path(
    post, path = "/api/notifications/mark-all-read/", tag = "inbox", request_body = TypeBody,
    responses(
        (status = 200, description = "How many changed", body = Affected),
        (status = 400, description = "An unknown type: NOTIF_002", body = ErrorEnvelope),
    ),
)]
pub async fn mark_all(
    extract::State(api): Api,
    user: EndUser,
    headers: HeaderMap,
    content: Body,
) -> Result<axum::Json<Affected>, InboxError> {
    const FIELD: &str = "notification_type";
    let value = body::optional_json(&headers, content, api.server.max_body).await?;
    if !value.is_object() {
        return Err(InboxError::invalid("", "the body is an object"));
    }
    let category = match value.get(FIELD) {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(known_type(&api, name, FIELD)?),
        Some(_) => return Err(InboxError::invalid(FIELD, "`notification_type` is text")),
    };
    let (affected_count, frames) =
        api.store.mark_all(user.id(), category.as_ref(), api.clock.now()).await?;
    api.publish.publish(&frames);
    Ok(axum::Json(Affected { affected_count, error: None }))
}

#[utoipa::path(
    post, path = "/api/notifications/mark-multiple-read/", tag = "inbox", request_body = IdsBody,
    responses(
        (status = 200, description = "How many changed", body = Affected),
        (status = 207, description = "Some were not found: NOTIF_009", body = Affected),
    ),
)]
pub async fn mark_many(
    extract::State(api): Api,
    user: EndUser,
    headers: HeaderMap,
    content: Body,
) -> Result<(StatusCode, axum::Json<Affected>), InboxError> {
    let ids = ids(&api, &headers, content).await?;
    let (affected, missing, frames) = api.store.mark_many(user.id(), &ids, api.clock.now()).await?;
    api.publish.publish(&frames);
    Ok(answer(affected, &missing))
}

#[utoipa::path(
    delete, path = "/api/notifications/bulk-delete/", tag = "inbox", request_body = IdsBody,
    responses(
        (status = 200, description = "How many are gone", body = Affected),
        (status = 207, description = "Some were not found: NOTIF_009", body = Affected),
    ),
)]
pub async fn delete_many(
    extract::State(api): Api,
    user: EndUser,
    headers: HeaderMap,
    content: Body,
) -> Result<(StatusCode, axum::Json<Affected>), InboxError> {
    let ids = ids(&api, &headers, content).await?;
    let (affected, missing, frames) =
        api.store.delete_many(user.id(), &ids, api.clock.now()).await?;
    api.publish.publish(&frames);
    Ok(answer(affected, &missing))
}

async fn ids(api: &State, headers: &HeaderMap, content: Body) -> Result<Vec<RunId>, InboxError> {
    const FIELD: &str = "notification_ids";
    let value = body::json(headers, content, api.server.max_body).await?;
    let Some(items) = value.get(FIELD).and_then(Value::as_array) else {
        return Err(InboxError::invalid(FIELD, "`notification_ids` is a list of ids"));
    };
    if items.len() > MAX_IDS {
        let message = format!("`notification_ids` takes at most {MAX_IDS} ids");
        return Err(InboxError::invalid(FIELD, message));
    }
    let id = |(place, item): (usize, &Value)| {
        let id = item.as_str().and_then(|text| text.parse().ok());
        id.ok_or_else(|| InboxError::invalid(format!("{FIELD}.{place}"), "an id is a UUID"))
    };
    items.iter().enumerate().map(id).collect()
}

fn answer(affected_count: u64, missing: &[RunId]) -> (StatusCode, axum::Json<Affected>) {
    if missing.is_empty() {
        return (StatusCode::OK, axum::Json(Affected { affected_count, error: None }));
    }
    let detail = |id: &RunId| json!({"notification_id": id, "code": "NOTIF_001"});
    let details = missing.iter().map(detail).collect();
    let error = Some(InboxError::partial(details));
    (StatusCode::MULTI_STATUS, axum::Json(Affected { affected_count, error }))
}

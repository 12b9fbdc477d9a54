use axum::body::Body;
use axum::extract::{self, RawQuery};
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::super::caller::EndUser;
use super::super::envelope::{ErrorEnvelope, InboxError};
use super::super::path::At;
use super::super::query::Query;
use super::super::{Api, body};
use crate::model::{Device, DeviceId, DeviceToken, DeviceType, Registration};
use crate::store::{DeviceChange, MOST_DEVICES, Registered, StoreError};

/// Devices of one answer.
const MOST_LISTED: usize = 10_000;
/// Characters of a name or a version.
const LONGEST_TEXT: usize = 255;

#[derive(Serialize, utoipa::ToSchema)]
pub struct DeviceView {
    #[schema(value_type = i64)]
    id: DeviceId,
    /// Its last four characters.
    device_token: String,
    /// `android`, `ios` or `web`.
    #[schema(value_type = String)]
    device_type: DeviceType,
    device_name: Option<String>,
    app_version: Option<String>,
    /// Off: push messages do not go there.
    is_active: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When a provider last took a message for it.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DeviceList {
    results: Vec<DeviceView>,
}

#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document: `registration` reads the body")]
pub struct RegistrationBody {
    /// Visible ASCII, at most 4,096 bytes.
    device_token: String,
    /// `android`, `ios` or `web`.
    device_type: String,
    device_name: Option<String>,
    app_version: Option<String>,
}

#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document: `changes` reads the body")]
pub struct DeviceBody {
    is_active: Option<bool>,
    device_name: Option<String>,
    app_version: Option<String>,
}

#[utoipa::path(
    get, path = "/api/notifications/devices/", tag = "inbox",
    description = "The caller's devices; an admin's call lists all, or those of `user_id`.",
    params(("user_id" = Option<String>, Query, description = "Admin")),
    responses((status = 200, description = "By id", body = DeviceList)),
)]
pub async fn list(
    extract::State(api): Api,
    user: EndUser,
    RawQuery(raw): RawQuery,
) -> Result<axum::Json<DeviceList>, InboxError> {
    let query = Query::new(raw.as_deref());
    let everybody = user.0.is_admin() && query.get("user_id").is_none();
    let whose = if everybody { None } else { Some(user.subject(query.get("user_id"))?) };
    let devices = api.store.devices(whose.as_ref(), MOST_LISTED).await?;
    Ok(axum::Json(DeviceList { results: devices.into_iter().map(DeviceView::from).collect() }))
}

#[utoipa::path(
    post, path = "/api/notifications/devices/", tag = "inbox", request_body = RegistrationBody,
    description = "Registers a device for push messages; the same token again updates it.",
    responses(
        (status = 200, description = "The token was known: updated, and active", body = DeviceView),
        (status = 201, description = "Registered", body = DeviceView),
        (status = 400, description = "NOTIF_003 with the field", body = ErrorEnvelope),
        (status = 503, description = "NOTIF_003: no key to store it with", body = ErrorEnvelope),
    ),
)]
pub async fn register(
    extract::State(api): Api,
    user: EndUser,
    headers: HeaderMap,
    content: Body,
) -> Result<(StatusCode, axum::Json<DeviceView>), InboxError> {
    let value = body::json(&headers, content, api.server.max_body).await?;
    let registration = registration(&value)?;
    let registered = api.store.put_device(user.id(), &registration, api.clock.now()).await;
    let (status, device) = match registered {
        Ok(Registered::New(device)) => (StatusCode::CREATED, device),
        Ok(Registered::Known(device)) => (StatusCode::OK, device),
        Ok(Registered::Full) => {
            let message = format!("a user has at most {MOST_DEVICES} devices");
            return Err(InboxError::device("device_token", message));
        }
        Err(StoreError::NoKey { .. }) => return Err(InboxError::no_device_key()),
        Err(error) => return Err(error.into()),
    };
    Ok((status, axum::Json(device.into())))
}

#[utoipa::path(
    patch, path = "/api/notifications/devices/{id}/", tag = "inbox", params(("id" = i64, Path)),
    request_body = DeviceBody,
    responses(
        (status = 200, description = "Changed", body = DeviceView),
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
) -> Result<axum::Json<DeviceView>, InboxError> {
    let value = body::json(&headers, content, api.server.max_body).await?;
    let change = changes(&value)?;
    let now = api.clock.now();
    let changed = api.store.change_device(user.id(), device_id(&id)?, &change, now).await?;
    Ok(axum::Json(changed.ok_or_else(InboxError::no_device)?.into()))
}

#[utoipa::path(
    delete, path = "/api/notifications/devices/{id}/", tag = "inbox", params(("id" = i64, Path)),
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
    let deleted = api.store.delete_device(user.id(), device_id(&id)?).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(InboxError::no_device()) }
}

fn device_id(text: &str) -> Result<DeviceId, InboxError> {
    text.parse().map(DeviceId).map_err(|_| InboxError::no_device())
}

fn registration(value: &Value) -> Result<Registration, InboxError> {
    if !value.is_object() {
        return Err(InboxError::invalid("", "the body is an object"));
    }
    let token = value.get("device_token").and_then(Value::as_str).map(DeviceToken::new);
    let device_token = match token {
        Some(Ok(token)) => token,
        Some(Err(bad)) => return Err(InboxError::device("device_token", bad.to_string())),
        None => return Err(InboxError::device("device_token", "`device_token` is text")),
    };
    let word = value.get("device_type").and_then(Value::as_str).unwrap_or_default();
    let known = DeviceType::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word));
    let Some(device_type) = known else {
        let message = "`device_type` is one of android, ios and web";
        return Err(InboxError::device("device_type", message));
    };
    let text = |field| text(value, field).map_err(|why| InboxError::device(field, why));
    let (device_name, app_version) = (text("device_name")?, text("app_version")?);
    Ok(Registration {
        device_token,
        device_type,
        device_name: device_name.flatten(),
        app_version: app_version.flatten(),
    })
}

fn changes(value: &Value) -> Result<DeviceChange, InboxError> {
    if !value.is_object() {
        return Err(InboxError::invalid("", "the body is an object"));
    }
    let is_active = match value.get("is_active") {
        None => None,
        Some(Value::Bool(is_active)) => Some(*is_active),
        Some(_) => return Err(InboxError::invalid("is_active", "`is_active` is true or false")),
    };
    let text = |field| text(value, field).map_err(|why| InboxError::invalid(field, why));
    Ok(DeviceChange { is_active, name: text("device_name")?, app_version: text("app_version")? })
}

/// `None`: not said; `Some(None)`: said to be nothing.
fn text(value: &Value, field: &str) -> Result<Option<Option<String>>, String> {
    match value.get(field) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(text)) if text.chars().count() <= LONGEST_TEXT => {
            Ok(Some(Some(text.clone())))
        }
        Some(_) => Err(format!("`{field}` is text of at most {LONGEST_TEXT} characters")),
    }
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        Self {
            id: device.id,
            device_token: device.token.tail().to_owned(),
            device_type: device.kind,
            device_name: device.name,
            app_version: device.app_version,
            is_active: device.is_active,
            created_at: device.created_at,
            updated_at: device.updated_at,
            last_used_at: device.last_used_at,
        }
    }
}

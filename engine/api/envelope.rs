//! Errors of /api and of the WebSocket handshake's neighbours: the inbox API's envelope.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::body::BodyError;
use crate::ingest::preferences::BadPreference;
use crate::store::StoreError;
use crate::telemetry::StoreFailed;

/// An error as an end user's app sees it (docs/reference/api.md, "Inbox").
#[derive(Debug)]
pub struct InboxError {
    status: StatusCode,
    detail: ErrorDetail,
    /// Seconds.
    retry_after: Option<u64>,
}

/// `{"error": {…}}`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorEnvelope {
    error: ErrorDetail,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorDetail {
    /// `NOTIF_001` … `NOTIF_010`, `INVALID`, `UNAUTHENTICATED`, `FORBIDDEN`, `TOO_LARGE`.
    pub code: &'static str,
    pub message: String,
    /// The path in the body, or the query's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<Value>,
}

impl InboxError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let detail = ErrorDetail { code, message: message.into(), field: None, details: None };
        Self { status, detail, retry_after: None }
    }

    fn of_field(mut self, field: impl Into<String>) -> Self {
        self.detail.field = Some(field.into());
        self
    }

    /// There is none, or it is another's: the answer is the same.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOTIF_001", "notification not found")
    }

    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOTIF_001", "nothing is served at this path")
    }

    pub fn unknown_type(name: &str, field: &str) -> Self {
        let message = format!("`{name}` is no known notification type");
        Self::new(StatusCode::BAD_REQUEST, "NOTIF_002", message).of_field(field)
    }

    /// NOTIF_003: a device that cannot be registered.
    pub fn device(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "NOTIF_003", message).of_field(field)
    }

    /// NOTIF_003: tokens are stored sealed, and the operator gave no key.
    pub fn no_device_key() -> Self {
        let message = "devices cannot be registered here: `encryption.keys` holds no key";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "NOTIF_003", message)
    }

    /// There is none, or it is another's: the answer is the same.
    pub fn no_device() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOTIF_001", "device not found")
    }

    pub fn too_fast(seconds: u64) -> Self {
        let message = "too many requests: come again later";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "NOTIF_007", message);
        Self { retry_after: Some(seconds), ..error }
    }

    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID", message).of_field(field)
    }

    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message)
    }

    pub fn method_not_allowed() -> Self {
        let message = "the method is not allowed here: see the Allow header";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "INVALID", message)
    }

    pub fn internal() -> Self {
        let message = "something is wrong here, not in the request";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message)
    }

    /// NOTIF_009: some of a list were not the caller's.
    pub fn partial(details: Value) -> ErrorDetail {
        let message = "some of the notifications were not found".into();
        ErrorDetail { code: "NOTIF_009", message, field: None, details: Some(details) }
    }
}

impl From<StoreError> for InboxError {
    fn from(error: StoreError) -> Self {
        StoreFailed { stage: "api", error: &error }.emit();
        match error {
            StoreError::Unreadable { .. } | StoreError::Locked { .. } => Self::internal(),
            _ => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let message = "the store cannot answer now: nothing was changed";
                Self { retry_after: Some(1), ..Self::new(status, "UNAVAILABLE", message) }
            }
        }
    }
}

impl From<BadPreference> for InboxError {
    fn from(bad: BadPreference) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "NOTIF_006", bad.message).of_field(bad.path)
    }
}

impl From<BodyError> for InboxError {
    fn from(error: BodyError) -> Self {
        let message = error.to_string();
        match error {
            BodyError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message)
            }
            BodyError::TooSlow => Self::new(StatusCode::REQUEST_TIMEOUT, "INVALID", message),
            BodyError::Overloaded => Self::too_fast(1),
            BodyError::MediaType | BodyError::Encoded => {
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "INVALID", message)
            }
            BodyError::NotJson { .. } | BodyError::Interrupted => {
                Self::new(StatusCode::BAD_REQUEST, "INVALID", message).of_field("")
            }
        }
    }
}

impl IntoResponse for InboxError {
    fn into_response(self) -> Response {
        let mut response =
            (self.status, axum::Json(ErrorEnvelope { error: self.detail })).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"nuncio\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

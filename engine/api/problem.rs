//! Errors of /v1: RFC 9457 problem documents.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::body::BodyError;
use crate::ingest::{FieldError, Refusal};
use crate::store::StoreError;
use crate::telemetry::StoreFailed;

/// An error as a service sees it. What went wrong inside stays inside, and in the log.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    /// Seconds.
    retry_after: Option<u64>,
}

/// `application/problem+json`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// `urn:nuncio:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// Stable: what programs compare.
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ProblemField>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemField {
    /// A JSON pointer into the body (in a list, into its item).
    pointer: String,
    detail: String,
}

impl Problem {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, code, title, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    pub fn unauthenticated(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "No valid API key", detail)
    }

    pub fn forbidden(scope: &str) -> Self {
        let detail = format!("the API key lacks the scope `{scope}`");
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The key does not allow this", detail)
    }

    pub fn not_found(noun: &str, id: &str) -> Self {
        let detail = format!("there is no {noun} `{id}`");
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
    }

    pub fn no_such_path(path: &str) -> Self {
        let detail = format!("nothing is served at `{path}`");
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
    }

    pub fn method_not_allowed(method: &str) -> Self {
        let detail = format!("`{method}` is not allowed here: see the Allow header");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, "method_not_allowed", "Method not allowed", detail)
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "Conflict with the current state", detail)
    }

    /// A body, or a query, that does not fit: every reason.
    pub fn invalid(code: &'static str, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.message.clone(),
            many => format!("{} fields do not fit", many.len()),
        };
        let title = "The request does not fit";
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, code, title, detail) }
    }

    pub fn too_many(noun: &str, limit: usize) -> Self {
        let detail = format!("at most {limit} {noun} are taken at once");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body.too_large", "Too large", detail)
    }

    pub fn not_genuine() -> Self {
        let detail = "the provider's plugin does not take this for the provider's";
        Self::new(StatusCode::UNAUTHORIZED, "callback.refused", "Not genuine", detail)
    }

    pub fn not_heard() -> Self {
        let detail = "the provider's plugin could not read this now: come again";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let problem = Self::new(status, "callback.not_heard", "Not heard", detail);
        Self { retry_after: Some(10), ..problem }
    }

    pub fn overloaded() -> Self {
        let detail = "too many events are being stored: come again";
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self { retry_after: Some(1), ..Self::new(status, "overloaded", "Overloaded", detail) }
    }

    pub fn internal() -> Self {
        let detail = "something is wrong here, not in the request";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    pub fn code(&self) -> &'static str {
        self.code
    }

    pub fn into_document(self) -> ProblemDocument {
        ProblemDocument {
            kind: format!("urn:nuncio:problem:{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code,
            errors: self
                .errors
                .into_iter()
                .map(|error| ProblemField { pointer: error.pointer, detail: error.message })
                .collect(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let status = match refusal.code {
            "event.conflict" => StatusCode::CONFLICT,
            "event.too_large" => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        let title = match refusal.code {
            "event.conflict" => "The idempotency key was used with another body",
            "event.too_large" => "The event is too large",
            "event.unknown" => "The event is not declared",
            _ => "The event does not fit",
        };
        Self { errors: refusal.errors, ..Self::new(status, refusal.code, title, detail) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        StoreFailed { stage: "api", error: &error }.emit();
        let status = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            StoreError::Unreadable { .. } | StoreError::Locked { .. } => Self::internal(),
            _ => {
                let detail = "the store cannot answer now: nothing was changed";
                let problem = Self::new(status, "store.unavailable", "Unavailable", detail);
                Self { retry_after: Some(1), ..problem }
            }
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let detail = error.to_string();
        let (status, code, title) = match error {
            BodyError::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body.too_large", "Too large")
            }
            BodyError::MediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "body.media_type",
                "The media type is not supported",
            ),
            BodyError::NotJson { .. } => {
                (StatusCode::BAD_REQUEST, "body.not_json", "The body is no JSON")
            }
            BodyError::Interrupted => {
                (StatusCode::BAD_REQUEST, "body.interrupted", "The body ended early")
            }
        };
        Self::new(status, code, title, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, retry_after) = (self.status, self.retry_after);
        let body = serde_json::to_vec(&self.into_document()).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"nuncio\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

//! Providers' own requests: whether one is genuine is the plugin's to say.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{self, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use super::Api;
use super::body::{self, BodyError};
use super::path::At;
use super::problem::{Problem, ProblemDocument};
use crate::channel::{CallbackError, Inbound};
use crate::model::ProviderName;
use crate::pipeline::{Answered, CallbackFailed};

/// Bytes of a provider's request.
const MAX_BODY: usize = 256 << 10;

/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// Plugins that read requests at once: they need no key, so a flood of them must not take every place
/// that sends have.
pub const AT_ONCE: usize = 16;

#[utoipa::path(
    post, path = "/v1/callbacks/{provider}", tag = "callbacks", security(()),
    description = "A provider's delivery reports, in its own words. Its plugin makes sure of who \
        asks; a report that was heard before changes nothing.",
    params(("provider" = String, Path, description = "A name of `providers`")),
    request_body = String,
    responses(
        (status = 200, description = "Heard; the status, type and body are the plugin's"),
        (status = 202, description = "Heard, and it is about no message that is known"),
        (status = 401, description = "Not genuine", body = ProblemDocument),
        (status = 404, description = "No such provider, or it does not call back", body = ProblemDocument),
        (status = 413, description = "Over 256 KiB", body = ProblemDocument),
        (status = 429, description = "Too many at once", body = ProblemDocument),
        (status = 503, description = "Not now: it was not heard", body = ProblemDocument),
    ),
)]
pub async fn receive(
    extract::State(api): Api,
    At(provider): At<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, content) = request.into_parts();
    let Ok(_room) = api.intake.try_acquire_many(MAX_BODY as u32 >> 10) else {
        return Err(Problem::overloaded());
    };
    let content = read(content).await?;
    let Ok(_place) = api.callbacks_at_once.try_acquire() else {
        return Err(Problem::overloaded());
    };
    let provider = ProviderName::from(provider.as_str());
    let inbound = Inbound {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect(),
        headers: headers(&parts.headers),
        body: content,
    };
    match api.callbacks.callback(&provider, &inbound).await {
        Ok(answered) => Ok(reply(answered)),
        Err(CallbackFailed::NoSuchProvider(provider)) => {
            Err(Problem::not_found("provider that calls back", provider.as_str()))
        }
        Err(CallbackFailed::Store(error)) => Err(error.into()),
        Err(CallbackFailed::Channel(CallbackError::Refused | CallbackError::Unsupported)) => {
            Err(Problem::not_genuine())
        }
        Err(CallbackFailed::Channel(CallbackError::Busy | CallbackError::Fault(_))) => {
            Err(Problem::not_heard())
        }
    }
}

async fn read(content: Body) -> Result<Vec<u8>, Problem> {
    match tokio::time::timeout(PATIENCE, body::read(content, MAX_BODY)).await {
        Ok(read) => Ok(read?.to_vec()),
        Err(_) => Err(BodyError::Interrupted.into()),
    }
}

/// Values that are no text are left out.
fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    let pairs = headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
    pairs.collect()
}

/// The plugin's answer, as something that no browser will run.
fn reply(Answered { called, known, unknown }: Answered) -> Response {
    let status = StatusCode::from_u16(called.status).unwrap_or(StatusCode::OK);
    let status = match known {
        0 if unknown > 0 && status.is_success() => StatusCode::ACCEPTED,
        _ => status,
    };
    let mut response = (status, called.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Some(kind) = called.content_type.and_then(|kind| HeaderValue::from_str(&kind).ok()) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    let safe = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, safe);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

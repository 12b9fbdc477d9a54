//! What stands around the handlers: errors where none of them was reached, counting, CORS.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{self, MatchedPath, Request};
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::envelope::InboxError;
use super::problem::Problem;
use super::{Api, State, paced};
use crate::config;
use crate::telemetry::{Fact, HandlerPanicked, RequestAnswered, Traced};

/// Seconds for which a browser may remember what it was allowed.
const PREFLIGHT_SECONDS: u64 = 600;

pub fn wrap(router: Router<Arc<State>>, state: &Arc<State>) -> Router<Arc<State>> {
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), guard))
}

/// Browsers' pages that may call the inbox API: the configured origins, by default none.
pub fn cors(server: &config::Server) -> CorsLayer {
    let origins = if server.allowed_origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let exact = server.allowed_origins.iter();
        AllowOrigin::list(exact.filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::RETRY_AFTER])
        .max_age(std::time::Duration::from_secs(PREFLIGHT_SECONDS))
}

pub async fn not_found(uri: Uri) -> Response {
    if is_inbox(uri.path()) {
        InboxError::no_such_path().into_response()
    } else {
        Problem::no_such_path(uri.path()).into_response()
    }
}

pub async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    if is_inbox(uri.path()) {
        InboxError::method_not_allowed().into_response()
    } else {
        Problem::method_not_allowed(method.as_str()).into_response()
    }
}

/// Counts the answer, bounds what is read of a body, and turns a panic into an answer of the
/// path's own kind.
async fn guard(
    extract::State(api): Api,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let method = counted(request.method());
    let inbox = is_inbox(request.uri().path());
    let name = || format!("{method} {}", route.as_ref().map_or("", MatchedPath::as_str));
    let parent = request.headers().get("traceparent").and_then(|text| text.to_str().ok());
    let span = if is_told(request.uri().path()) {
        Traced::of_request(name, parent)
    } else {
        Traced::none()
    };
    let answer = async {
        match paced::request(&api, request) {
            Ok(request) => next.run(request).await,
            Err(error) if inbox => InboxError::from(error).into_response(),
            Err(error) => Problem::from(error).into_response(),
        }
    };
    let answer = std::panic::AssertUnwindSafe(span.around(answer));
    let response = match futures_util::FutureExt::catch_unwind(answer).await {
        Ok(response) => response,
        Err(panic) => {
            HandlerPanicked { what: what(&*panic) }.emit();
            if inbox {
                InboxError::internal().into_response()
            } else {
                Problem::internal().into_response()
            }
        }
    };
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let status = response.status().as_u16();
    span.set(Fact::Status, || i64::from(status));
    RequestAnswered { method, route, status }.emit();
    response
}

fn what(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

/// Callers may send any word as a method: those that we do not serve count as one.
fn counted(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Whether a trace says anything of it: an operator's probes come every second.
fn is_told(path: &str) -> bool {
    path.starts_with("/v1/") || path.starts_with("/api/")
}

fn is_inbox(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/ws/")
}

//! What an operator's probes ask.

use std::net::SocketAddr;

use axum::extract::{self, ConnectInfo, FromRequestParts, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Api;
use super::caller::Machine;
use super::problem::Problem;
use crate::auth::Scope;
use crate::shared;
use crate::store::QueueName;

#[derive(Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`; `degraded`: all is served, but nodes share nothing; `unavailable`.
    status: &'static str,
    /// `up`, `down`, or `none` where it is not configured. Nothing needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Checks {
    store: bool,
    queue: bool,
    plugins: bool,
}

#[utoipa::path(
    get, path = "/healthz", tag = "operation", security(()),
    responses((status = 200, description = "The process lives", body = Health)),
)]
pub async fn live() -> axum::Json<Health> {
    axum::Json(Health { status: "ok", redis: None, checks: None })
}

#[utoipa::path(
    get, path = "/readyz", tag = "operation", security(()),
    responses(
        (status = 200, description = "Store, queue and plugins serve, with or without Redis", body = Health),
        (status = 503, description = "One of them does not", body = Health),
    ),
)]
pub async fn ready(extract::State(api): Api) -> (StatusCode, axum::Json<Health>) {
    let readiness = api.catalog.readiness();
    let checks = Checks {
        store: api.store.next_due(QueueName::Messages).await.is_ok(),
        queue: readiness.queue,
        plugins: readiness.plugins,
    };
    let ready = checks.store && checks.queue && checks.plugins;
    let redis = api.shared.state();
    let (code, status) = match (ready, redis) {
        (true, shared::State::Down) => (StatusCode::OK, "degraded"),
        (true, _) => (StatusCode::OK, "ok"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    (code, axum::Json(Health { status, redis: Some(redis.word()), checks: Some(checks) }))
}

#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    description = "Prometheus. Callers on this machine need no key.",
    responses((status = 200, description = "The text format", body = String)),
)]
pub async fn metrics(extract::State(api): Api, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    if !peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback()) {
        Machine::from_request_parts(&mut parts, &api).await?.needs(Scope::AdminRead)?;
    }
    let Some(metrics) = &api.metrics else { return Err(Problem::no_such_path("/metrics")) };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], metrics.render()).into_response())
}

use axum::extract;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Api;
use super::caller::Machine;
use super::events::EventHead;
use super::path::At;
use super::problem::{Problem, ProblemDocument};
use crate::auth::Scope;
use crate::explain::{self, Row};
use crate::model::MessageId;
use crate::store::Timeline;

/// `{event, rows}`, rows as `simulate --format json` prints them.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Explained {
    event: EventHead,
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Row>,
}

#[utoipa::path(
    get, path = "/v1/events/{id}/explain", tag = "events",
    description = "The time line of an event; an id of one of its runs or messages will do. As text \
        for people with `Accept: text/plain`.",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "What happened, when and why", body = Explained),
        (status = 404, description = "No such event", body = ProblemDocument),
    ),
)]
pub async fn event(
    extract::State(api): Api,
    machine: Machine,
    headers: HeaderMap,
    At(id): At<String>,
) -> Result<Response, Problem> {
    machine.needs(Scope::EventsRead)?;
    let unknown = || Problem::not_found("event", &id);
    let timeline = api.store.timeline(id.parse().map_err(|_| unknown())?).await?;
    let timeline = timeline.ok_or_else(unknown)?;
    if headers.get(ACCEPT).is_some_and(|accept| accept == "text/plain") {
        return Ok(explain::text(&timeline).into_response());
    }
    let rows = explain::rows(&timeline);
    Ok(axum::Json(Explained { event: timeline.event.into(), rows }).into_response())
}

#[utoipa::path(
    get, path = "/v1/messages/{id}/explain", tag = "messages",
    description = "The time line as far as it bears on one message: its own rows, and those of \
        its run and event that speak of no other message.",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "What happened, when and why", body = Explained),
        (status = 404, description = "No such message", body = ProblemDocument),
    ),
)]
pub async fn message(
    extract::State(api): Api,
    machine: Machine,
    At(id): At<String>,
) -> Result<axum::Json<Explained>, Problem> {
    machine.needs(Scope::MessagesRead)?;
    let unknown = || Problem::not_found("message", &id);
    let id: MessageId = id.parse().map_err(|_| unknown())?;
    let timeline = api.store.timeline(id.0).await?.ok_or_else(unknown)?;
    let rows = rows_of(&timeline, id).ok_or_else(unknown)?;
    Ok(axum::Json(Explained { event: timeline.event.into(), rows }))
}

fn rows_of(timeline: &Timeline, id: MessageId) -> Option<Vec<Row>> {
    let message = timeline.messages.iter().find(|message| message.id == id)?;
    let mut rows = explain::rows(timeline);
    rows.retain(|row| match (row.message, row.run) {
        (Some(other), _) => other == id,
        (None, Some(run)) => run == message.run,
        (None, None) => true,
    });
    Some(rows)
}

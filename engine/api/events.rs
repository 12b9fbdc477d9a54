use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::caller::Machine;
use super::path::At;
use super::problem::{Problem, ProblemDocument};
use super::{Api, State, body, lines};
use crate::auth::Scope;
use crate::config;
use crate::ingest::{Answer, Incoming, Refusal};
use crate::model::{Event, EventId, EventStatus, Priority, Run, RunId, RunStatus};
use crate::store::EventRecord;
use crate::telemetry::{EventsAccepted, EventsRefused};

/// Events in one array.
const MAX_ARRAY: usize = 1000;

/// What a request counts for at least between its reading and its commit: rows and a waiting task
/// cost more than a short body.
const LEAST_KIB: u32 = 8;

/// How these events came, for the metrics.
const SOURCE: &str = "http";

/// What became of one event.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum EventAnswer {
    Taken(Taken),
    /// Boxed: most events are taken, and a list holds many answers.
    Refused(Box<Refused>),
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Taken {
    #[schema(value_type = String, format = Uuid)]
    id: EventId,
    /// `accepted`, or `duplicate` of an earlier one with that id.
    status: TakenStatus,
}

#[derive(Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TakenStatus {
    Accepted,
    Duplicate,
}

/// An event of a list that was not taken.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Refused {
    /// Always `refused`.
    status: &'static str,
    error: ProblemDocument,
}

/// An event as a service sends it.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document: `ingest` reads the body")]
pub struct EventBody {
    name: String,
    #[schema(value_type = Object)]
    data: Option<Value>,
    /// A user's id, as text or as an integer: who did it; never told of it.
    actor: Option<String>,
    tenant: Option<String>,
    /// The same key and body again: the first answer; another body: 409.
    idempotency_key: Option<String>,
    /// When it happened (RFC 3339); in the future, a year at most, the event waits until then.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

#[utoipa::path(
    post, path = "/v1/events", tag = "events",
    description = "One event, an array of up to 1,000, or `application/x-ndjson` streamed. \
        Answered after the commit.",
    request_body(content = EventBody, content_type = "application/json"),
    responses(
        (status = 202, description = "Stored (an array for an array)", body = EventAnswer),
        (status = 207, description = "Some of a list were refused", body = [EventAnswer]),
        (status = 400, description = "The event does not fit", body = ProblemDocument),
        (status = 409, description = "The key was used with another body", body = ProblemDocument),
        (status = 413, description = "Too large", body = ProblemDocument),
        (status = 429, description = "Overloaded: see Retry-After", body = ProblemDocument),
    ),
)]
pub async fn create(
    extract::State(api): Api,
    machine: Machine,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Problem> {
    machine.needs(Scope::EventsWrite)?;
    if body::is_lines(&headers) {
        return lines::create(api, content).await;
    }
    if !body::is_json(&headers) {
        return Err(body::BodyError::MediaType.into());
    }
    let bytes = body::read(content, api.server.max_body).await?;
    let permit = enter(&api, bytes.len())?;
    let max_event = max_event(&api, bytes.len());
    let response = match body::parse(&bytes)? {
        Value::Array(items) => many(&api, items, max_event).await?,
        item => one(&api, item, max_event).await?,
    };
    drop(permit);
    Ok(response)
}

#[utoipa::path(
    get, path = "/v1/events/{id}", tag = "events", params(("id" = String, Path)),
    responses(
        (status = 200, description = "The event and its runs", body = EventView),
        (status = 404, description = "No such event", body = ProblemDocument),
    ),
)]
pub async fn show(
    extract::State(api): Api,
    machine: Machine,
    At(id): At<String>,
) -> Result<axum::Json<EventView>, Problem> {
    machine.needs(Scope::EventsRead)?;
    let unknown = || Problem::not_found("event", &id);
    let record = api.store.event(id.parse().map_err(|_| unknown())?).await?;
    record.map(|record| axum::Json(record.into())).ok_or_else(unknown)
}

/// What may be held at once, in KiB.
pub(super) fn intake(server: &config::Server) -> u32 {
    kib(server.max_intake)
}

/// Leave to hold that many bytes of events until they are committed, or 429.
fn enter(api: &State, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
    let permits = kib(bytes).max(LEAST_KIB).min(intake(&api.server));
    Arc::clone(&api.intake).try_acquire_many_owned(permits).map_err(|_| Problem::overloaded())
}

/// At least one, so that many small requests count too.
pub(super) fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes >> 10).unwrap_or(u32::MAX).max(1)
}

/// What one event's data may measure; no limit, and no measuring, where all of it is smaller.
pub(super) fn max_event(api: &State, bytes: usize) -> usize {
    if bytes <= api.server.max_event { usize::MAX } else { api.server.max_event }
}

async fn one(api: &State, item: Value, max_event: usize) -> Result<Response, Problem> {
    let event = Incoming::parse(item, max_event).map_err(counted)?;
    let answer = api.pipeline.accept(vec![event]).await?.pop().ok_or_else(Problem::internal)?;
    let taken = Taken::from(answer.map_err(counted)?);
    let duplicates = u64::from(taken.is_duplicate());
    EventsAccepted { source: SOURCE, accepted: 1 - duplicates, duplicates }.emit();
    Ok(written(StatusCode::ACCEPTED, &taken))
}

async fn many(api: &State, items: Vec<Value>, max_event: usize) -> Result<Response, Problem> {
    if items.len() > MAX_ARRAY {
        return Err(Problem::too_many("events in an array", MAX_ARRAY));
    }
    let events = items.into_iter().map(|item| Ok(Incoming::parse(item, max_event)?)).collect();
    let answers = accept(api, events).await?;
    let refused = answers.iter().any(|answer| matches!(answer, EventAnswer::Refused(_)));
    let status = if refused { StatusCode::MULTI_STATUS } else { StatusCode::ACCEPTED };
    Ok(written(status, &answers))
}

/// Stores those that fit, in one call; answers in order.
pub(super) async fn accept(
    api: &State,
    items: Vec<Result<Incoming, Problem>>,
) -> Result<Vec<EventAnswer>, Problem> {
    let mut answers = Vec::with_capacity(items.len());
    let mut events = Vec::with_capacity(items.len());
    let mut places = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Ok(event) => {
                places.push(answers.len());
                events.push(event);
                answers.push(None);
            }
            Err(problem) => answers.push(Some(EventAnswer::refused(problem))),
        }
    }
    if !events.is_empty() {
        let stored = api.pipeline.accept(events).await?;
        let (mut accepted, mut duplicates) = (0, 0);
        for (place, answer) in places.into_iter().zip(stored) {
            answers[place] = Some(match answer {
                Ok(answer) => {
                    let taken = Taken::from(answer);
                    *(if taken.is_duplicate() { &mut duplicates } else { &mut accepted }) += 1;
                    EventAnswer::Taken(taken)
                }
                Err(refusal) => EventAnswer::refused(refusal.into()),
            });
        }
        EventsAccepted { source: SOURCE, accepted, duplicates }.emit();
    }
    answers.into_iter().collect::<Option<_>>().ok_or_else(Problem::internal)
}

fn counted(refusal: Refusal) -> Problem {
    EventsRefused { count: 1, code: refusal.code }.emit();
    refusal.into()
}

fn written(status: StatusCode, answer: &impl Serialize) -> Response {
    let body = serde_json::to_vec(answer).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl From<Answer> for Taken {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Accepted(id) => Self { id, status: TakenStatus::Accepted },
            Answer::Duplicate(id) => Self { id, status: TakenStatus::Duplicate },
        }
    }
}

impl Taken {
    fn is_duplicate(&self) -> bool {
        matches!(self.status, TakenStatus::Duplicate)
    }
}

impl EventAnswer {
    fn refused(problem: Problem) -> Self {
        EventsRefused { count: 1, code: problem.code() }.emit();
        Self::Refused(Box::new(Refused { status: "refused", error: problem.into_document() }))
    }
}

/// An event as it was accepted, and how far it came. Ids are text.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EventView {
    #[serde(flatten)]
    event: EventHead,
    #[schema(value_type = String)]
    status: EventStatus,
    /// Runs so far: while the event waits, how far its planning has come.
    run_count: u64,
    /// The first 100 of them.
    runs: Vec<RunView>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct EventHead {
    #[schema(value_type = String, format = Uuid)]
    id: EventId,
    name: String,
    tenant: String,
    actor: Option<String>,
    #[schema(value_type = Object)]
    data: Value,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    idempotency_key: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct RunView {
    #[schema(value_type = String, format = Uuid)]
    id: RunId,
    workflow: String,
    version: String,
    recipient: Option<String>,
    /// The recipient's `as`.
    #[serde(rename = "as")]
    role: String,
    #[schema(value_type = String)]
    priority: Priority,
    key: Option<String>,
    #[schema(value_type = String)]
    status: RunStatus,
    /// When it goes on, while it waits.
    #[schema(value_type = Option<String>, format = DateTime)]
    wake_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
}

impl From<EventRecord> for EventView {
    fn from(record: EventRecord) -> Self {
        Self {
            event: record.event.into(),
            status: record.status,
            run_count: record.planned,
            runs: record.runs.into_iter().map(RunView::from).collect(),
        }
    }
}

impl From<Event> for EventHead {
    fn from(event: Event) -> Self {
        Self {
            id: event.id,
            name: event.name,
            tenant: event.tenant,
            actor: event.actor.map(|actor| actor.to_string()),
            data: event.data,
            at: event.at,
            received_at: event.received_at,
            idempotency_key: event.idempotency_key,
        }
    }
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            workflow: run.workflow.to_string(),
            version: run.version.to_string(),
            recipient: run.recipient.map(|recipient| recipient.to_string()),
            role: run.role,
            priority: run.priority,
            key: run.key,
            status: run.status,
            wake_at: run.wake_at,
            started_at: run.started_at,
        }
    }
}

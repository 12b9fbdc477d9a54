use axum::extract::{self, RawQuery};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::caller::Machine;
use super::path::At;
use super::problem::{Problem, ProblemDocument};
use super::query::Query;
use super::{Api, State};
use crate::auth::Scope;
use crate::model::{
    Attempt, AttemptOutcome, Deed, EventId, MessageId, MessageStatus, Priority, RunId,
};
use crate::store::{MessageQuery, MessageRecord};

pub const PARAMETERS: [&str; 10] = [
    "status", "channel", "user", "workflow", "provider", "code", "since", "until", "limit", "after",
];

/// Messages of a page: by default, and at most.
const PAGE: (usize, usize) = (100, 1000);

/// A page of a list.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MessagePage {
    results: Vec<MessageView>,
    /// The `after` of the next page; `null` on the last.
    next: Option<String>,
}

/// One recipient × one channel × one step, with its attempts.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MessageView {
    #[schema(value_type = String, format = Uuid)]
    id: MessageId,
    #[schema(value_type = String, format = Uuid)]
    event: EventId,
    #[schema(value_type = String, format = Uuid)]
    run: RunId,
    step: String,
    item: u32,
    channel: String,
    recipient: Option<String>,
    workflow: String,
    category: String,
    #[schema(value_type = String)]
    priority: Priority,
    #[schema(value_type = String)]
    status: MessageStatus,
    #[schema(value_type = String, format = DateTime)]
    due_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    attempt: u32,
    provider: Option<String>,
    receipt: Option<String>,
    /// Why it ended otherwise than sent or delivered: a decision's code.
    code: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    attempts: Vec<AttemptView>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct AttemptView {
    number: u32,
    provider: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    finished_at: Timestamp,
    #[schema(value_type = String)]
    outcome: AttemptOutcome,
    code: Option<String>,
    detail: Option<String>,
    receipt: Option<String>,
}

#[utoipa::path(
    get, path = "/v1/messages", tag = "messages", description = "Newest first.",
    params(
        ("status" = Option<String>, Query), ("channel" = Option<String>, Query),
        ("user" = Option<String>, Query), ("workflow" = Option<String>, Query),
        ("provider" = Option<String>, Query), ("code" = Option<String>, Query),
        ("since" = Option<String>, Query, description = "RFC 3339"),
        ("until" = Option<String>, Query, description = "RFC 3339"),
        ("limit" = Option<u32>, Query), ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page", body = MessagePage)),
)]
pub async fn list(
    extract::State(api): Api,
    machine: Machine,
    RawQuery(raw): RawQuery,
) -> Result<axum::Json<MessagePage>, Problem> {
    machine.needs(Scope::MessagesRead)?;
    let query = filters(&Query::of(raw.as_deref(), &PARAMETERS)?)?;
    let records = api.store.messages(&query).await?;
    let full = records.len() == query.limit;
    let next = records.last().filter(|_| full).map(|last| last.message.id.to_string());
    let results = records.into_iter().map(MessageView::from).collect();
    Ok(axum::Json(MessagePage { results, next }))
}

#[utoipa::path(
    get, path = "/v1/messages/{id}", tag = "messages", params(("id" = String, Path)),
    responses(
        (status = 200, description = "The message", body = MessageView),
        (status = 404, description = "No such message", body = ProblemDocument),
    ),
)]
pub async fn show(
    extract::State(api): Api,
    machine: Machine,
    At(id): At<String>,
) -> Result<axum::Json<MessageView>, Problem> {
    machine.needs(Scope::MessagesRead)?;
    let unknown = || Problem::not_found("message", &id);
    view(&api, id.parse().map_err(|_| unknown())?).await
}

async fn view(api: &State, id: MessageId) -> Result<axum::Json<MessageView>, Problem> {
    let record = api.store.message(id).await?;
    let record = record.ok_or_else(|| Problem::not_found("message", &id.to_string()))?;
    Ok(axum::Json(record.into()))
}

#[utoipa::path(
    post, path = "/v1/messages/{id}/retry", tag = "messages", params(("id" = String, Path)),
    description = "A failed, unknown or expired message falls due again.",
    responses(
        (status = 202, description = "It is due", body = MessageView),
        (status = 404, description = "No such message", body = ProblemDocument),
        (status = 409, description = "It is in no state to be retried", body = ProblemDocument),
    ),
)]
pub async fn retry(
    extract::State(api): Api,
    machine: Machine,
    At(id): At<String>,
) -> Result<(StatusCode, axum::Json<MessageView>), Problem> {
    use MessageStatus::{Expired, Failed, Unknown};

    machine.needs(Scope::MessagesWrite)?;
    let unknown = || Problem::not_found("message", &id);
    let key: MessageId = id.parse().map_err(|_| unknown())?;
    let before = api.store.retry(key, api.clock.now()).await?.ok_or_else(unknown)?;
    if !matches!(before, Failed | Unknown | Expired) {
        let detail = format!("message `{id}` is {}: it is not retried", before.as_str());
        return Err(Problem::conflict("message.not_retryable", detail));
    }
    api.record(machine.who(), Deed::MessageRetry, &id, json!({ "status": before })).await?;
    Ok((StatusCode::ACCEPTED, view(&api, key).await?))
}

#[utoipa::path(
    post, path = "/v1/messages/{id}/cancel", tag = "messages", params(("id" = String, Path)),
    description = "A message that has not left will not leave.",
    responses(
        (status = 200, description = "It is cancelled", body = MessageView),
        (status = 404, description = "No such message", body = ProblemDocument),
        (status = 409, description = "It has left, or ended", body = ProblemDocument),
    ),
)]
pub async fn cancel(
    extract::State(api): Api,
    machine: Machine,
    At(id): At<String>,
) -> Result<axum::Json<MessageView>, Problem> {
    machine.needs(Scope::MessagesWrite)?;
    let unknown = || Problem::not_found("message", &id);
    let key: MessageId = id.parse().map_err(|_| unknown())?;
    let before = api.store.cancel(key, api.clock.now()).await?.ok_or_else(unknown)?;
    if before.is_final() || before == MessageStatus::Sending {
        let detail = format!("message `{id}` is {}: it is not cancelled", before.as_str());
        return Err(Problem::conflict("message.not_cancellable", detail));
    }
    api.record(machine.who(), Deed::MessageCancel, &id, json!({ "status": before })).await?;
    view(&api, key).await
}

pub fn filters(query: &Query) -> Result<MessageQuery, Problem> {
    let status = query.get("status").map(|word| {
        let known = MessageStatus::ALL.into_iter().find(|status| status.as_str() == word);
        known.ok_or_else(|| {
            let words = MessageStatus::ALL.map(MessageStatus::as_str).join(", ");
            let message = format!("`status` is one of {words}");
            Problem::invalid("query.invalid", vec![crate::ingest::FieldError::new("", message)])
        })
    });
    Ok(MessageQuery {
        status: status.transpose()?,
        channel: query.get("channel").map(Into::into),
        user: query.get("user").map(Into::into),
        workflow: query.get("workflow").map(Into::into),
        provider: query.get("provider").map(Into::into),
        code: query.get("code").map(Into::into),
        since: query.read("since", "an RFC 3339 instant")?,
        until: query.read("until", "an RFC 3339 instant")?,
        after: query.read("after", "the `next` of another page")?,
        limit: query.limit(PAGE.0, PAGE.1)?,
        ..MessageQuery::default()
    })
}

impl From<MessageRecord> for MessageView {
    fn from(MessageRecord { message, attempts }: MessageRecord) -> Self {
        Self {
            id: message.id,
            event: message.event,
            run: message.run,
            step: message.step.to_string(),
            item: message.item,
            channel: message.channel.to_string(),
            recipient: message.recipient.map(|recipient| recipient.to_string()),
            workflow: message.workflow.to_string(),
            category: message.category.to_string(),
            priority: message.priority,
            status: message.status,
            due_at: message.due_at,
            expires_at: message.expires_at,
            attempt: message.attempt,
            provider: message.provider.map(|provider| provider.to_string()),
            receipt: message.receipt,
            code: message.code,
            created_at: message.created_at,
            attempts: attempts.into_iter().map(AttemptView::from).collect(),
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            provider: attempt.provider.to_string(),
            started_at: attempt.started_at,
            finished_at: attempt.finished_at,
            outcome: attempt.outcome,
            code: attempt.code,
            detail: attempt.detail,
            receipt: attempt.receipt,
        }
    }
}

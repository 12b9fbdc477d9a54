//! What is planned, and stopping it.

use axum::body::Body;
use axum::extract::{self, RawQuery};
use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::caller::Machine;
use super::problem::Problem;
use super::query::Query;
use super::{Api, body};
use crate::auth::Scope;
use crate::ingest::FieldError;
use crate::model::Deed;
use crate::pipeline::Foreseen;
use crate::store::{CalendarQuery, Due, Stop, Stopped};

/// Lines of a page of the calendar: by default, and at most.
const PAGE: (usize, usize) = (100, 1000);
const PARAMETERS: [&str; 6] = ["user", "workflow", "from", "until", "limit", "after"];

/// What an order to cancel stopped; ids.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Cancelled {
    runs: Vec<String>,
    /// Held, or waiting to leave.
    messages: Vec<String>,
    /// With a provider at that moment: they may arrive, and are not tried again.
    leaving: Vec<String>,
    /// Where stopped runs waited to go on with others: a batch, a digest.
    batches: Vec<BatchView>,
    /// Workflows whose further recipients are not told.
    unplanned: Vec<UnplannedView>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct BatchView {
    run: String,
    step: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct UnplannedView {
    event: String,
    workflow: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct CalendarPage {
    /// Earliest first.
    results: Vec<CalendarLine>,
    /// The `after` of the next page; `null` on the last.
    next: Option<String>,
}

/// One thing that is planned.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CalendarLine {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// In UTC.
    day: String,
    /// `event` (its moment lies ahead), `run` (it goes on) or `message` (it leaves).
    kind: &'static str,
    event: String,
    user: Option<String>,
    workflow: Option<String>,
    run: Option<String>,
    message: Option<String>,
    step: Option<String>,
    channel: Option<String>,
    /// Why a message is held: a decision's code.
    code: Option<String>,
    /// The further moments of the run's `schedule`.
    #[schema(value_type = Vec<String>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    later: Vec<Timestamp>,
}

#[utoipa::path(
    post, path = "/v1/runs/cancel", tag = "runs",
    description = "Stops at once what is planned for a key: `{workflow?, key, tenant?}`.",
    request_body = Object,
    responses((status = 200, description = "What was stopped", body = Cancelled)),
)]
pub async fn cancel(
    extract::State(api): Api,
    machine: Machine,
    headers: HeaderMap,
    body: Body,
) -> Result<axum::Json<Cancelled>, Problem> {
    machine.needs(Scope::MessagesWrite)?;
    let order = body::json(&headers, body, api.server.max_body).await?;
    let (workflow, key, tenant) = read(&order)?;
    let stop = Stop {
        tenant,
        workflow: workflow.map(Into::into),
        key,
        before: api.clock.id(),
        except: None,
        at: api.clock.now(),
        reason: "cancelled by hand".into(),
        rule: None,
    };
    let about = stop.key.clone();
    let filter = json!({ "workflow": stop.workflow, "tenant": stop.tenant });
    let stopped = api.store.stop(stop).await?;
    let counts = json!({
        "filter": filter,
        "runs": stopped.runs.len(),
        "messages": stopped.messages.len(),
    });
    api.record(machine.who(), Deed::RunsCancel, &about, counts).await?;
    Ok(axum::Json(stopped.into()))
}

#[utoipa::path(
    get, path = "/v1/calendar", tag = "runs",
    description = "What is planned: runs that go on, messages that leave, events whose moment lies \
        ahead. `from` is now where it is not given.",
    params(
        ("user" = Option<String>, Query), ("workflow" = Option<String>, Query),
        ("from" = Option<String>, Query, description = "RFC 3339"),
        ("until" = Option<String>, Query, description = "RFC 3339"),
        ("limit" = Option<u32>, Query), ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page", body = CalendarPage)),
)]
pub async fn calendar(
    extract::State(api): Api,
    machine: Machine,
    RawQuery(raw): RawQuery,
) -> Result<axum::Json<CalendarPage>, Problem> {
    machine.needs(Scope::MessagesRead)?;
    let query = Query::of(raw.as_deref(), &PARAMETERS)?;
    let instant = "an RFC 3339 instant";
    let query = CalendarQuery {
        user: query.get("user").map(Into::into),
        workflow: query.get("workflow").map(Into::into),
        from: query.read("from", instant)?.unwrap_or_else(|| api.clock.now()),
        until: query.read("until", instant)?.unwrap_or(Timestamp::MAX),
        after: query.get("after").map(after).transpose()?,
        limit: query.limit(PAGE.0, PAGE.1)?,
    };
    let found = api.pipeline.calendar(&query).await?;
    let next = found
        .last()
        .filter(|_| found.len() == query.limit)
        .map(|last| format!("{}/{}", last.planned.at.as_millisecond(), last.planned.id().simple()));
    Ok(axum::Json(CalendarPage { results: found.into_iter().map(Into::into).collect(), next }))
}

fn after(text: &str) -> Result<(Timestamp, uuid::Uuid), Problem> {
    let read = || {
        let (at, id) = text.split_once('/')?;
        Some((Timestamp::from_millisecond(at.parse().ok()?).ok()?, id.parse().ok()?))
    };
    let message = "`after` is the `next` of another page";
    read().ok_or_else(|| Problem::invalid("query.invalid", vec![FieldError::new("", message)]))
}

fn read(order: &Value) -> Result<(Option<String>, String, String), Problem> {
    let mut errors = Vec::new();
    let Some(fields) = order.as_object() else {
        let error = FieldError::new("", "an order is an object: {workflow?, key, tenant?}");
        return Err(Problem::invalid("run.shape", vec![error]));
    };
    for name in fields.keys().filter(|name| !["workflow", "key", "tenant"].contains(&name.as_str()))
    {
        errors.push(FieldError::new(format!("/{name}"), "this field is not known"));
    }
    let mut text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) if name == "key" => Some(number.to_string()),
        Some(_) => {
            errors.push(FieldError::new(format!("/{name}"), format!("`{name}` is text")));
            None
        }
    };
    let (workflow, key, tenant) = (text("workflow"), text("key"), text("tenant"));
    if key.is_none() && errors.is_empty() {
        errors.push(FieldError::new(
            "/key",
            "`key` is needed: what the runs' workflow calls them by",
        ));
    }
    match key {
        Some(key) if errors.is_empty() => Ok((workflow, key, tenant.unwrap_or_default())),
        _ => Err(Problem::invalid("run.shape", errors)),
    }
}

impl From<Stopped> for Cancelled {
    fn from(stopped: Stopped) -> Self {
        let unplanned = stopped.unplanned.iter().map(|(event, workflow)| UnplannedView {
            event: event.to_string(),
            workflow: workflow.to_string(),
        });
        let batches = stopped
            .batches
            .iter()
            .map(|(run, step)| BatchView { run: run.to_string(), step: step.to_string() });
        Self {
            runs: stopped.runs.iter().map(ToString::to_string).collect(),
            messages: stopped.messages.iter().map(ToString::to_string).collect(),
            leaving: stopped.leaving.iter().map(ToString::to_string).collect(),
            batches: batches.collect(),
            unplanned: unplanned.collect(),
        }
    }
}

impl From<Foreseen> for CalendarLine {
    fn from(Foreseen { planned, later }: Foreseen) -> Self {
        let line = Self {
            at: planned.at,
            day: planned.at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string(),
            kind: "event",
            event: planned.event.to_string(),
            user: None,
            workflow: None,
            run: None,
            message: None,
            step: None,
            channel: None,
            code: None,
            later: later.into_iter().map(|(_, at)| at).collect(),
        };
        match planned.due {
            Due::Event => line,
            Due::Run(run) => Self {
                kind: "run",
                user: run.recipient.map(|user| user.to_string()),
                workflow: Some(run.workflow.to_string()),
                run: Some(run.id.to_string()),
                step: run.position.map(|step| step.to_string()),
                ..line
            },
            Due::Message { message, run, user, workflow, step, channel, code } => Self {
                kind: "message",
                user: user.map(|user| user.to_string()),
                workflow: Some(workflow.to_string()),
                run: Some(run.to_string()),
                message: Some(message.to_string()),
                step: Some(step.to_string()),
                channel: Some(channel.to_string()),
                code,
                ..line
            },
        }
    }
}

//! Dead letters: what was given up, and what is held since it may have been sent.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{self, RawQuery};
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::caller::Machine;
use super::messages::{self, MessageView};
use super::problem::{Problem, ProblemDocument};
use super::query::Query;
use super::{Api, State, body};
use crate::auth::Scope;
use crate::ingest::FieldError;
use crate::model::{CODES, Deed, MessageId, MessageStatus};
use crate::store::{MOST_LETTERS, MessageQuery, MessageRecord, Redrive};

/// Letters of one call of a redrive: by default, and at most.
const MOST_REDRIVEN: usize = 10_000;
/// Letters that a dry run shows.
const SAMPLE: usize = 10;
const FILTERS: [&str; 8] =
    ["status", "channel", "user", "workflow", "provider", "code", "since", "until"];

#[derive(Serialize, utoipa::ToSchema)]
pub struct LetterPage {
    results: Vec<LetterView>,
    /// The `after` of the next page; `null` on the last.
    next: Option<String>,
}

/// A message that nobody will try again by itself.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LetterView {
    #[serde(flatten)]
    message: MessageView,
    /// Why it is here, for people: what the provider said last, or what the code means.
    reason: String,
}

/// What a redrive did, or would do.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Redriven {
    dry_run: bool,
    /// Letters that are on their way again; in a dry run, that would be.
    count: u64,
    /// In a dry run: the oldest of them.
    sample: Vec<LetterView>,
    /// The `after` of the call that goes on; `null`: that was all.
    next: Option<String>,
}

/// What to redrive: without a filter, everything.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document: the body is read with its pointers")]
pub struct RedriveBody {
    /// `failed`, `unknown` or `expired`.
    status: Option<String>,
    channel: Option<String>,
    user: Option<String>,
    workflow: Option<String>,
    provider: Option<String>,
    code: Option<String>,
    /// RFC 3339: made then or later, and before.
    since: Option<String>,
    until: Option<String>,
    /// Those too whose end is past. Default false.
    expired: Option<bool>,
    /// Only count. Default false.
    dry_run: Option<bool>,
    /// Letters of this call, 10,000 at most and by default.
    limit: Option<u32>,
    /// The `next` of the call before.
    after: Option<String>,
}

/// A redrive, read.
struct Order {
    query: MessageQuery,
    dry_run: bool,
    /// As the audit keeps it.
    filter: Map<String, Value>,
}

#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "messages",
    description = "Failed messages, and those held as unknown; newest first. `status=expired` lists \
        what could not leave in time.",
    params(
        ("status" = Option<String>, Query, description = "failed, unknown or expired"),
        ("channel" = Option<String>, Query), ("user" = Option<String>, Query),
        ("workflow" = Option<String>, Query), ("provider" = Option<String>, Query),
        ("code" = Option<String>, Query),
        ("since" = Option<String>, Query, description = "RFC 3339"),
        ("until" = Option<String>, Query, description = "RFC 3339"),
        ("limit" = Option<u32>, Query), ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page", body = LetterPage)),
)]
pub async fn list(
    extract::State(api): Api,
    machine: Machine,
    RawQuery(raw): RawQuery,
) -> Result<axum::Json<LetterPage>, Problem> {
    machine.needs(Scope::MessagesRead)?;
    let query = messages::filters(&Query::of(raw.as_deref(), &messages::PARAMETERS)?)?;
    let query = dead(query)?;
    let records = api.store.messages(&query).await?;
    let full = records.len() == query.limit;
    let next = records.last().filter(|_| full).map(|last| last.message.id.to_string());
    let results = records.into_iter().map(LetterView::from).collect();
    Ok(axum::Json(LetterPage { results, next }))
}

#[utoipa::path(
    post, path = "/v1/dead-letters/redrive", tag = "messages",
    description = "Sends dead letters on their way again, oldest first, each with its own key and a \
        new budget of attempts. Those past their end stay, unless `expired` or `status` says so. Go \
        on with `after` while there is a `next`; asked again, what is on its way is not meant.",
    request_body = RedriveBody,
    responses(
        (status = 200, description = "How many", body = Redriven),
        (status = 400, description = "It does not fit", body = ProblemDocument),
    ),
)]
pub async fn redrive(
    extract::State(api): Api,
    machine: Machine,
    headers: HeaderMap,
    content: Body,
) -> Result<axum::Json<Redriven>, Problem> {
    machine.needs(Scope::AdminWrite)?;
    let value = body::optional_json(&headers, content, api.server.max_body).await?;
    let order = read(value, &api)?;
    if order.dry_run {
        return Ok(axum::Json(counted(&api, &order.query).await?));
    }
    let who = machine.who();
    let redrive = Redrive { at: api.clock.now(), reason: format!("redriven by {who}") };
    let (count, next) = redriven(&api, order.query, &redrive).await?;
    let detail = json!({ "filter": order.filter, "count": count });
    api.record(who, Deed::LettersRedrive, "", detail).await?;
    let next = next.map(|id| id.to_string());
    Ok(axum::Json(Redriven { dry_run: false, count, sample: Vec::new(), next }))
}

async fn counted(api: &State, query: &MessageQuery) -> Result<Redriven, Problem> {
    let count = api.store.count_messages(query).await?;
    let first = MessageQuery { limit: SAMPLE, ..query.clone() };
    let mut sample = Vec::new();
    for id in api.store.letters(&first).await? {
        sample.extend(api.store.message(id).await?.map(LetterView::from));
    }
    Ok(Redriven { dry_run: true, count, sample, next: None })
}

/// A page in each write, so that nothing else waits long.
async fn redriven(
    api: &State,
    mut query: MessageQuery,
    redrive: &Redrive,
) -> Result<(u64, Option<MessageId>), Problem> {
    let (mut left, mut count) = (query.limit, 0);
    loop {
        query.limit = left.min(MOST_LETTERS);
        let page = api.store.letters(&query).await?;
        let full = page.len() == query.limit;
        left -= page.len();
        query.after = page.last().copied().or(query.after);
        count += api.store.redrive(page, redrive).await?;
        if !full {
            return Ok((count, None));
        }
        if left == 0 {
            return Ok((count, query.after));
        }
    }
}

/// Narrows a query to dead letters.
fn dead(query: MessageQuery) -> Result<MessageQuery, Problem> {
    match query.status {
        Some(MessageStatus::Expired) => Ok(query),
        Some(status) if !status.is_dead_letter() => {
            let message = "`status` of a dead letter is one of failed, unknown, expired";
            Err(Problem::invalid("query.invalid", vec![FieldError::new("", message)]))
        }
        _ => Ok(MessageQuery { dead: true, ..query }),
    }
}

fn read(order: Value, api: &State) -> Result<Order, Problem> {
    let Value::Object(mut fields) = order else {
        let error = FieldError::new("", "a redrive is an object of filters");
        return Err(invalid(vec![error]));
    };
    let mut errors = Vec::new();
    let mut flag = |name: &str| match fields.remove(name) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => flag,
        Some(_) => {
            errors.push(FieldError::new(format!("/{name}"), format!("`{name}` is true or false")));
            false
        }
    };
    let (dry_run, expired) = (flag("dry_run"), flag("expired"));
    let mut texts = BTreeMap::new();
    for (name, value) in &fields {
        match value {
            _ if !FILTERS.contains(&name.as_str()) && !["limit", "after"].contains(&&**name) => {
                errors.push(FieldError::new(format!("/{name}"), "this field is not known"));
            }
            Value::Null => {}
            Value::String(text) => _ = texts.insert(name.as_str(), text.clone()),
            Value::Number(number) => _ = texts.insert(name.as_str(), number.to_string()),
            _ => errors.push(FieldError::new(format!("/{name}"), format!("`{name}` is text"))),
        }
    }
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let limit = texts.entry("limit").or_insert(MOST_REDRIVEN.to_string()).clone();
    texts.remove("limit");
    let query = dead(messages::filters(&Query::from_pairs(&texts))?)?;
    let limit = limit.parse().ok().filter(|limit| (1..=MOST_REDRIVEN).contains(limit));
    let Some(limit) = limit else {
        let message = format!("`limit` is a number from 1 to {MOST_REDRIVEN}");
        return Err(invalid(vec![FieldError::new("/limit", message)]));
    };
    fields.retain(|name, value| FILTERS.contains(&name.as_str()) && !value.is_null());
    if expired {
        fields.insert("expired".into(), true.into());
    }
    let asked = expired || query.status == Some(MessageStatus::Expired);
    let in_time_at = (!asked).then(|| api.clock.now());
    Ok(Order { query: MessageQuery { limit, in_time_at, ..query }, dry_run, filter: fields })
}

fn invalid(errors: Vec<FieldError>) -> Problem {
    Problem::invalid("redrive.shape", errors)
}

impl From<MessageRecord> for LetterView {
    fn from(record: MessageRecord) -> Self {
        Self { reason: reason(&record), message: record.into() }
    }
}

fn reason(record: &MessageRecord) -> String {
    let said = record.attempts.last().and_then(|last| last.detail.clone().or(last.code.clone()));
    let code = record.message.code.as_deref();
    let known = CODES.iter().find(|known| Some(known.code) == code);
    match (said, known) {
        (Some(said), _) => said,
        (None, Some(known)) => known.meaning.to_owned(),
        (None, None) => code.unwrap_or(record.message.status.as_str()).to_owned(),
    }
}

use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::caller::Machine;
use super::merge::merge;
use super::path::At;
use super::problem::{Problem, ProblemDocument};
use super::{Api, State, body};
use crate::auth::Scope;
use crate::ingest::{self, FieldError};
use crate::model::{Deed, User, UserId};
use crate::store::Erased;

/// Users in one bulk call.
const MAX_BULK: usize = 1000;

/// A user. Ids are text.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UserView {
    id: String,
    username: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    /// BCP 47.
    locale: Option<String>,
    /// IANA.
    time_zone: Option<String>,
    role: Option<String>,
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A user as a service writes it; what is absent or `null` is nothing.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document: `ingest` reads the body")]
pub struct UserBody {
    /// The path's, if it is given.
    id: Option<String>,
    username: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    locale: Option<String>,
    time_zone: Option<String>,
    role: Option<String>,
    #[schema(value_type = Object)]
    data: Option<Value>,
}

/// What became of one user of a bulk call.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BulkAnswer {
    id: Option<String>,
    /// `created`, `updated` or `refused`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ProblemDocument>,
}

#[utoipa::path(
    put, path = "/v1/users/{id}", tag = "users", params(("id" = String, Path)),
    description = "Creates or replaces.", request_body = UserBody,
    responses(
        (status = 200, description = "Replaced", body = UserView),
        (status = 201, description = "Created", body = UserView),
        (status = 400, description = "It does not fit: every reason", body = ProblemDocument),
    ),
)]
pub async fn replace(
    extract::State(api): Api,
    machine: Machine,
    At(id): At<String>,
    headers: HeaderMap,
    content: Body,
) -> Result<(StatusCode, axum::Json<UserView>), Problem> {
    machine.needs(Scope::UsersWrite)?;
    let value = body::json(&headers, content, api.server.max_body).await?;
    let user = ingest::user::parse(value, Some(&id), api.clock.now()).map_err(invalid)?;
    let _turn = api.turns.of(&user.id).await;
    put(&api, user).await
}

#[utoipa::path(
    patch, path = "/v1/users/{id}", tag = "users", params(("id" = String, Path)),
    description = "Merges (RFC 7396): `null` removes.", request_body = UserBody,
    responses(
        (status = 200, description = "Changed", body = UserView),
        (status = 400, description = "It does not fit: every reason", body = ProblemDocument),
        (status = 404, description = "No such user", body = ProblemDocument),
    ),
)]
pub async fn change(
    extract::State(api): Api,
    machine: Machine,
    At(id): At<String>,
    headers: HeaderMap,
    content: Body,
) -> Result<axum::Json<UserView>, Problem> {
    machine.needs(Scope::UsersWrite)?;
    let patch = body::json(&headers, content, api.server.max_body).await?;
    let user_id = UserId::from(id.as_str());
    let _turn = api.turns.of(&user_id).await;
    let stored = find(&api, &id).await?;
    let mut value = serde_json::to_value(UserView::from(stored)).unwrap_or_default();
    merge(&mut value, patch);
    let user = ingest::user::parse(value, Some(&id), api.clock.now()).map_err(invalid)?;
    Ok(put(&api, user).await?.1)
}

#[utoipa::path(
    get, path = "/v1/users/{id}", tag = "users", params(("id" = String, Path)),
    responses(
        (status = 200, description = "The user", body = UserView),
        (status = 404, description = "No such user", body = ProblemDocument),
    ),
)]
pub async fn show(
    extract::State(api): Api,
    machine: Machine,
    At(id): At<String>,
) -> Result<axum::Json<UserView>, Problem> {
    machine.needs(Scope::UsersRead)?;
    Ok(axum::Json(find(&api, &id).await?.into()))
}

#[utoipa::path(
    delete, path = "/v1/users/{id}", tag = "users", params(("id" = String, Path)),
    description = "Erases the person's data everywhere, and keeps counts.",
    responses(
        (status = 204, description = "Erased"),
        (status = 404, description = "No such user", body = ProblemDocument),
    ),
)]
pub async fn erase(
    extract::State(api): Api,
    machine: Machine,
    At(id): At<String>,
) -> Result<StatusCode, Problem> {
    machine.needs(Scope::UsersWrite)?;
    let erased = api.store.erase_user(&id.as_str().into()).await?;
    let Erased { entries, messages, subscriptions } =
        erased.ok_or_else(|| Problem::not_found("user", &id))?;
    let counts =
        json!({ "entries": entries, "messages": messages, "subscriptions": subscriptions });
    api.record(machine.who(), Deed::UserErase, &id, counts).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    post, path = "/v1/users/bulk", tag = "users", request_body = [UserBody],
    description = "Creates or replaces up to 1,000; they fail one by one.",
    responses(
        (status = 200, description = "All are stored, answers in order", body = [BulkAnswer]),
        (status = 207, description = "Some were refused", body = [BulkAnswer]),
        (status = 413, description = "More than 1,000", body = ProblemDocument),
    ),
)]
pub async fn bulk(
    extract::State(api): Api,
    machine: Machine,
    headers: HeaderMap,
    content: Body,
) -> Result<(StatusCode, axum::Json<Vec<BulkAnswer>>), Problem> {
    machine.needs(Scope::UsersWrite)?;
    let Value::Array(items) = body::json(&headers, content, api.server.max_body).await? else {
        return Err(invalid(vec![FieldError::new("", "the body is an array of users")]));
    };
    if items.len() > MAX_BULK {
        return Err(Problem::too_many("users", MAX_BULK));
    }
    let now = api.clock.now();
    let (mut users, mut answers) = (Vec::new(), Vec::with_capacity(items.len()));
    for item in items {
        match ingest::user::parse(item, None, now) {
            Ok(user) => {
                let id = Some(user.id.to_string());
                answers.push(BulkAnswer { id, status: "updated", error: None });
                users.push(user);
            }
            Err(errors) => {
                let error = Some(invalid(errors).into_document());
                answers.push(BulkAnswer { id: None, status: "refused", error });
            }
        }
    }
    let all = users.len() == answers.len();
    let created = api.store.put_users(users).await?;
    let stored = answers.iter_mut().filter(|answer| answer.error.is_none());
    for (answer, is_new) in stored.zip(created) {
        if is_new {
            answer.status = "created";
        }
    }
    let status = if all { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    Ok((status, axum::Json(answers)))
}

fn invalid(errors: Vec<FieldError>) -> Problem {
    Problem::invalid("user.invalid", errors)
}

async fn find(api: &State, id: &str) -> Result<User, Problem> {
    let user = api.store.user(&id.into()).await?;
    user.ok_or_else(|| Problem::not_found("user", id))
}

/// Stores the user and answers what is stored now.
async fn put(api: &State, user: User) -> Result<(StatusCode, axum::Json<UserView>), Problem> {
    let id = user.id.to_string();
    let is_new = api.store.put_users(vec![user]).await?.first().copied().unwrap_or_default();
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(find(api, &id).await?.into())))
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username,
            email: user.email,
            phone: user.phone,
            first_name: user.first_name,
            last_name: user.last_name,
            locale: user.locale,
            time_zone: user.time_zone,
            role: user.role,
            data: user.data,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

use axum::extract::{self, RawQuery};
use axum::http::StatusCode;
use serde::Serialize;

use super::Api;
use super::caller::Machine;
use super::path::At;
use super::problem::Problem;
use super::query::Query;
use crate::auth::Scope;
use crate::ingest::FieldError;
use crate::model::{TopicName, UserId};

/// Bytes of a topic's name, and of a user's id.
const MAX_NAME: usize = 255;

/// Subscribers of a page: by default, and at most.
const PAGE: (usize, usize) = (100, 1000);

#[derive(Serialize, utoipa::ToSchema)]
pub struct Subscription {
    topic: String,
    user: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct SubscriberPage {
    /// Users' ids, in text order.
    results: Vec<String>,
    /// The `after` of the next page; `null` on the last.
    next: Option<String>,
}

#[utoipa::path(
    put, path = "/v1/topics/{topic}/subscribers/{user}", tag = "topics",
    params(("topic" = String, Path), ("user" = String, Path)),
    responses(
        (status = 200, description = "It was subscribed already", body = Subscription),
        (status = 201, description = "It is subscribed", body = Subscription),
    ),
)]
pub async fn subscribe(
    extract::State(api): Api,
    machine: Machine,
    At((topic, user)): At<(String, String)>,
) -> Result<(StatusCode, axum::Json<Subscription>), Problem> {
    machine.needs(Scope::TopicsWrite)?;
    let (topic, user) = names(topic, user)?;
    let is_new = api.store.subscribe(&topic, &user).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let subscription = Subscription { topic: topic.to_string(), user: user.to_string() };
    Ok((status, axum::Json(subscription)))
}

#[utoipa::path(
    delete, path = "/v1/topics/{topic}/subscribers/{user}", tag = "topics",
    params(("topic" = String, Path), ("user" = String, Path)),
    responses((status = 204, description = "It is not subscribed, whether or not it was")),
)]
pub async fn unsubscribe(
    extract::State(api): Api,
    machine: Machine,
    At((topic, user)): At<(String, String)>,
) -> Result<StatusCode, Problem> {
    machine.needs(Scope::TopicsWrite)?;
    let (topic, user) = names(topic, user)?;
    api.store.unsubscribe(&topic, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    get, path = "/v1/topics/{topic}/subscribers", tag = "topics",
    params(
        ("topic" = String, Path),
        ("limit" = Option<u32>, Query), ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page", body = SubscriberPage)),
)]
pub async fn subscribers(
    extract::State(api): Api,
    machine: Machine,
    At(topic): At<String>,
    RawQuery(raw): RawQuery,
) -> Result<axum::Json<SubscriberPage>, Problem> {
    machine.needs(Scope::TopicsRead)?;
    let query = Query::of(raw.as_deref(), &["limit", "after"])?;
    let limit = query.limit(PAGE.0, PAGE.1)?;
    let after = query.get("after").map(UserId::from);
    let ids = api.store.subscribers(&topic.into(), after.as_ref(), limit).await?;
    let results: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let next = results.last().filter(|_| results.len() == limit).cloned();
    Ok(axum::Json(SubscriberPage { results, next }))
}

fn names(topic: String, user: String) -> Result<(TopicName, UserId), Problem> {
    let given = [("topic", &topic), ("user", &user)];
    let errors: Vec<_> = given
        .into_iter()
        .filter(|(_, name)| name.is_empty() || name.len() > MAX_NAME)
        .map(|(noun, _)| {
            FieldError::new("", format!("a {noun} in a path is text of 1 to {MAX_NAME} bytes"))
        })
        .collect();
    if errors.is_empty() {
        Ok((topic.into(), user.into()))
    } else {
        Err(Problem::invalid("path.invalid", errors))
    }
}

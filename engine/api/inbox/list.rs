use axum::extract::{self, RawQuery};
use axum::http::{HeaderMap, Uri, header};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::super::caller::EndUser;
use super::super::envelope::{ErrorEnvelope, InboxError};
use super::super::query::{BadParameter, Query};
use super::super::{Api, State};
use super::known_type;
use super::object::Notification;
use crate::model::Priority;
use crate::store::{InboxOrder, InboxQuery};

/// Notifications of a page: by default, and at most.
const PAGE_SIZE: (u64, u64) = (20, 100);

#[derive(Serialize, utoipa::ToSchema)]
pub struct NotificationPage {
    /// Of all pages.
    count: u64,
    /// An absolute URL.
    next: Option<String>,
    previous: Option<String>,
    results: Vec<Notification>,
}

#[utoipa::path(
    get, path = "/api/notifications/", tag = "inbox",
    description = "The caller's notifications; an admin's call lists all, or those of `user_id`.",
    params(
        ("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query),
        ("is_read" = Option<bool>, Query), ("notification_type" = Option<String>, Query),
        ("priority" = Option<String>, Query),
        ("from_date" = Option<String>, Query, description = "A date or a date-time"),
        ("to_date" = Option<String>, Query, description = "A date (its whole day) or a date-time"),
        ("search" = Option<String>, Query, description = "In title and message"),
        ("ordering" = Option<String>, Query,
            description = "created_at, -created_at, priority, -priority (critical first)"),
        ("user_id" = Option<String>, Query, description = "Admin"),
    ),
    responses(
        (status = 200, description = "A page; past the end an empty one", body = NotificationPage),
        (status = 400, description = "A parameter does not fit", body = ErrorEnvelope),
    ),
)]
pub async fn list(
    extract::State(api): Api,
    user: EndUser,
    uri: Uri,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<axum::Json<NotificationPage>, InboxError> {
    let query = Query::new(raw.as_deref());
    let (page, size) = page(&query)?;
    let filters = filters(&api, &user, &query, page, size)?;
    let found = api.store.entries(&filters).await?;
    let base = base(&api, &headers);
    let link = |page: u64| format!("{base}{}?{}", uri.path(), query.with("page", page));
    let last = found.count.div_ceil(size).max(1);
    Ok(axum::Json(NotificationPage {
        count: found.count,
        next: (page < last).then(|| link(page + 1)),
        previous: (page > 1).then(|| link((page - 1).min(last))),
        results: found.entries.into_iter().map(Notification::from).collect(),
    }))
}

fn page(query: &Query) -> Result<(u64, u64), InboxError> {
    let positive = |name: &'static str| match query.read::<u64>(name, "a number from 1") {
        Ok(Some(0)) => Err(BadParameter { name, expected: "a number from 1" }),
        other => other,
    };
    let page = positive("page")?.unwrap_or(1);
    let size = positive("page_size")?.unwrap_or(PAGE_SIZE.0);
    Ok((page, size.min(PAGE_SIZE.1)))
}

fn filters(
    api: &State,
    user: &EndUser,
    query: &Query,
    page: u64,
    size: u64,
) -> Result<InboxQuery, InboxError> {
    let everybody = user.0.is_admin() && query.get("user_id").is_none();
    let whose = if everybody { None } else { Some(user.subject(query.get("user_id"))?) };
    let category = query.get("notification_type");
    let category = category.map(|name| known_type(api, name, "notification_type")).transpose()?;
    Ok(InboxQuery {
        user: whose,
        is_read: truth(query)?,
        category,
        priority: priority(query)?,
        from: moment(query, "from_date", false)?,
        to: moment(query, "to_date", true)?,
        search: query.get("search").map(Into::into),
        order: order(query)?,
        offset: (page - 1).saturating_mul(size),
        limit: size,
    })
}

fn truth(query: &Query) -> Result<Option<bool>, BadParameter> {
    let Some(word) = query.get("is_read") else { return Ok(None) };
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(Some(true)),
        "false" | "0" => Ok(Some(false)),
        _ => Err(BadParameter { name: "is_read", expected: "`true` or `false`" }),
    }
}

fn priority(query: &Query) -> Result<Option<Priority>, BadParameter> {
    let Some(word) = query.get("priority") else { return Ok(None) };
    let known = Priority::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(word));
    let expected = "one of critical, high, medium and low";
    known.map(Some).ok_or(BadParameter { name: "priority", expected })
}

fn order(query: &Query) -> Result<InboxOrder, BadParameter> {
    Ok(match query.get("ordering") {
        None | Some("-created_at") => InboxOrder::NewestFirst,
        Some("created_at") => InboxOrder::OldestFirst,
        Some("priority") => InboxOrder::LowestFirst,
        Some("-priority") => InboxOrder::HighestFirst,
        Some(_) => {
            let expected = "one of created_at, -created_at, priority and -priority";
            return Err(BadParameter { name: "ordering", expected });
        }
    })
}

/// A date-time, or a date in UTC: its first instant, or its last where the `end` is meant.
fn moment(query: &Query, name: &'static str, end: bool) -> Result<Option<Timestamp>, BadParameter> {
    let Some(text) = query.get(name) else { return Ok(None) };
    // A `+` that was not escaped arrives as a space.
    let text = text.replace(' ', "+");
    if let Ok(at) = text.parse() {
        return Ok(Some(at));
    }
    let of_date = |date: Date| {
        let time = if end { date.at(23, 59, 59, 999_999_999) } else { date.at(0, 0, 0, 0) };
        time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    // A date alone: jiff would read a date-time without a zone as a date too.
    let date = if text.len() == 10 { text.parse().ok() } else { None };
    let at = date.and_then(of_date);
    at.map(Some).ok_or(BadParameter { name, expected: "an RFC 3339 date or date-time" })
}

/// Scheme and authority of links: the configured ones, else those that the client used.
fn base(api: &State, headers: &HeaderMap) -> String {
    match &api.server.public_url {
        Some(url) => url.as_str().trim_end_matches('/').into(),
        None => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            host.map_or_else(
                || format!("http://{}", api.server.bind),
                |host| format!("http://{host}"),
            )
        }
    }
}

impl From<BadParameter> for InboxError {
    fn from(bad: BadParameter) -> Self {
        Self::invalid(bad.name, format!("`{}` is {}", bad.name, bad.expected))
    }
}

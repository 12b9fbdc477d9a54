//! `GET /v1/tail`: what happens, as it happens.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{self, RawQuery};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::Api;
use super::caller::Machine;
use super::problem::{Problem, ProblemDocument};
use super::query::Query;
use crate::auth::Scope;
use crate::model::Pattern;
use crate::pipeline::Happening;

/// What somebody wants to see of it; an absent one is all.
struct Filter {
    user: Option<String>,
    workflow: Option<String>,
    channel: Option<String>,
    status: Option<String>,
    /// An event's id, or a pattern of names.
    event: Option<(String, Option<Pattern>)>,
}

#[utoipa::path(
    get, path = "/v1/tail", tag = "messages",
    description = "Server-sent events, from now on: `happened` with what it was, and `dropped` \
        with how many were missed by one who reads too slowly. Of what this node does.",
    params(
        ("user" = Option<String>, Query), ("workflow" = Option<String>, Query),
        ("channel" = Option<String>, Query),
        ("status" = Option<String>, Query, description = "of a message, or a step's verdict"),
        ("event" = Option<String>, Query, description = "an id, a name or a pattern of names"),
    ),
    responses(
        (status = 200, description = "A stream without an end", body = String,
            content_type = "text/event-stream"),
        (status = 400, description = "A parameter is not known", body = ProblemDocument),
    ),
)]
pub async fn follow(
    extract::State(api): Api,
    machine: Machine,
    RawQuery(raw): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Problem> {
    machine.needs(Scope::MessagesRead)?;
    let known = ["user", "workflow", "channel", "status", "event"];
    let filter = Filter::of(&Query::of(raw.as_deref(), &known)?);
    let tail = api.pipeline.tail().ok_or_else(|| Problem::no_such_path("/v1/tail"))?;
    let (receiver, closed) = tail.follow();
    let happenings = stream::unfold((receiver, filter), |(mut receiver, filter)| async move {
        loop {
            let sent = match receiver.recv().await {
                Ok(happening) if filter.wants(&happening) => {
                    Sent::default().event("happened").json_data(&*happening)
                }
                Ok(_) => continue,
                Err(RecvError::Lagged(count)) => {
                    Sent::default().event("dropped").json_data(json!({ "dropped": count }))
                }
                Err(RecvError::Closed) => return None,
            };
            // What is serialized here has nothing that JSON could not hold.
            let Ok(sent) = sent else { continue };
            return Some((Ok(sent), (receiver, filter)));
        }
    });
    // At once, so that a caller knows that nothing from now on is missed.
    let begun = stream::once(async { Ok(Sent::default().comment("from now on")) });
    let all = begun.chain(happenings).take_until(closed.cancelled_owned());
    Ok(Sse::new(all).keep_alive(KeepAlive::default()))
}

impl Filter {
    fn of(query: &Query) -> Self {
        let text = |name| query.get(name).map(str::to_owned);
        let event = text("event").map(|text| {
            let pattern = Pattern::parse(&text);
            (text, pattern)
        });
        Self {
            user: text("user"),
            workflow: text("workflow"),
            channel: text("channel"),
            status: text("status"),
            event,
        }
    }

    fn wants(&self, happening: &Arc<Happening>) -> bool {
        let is = |asked: &Option<String>, found: Option<&str>| {
            asked.as_deref().is_none_or(|asked| found == Some(asked))
        };
        is(&self.user, happening.user.as_ref().map(|user| user.as_str()))
            && is(&self.workflow, happening.workflow.as_ref().map(|name| name.as_str()))
            && is(&self.channel, happening.channel.as_ref().map(|name| name.as_str()))
            && is(&self.status, happening.status)
            && self.event.as_ref().is_none_or(|(text, pattern)| {
                happening.event.is_some_and(|id| id.to_string() == *text)
                    || pattern.as_ref().is_some_and(|pattern| pattern.matches(&happening.name))
            })
    }
}

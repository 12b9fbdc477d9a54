//! Who changed what.

use axum::extract::{self, RawQuery};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::caller::Machine;
use super::problem::Problem;
use super::query::Query;
use super::{Api, State};
use crate::auth::Scope;
use crate::ingest::FieldError;
use crate::model::{AuditRecord, Deed};
use crate::store::{AuditQuery, StoreError};

const PARAMETERS: [&str; 6] = ["who", "what", "about", "since", "limit", "after"];
/// Records of a page: by default, and at most.
const PAGE: (usize, usize) = (100, 1000);

#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditPage {
    /// Newest first.
    results: Vec<AuditLine>,
    /// The `after` of the next page; `null` on the last.
    next: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditLine {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `key <name>`, `user <sub>`, `command line` or `node`.
    who: String,
    /// `message.retry`, `letters.redrive` …
    #[schema(value_type = String)]
    what: Deed,
    /// The id or name of what was changed; empty where it is many.
    about: String,
    #[schema(value_type = Object)]
    detail: Value,
}

#[utoipa::path(
    get, path = "/v1/audit", tag = "operation",
    description = "Who changed what by hand; newest first.",
    params(
        ("who" = Option<String>, Query), ("what" = Option<String>, Query),
        ("about" = Option<String>, Query),
        ("since" = Option<String>, Query, description = "RFC 3339"),
        ("limit" = Option<u32>, Query), ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page", body = AuditPage)),
)]
pub async fn list(
    extract::State(api): Api,
    machine: Machine,
    RawQuery(raw): RawQuery,
) -> Result<axum::Json<AuditPage>, Problem> {
    machine.needs(Scope::AdminRead)?;
    let query = Query::of(raw.as_deref(), &PARAMETERS)?;
    let what = query.get("what").map(|word| {
        Deed::of(word).ok_or_else(|| {
            let words = Deed::ALL.map(Deed::as_str).join(", ");
            let message = format!("`what` is one of {words}");
            Problem::invalid("query.invalid", vec![FieldError::new("", message)])
        })
    });
    let query = AuditQuery {
        who: query.get("who").map(Into::into),
        what: what.transpose()?,
        about: query.get("about").map(Into::into),
        since: query.read("since", "an RFC 3339 instant")?,
        before: query.read("after", "the `next` of another page")?,
        limit: query.limit(PAGE.0, PAGE.1)?,
    };
    let records = api.store.audit(&query).await?;
    let full = records.len() == query.limit;
    let next = records.last().filter(|_| full).map(|(number, _)| number.to_string());
    let line = |(_, record): (i64, AuditRecord)| AuditLine {
        at: record.at,
        who: record.who,
        what: record.what,
        about: record.about,
        detail: record.detail,
    };
    Ok(axum::Json(AuditPage { results: records.into_iter().map(line).collect(), next }))
}

impl State {
    /// Writes down what was done. An error of it is the call's: repeating the call does no harm.
    pub(super) async fn record(
        &self,
        who: String,
        what: Deed,
        about: &str,
        detail: Value,
    ) -> Result<(), StoreError> {
        let at = self.clock.now();
        self.store.record(AuditRecord { at, who, what, about: about.to_owned(), detail }).await
    }
}

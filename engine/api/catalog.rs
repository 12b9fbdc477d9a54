//! What is loaded, as the composition root hands it in.

use std::collections::BTreeMap;

use async_trait::async_trait;
use axum::extract;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Api;
use super::caller::Machine;
use super::problem::Problem;
use crate::auth::Scope;
use crate::diagnostic::Diagnostic;
use crate::model::{Category, ChannelName, Version, WorkflowName};
use crate::store::StoreError;

/// What workflows, types and channels there are. Asked on each request, so that a reload shows.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Known types: those that packs declare, and every category of a loaded workflow.
    fn types(&self) -> Vec<Category>;

    /// In the order of their names.
    fn workflows(&self) -> Vec<LoadedWorkflow>;

    /// Installed channels with their providers; `in_app` is always there and needs no mention.
    fn channels(&self) -> Vec<LoadedChannel>;

    fn readiness(&self) -> Readiness;

    /// Reads the files again; a set with an error is refused whole. The audit says that `who` did.
    async fn reload(&self, who: &str) -> Result<Reload, StoreError>;
}

/// What reading the files again came to.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Reload {
    /// `false`: the set has an error, and what was loaded before stays in force.
    pub reloaded: bool,
    /// As `nuncio check --format json` prints them; warnings too.
    #[serde(serialize_with = "listed")]
    #[schema(value_type = Vec<Object>)]
    pub problems: Vec<Diagnostic>,
    /// Unfinished runs that go on with a version that new runs do not begin with.
    pub runs_on_older_versions: u64,
}

/// What the capture provider holds (`dev`).
pub trait Outbox: Send + Sync {
    /// Oldest first: `{message_id, channel, provider, to, subject?, title?, body, html?, text?,
    /// headers, at}`.
    fn list(&self) -> Vec<Value>;

    fn clear(&self);
}

/// Whether the parts beside the store are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Workers are taking jobs.
    pub queue: bool,
    pub plugins: bool,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LoadedWorkflow {
    #[schema(value_type = String)]
    pub workflow: WorkflowName,
    /// The events, or globs, that start it.
    pub on: Vec<String>,
    #[schema(value_type = String)]
    pub category: Category,
    /// The file, from the folder that `workflows/` is in.
    pub file: String,
    /// The file's content hash: what new runs begin with.
    #[schema(value_type = String)]
    pub version: Version,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LoadedChannel {
    #[schema(value_type = String)]
    pub channel: ChannelName,
    /// Quiet hours and budgets bind it.
    pub interrupts: bool,
    /// In the order of failover.
    pub providers: Vec<LoadedProvider>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LoadedProvider {
    pub provider: String,
    pub plugin: String,
    pub version: String,
    /// What the plugin may do: `http smtp.example:587`, `secret password` …
    pub rights: Vec<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct WorkflowList {
    results: Vec<WorkflowView>,
    /// Workflows whose files are gone, and whose runs are not.
    removed: Vec<RemovedWorkflow>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct RemovedWorkflow {
    #[schema(value_type = String)]
    workflow: WorkflowName,
    /// Unfinished runs by the version they began with.
    runs: BTreeMap<String, u64>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct WorkflowView {
    #[serde(flatten)]
    workflow: LoadedWorkflow,
    /// Unfinished runs by the version they began with.
    runs: BTreeMap<String, u64>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ChannelList {
    results: Vec<LoadedChannel>,
}

#[utoipa::path(
    get, path = "/v1/workflows", tag = "operation",
    responses((status = 200, description = "What is loaded", body = WorkflowList)),
)]
pub async fn workflows(
    extract::State(api): Api,
    machine: Machine,
) -> Result<axum::Json<WorkflowList>, Problem> {
    machine.needs(Scope::AdminRead)?;
    let mut runs: BTreeMap<WorkflowName, BTreeMap<String, u64>> = BTreeMap::new();
    for (workflow, version, count) in api.store.versions_in_use().await? {
        runs.entry(workflow).or_default().insert(version.to_string(), count);
    }
    let view = |workflow: LoadedWorkflow| WorkflowView {
        runs: runs.remove(&workflow.workflow).unwrap_or_default(),
        workflow,
    };
    let results = api.catalog.workflows().into_iter().map(view).collect();
    let removed = runs.into_iter().map(|(workflow, runs)| RemovedWorkflow { workflow, runs });
    Ok(axum::Json(WorkflowList { results, removed: removed.collect() }))
}

#[utoipa::path(
    post, path = "/v1/workflows/reload", tag = "operation",
    responses((status = 200, description = "The files were read again, and put in force where no problem is an error", body = Reload)),
)]
pub async fn reload(
    extract::State(api): Api,
    machine: Machine,
) -> Result<axum::Json<Reload>, Problem> {
    machine.needs(Scope::AdminWrite)?;
    Ok(axum::Json(api.catalog.reload(&machine.who()).await?))
}

fn listed<S: Serializer>(problems: &[Diagnostic], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(problems.iter().map(Diagnostic::to_json))
}

#[utoipa::path(
    get, path = "/v1/channels", tag = "operation",
    responses((status = 200, description = "Installed channels", body = ChannelList)),
)]
pub async fn channels(
    extract::State(api): Api,
    machine: Machine,
) -> Result<axum::Json<ChannelList>, Problem> {
    machine.needs(Scope::AdminRead)?;
    Ok(axum::Json(ChannelList { results: api.catalog.channels() }))
}

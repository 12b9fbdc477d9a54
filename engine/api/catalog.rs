//! What is loaded, as the composition root hands it in.

use std::collections::BTreeMap;

use axum::extract;
use serde::Serialize;
use serde_json::Value;

use super::Api;
use super::caller::Machine;
use super::problem::Problem;
use crate::auth::Scope;
use crate::model::{Category, ChannelName, Version, WorkflowName};

/// What workflows, types and channels there are. Asked on each request, so that a reload shows.
pub trait Catalog: Send + Sync {
    /// Known types: those that packs declare, and every category of a loaded workflow.
    fn types(&self) -> Vec<Category>;

    /// In the order of their names.
    fn workflows(&self) -> Vec<LoadedWorkflow>;

    /// Installed channels with their providers; `in_app` is always there and needs no mention.
    fn channels(&self) -> Vec<LoadedChannel>;

    fn readiness(&self) -> Readiness;
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
    Ok(axum::Json(WorkflowList { results }))
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

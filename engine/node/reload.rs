use std::sync::Arc;

use serde_json::json;

use super::seal;
use super::view::View;
use crate::check::{self, Catalog};
use crate::diagnostic::Diagnostic;
use crate::model::{AuditRecord, Deed};
use crate::pipeline::Pipeline;
use crate::store::{Store, StoreError};

/// What reading the files again came to.
#[derive(Debug)]
pub struct Reloaded {
    /// `false`: the set has an error, and the old one stays in force.
    pub in_force: bool,
    pub problems: Vec<Diagnostic>,
    /// For a reader: `12 workflows, 30 templates`.
    pub summary: String,
    /// Unfinished runs that go on with a version that is not, or no longer, in force.
    pub runs_on_older_versions: u64,
}

pub(super) async fn reload(
    pipeline: &Pipeline,
    view: &View,
    has_key: bool,
    who: &str,
) -> Result<Reloaded, StoreError> {
    let loaded = seal::protected(check::load(view.root(), &view.traits()), has_key);
    let summary = loaded.summary();
    let in_force = match loaded.catalog {
        Some(catalog) => {
            pipeline.use_catalog(catalog).await?;
            true
        }
        None => false,
    };
    let at = pipeline.clock().now();
    let problems = loaded.diagnostics.len();
    let (who, what) = (who.to_owned(), Deed::WorkflowsReload);
    let detail = json!({ "reloaded": in_force, "problems": problems });
    let record = AuditRecord { at, who, what, about: String::new(), detail };
    pipeline.store().record(record).await?;
    let runs_on_older_versions = older_runs(&**pipeline.store(), &pipeline.catalog()).await?;
    tracing::info!(in_force, runs_on_older_versions, "workflows read again");
    Ok(Reloaded { in_force, problems: loaded.diagnostics, summary, runs_on_older_versions })
}

/// How many unfinished runs hold a version that new runs do not begin with.
pub(super) async fn older_runs(
    store: &dyn Store,
    catalog: &Arc<Catalog>,
) -> Result<u64, StoreError> {
    let held = store.versions_in_use().await?.into_iter();
    let older = held.filter(|(name, version, _)| {
        catalog.workflows.get(name.as_str()).is_none_or(|current| current.version != *version)
    });
    Ok(older.map(|(_, _, runs)| runs).sum())
}

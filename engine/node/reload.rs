use std::sync::Arc;

use super::seal;
use super::view::View;
use crate::check;
use crate::diagnostic::Diagnostic;
use crate::pipeline::Pipeline;
use crate::store::StoreError;

/// What reading the files again came to.
#[derive(Debug)]
pub struct Reloaded {
    /// `false`: the set has an error, and the old one stays in force.
    pub in_force: bool,
    pub problems: Vec<Diagnostic>,
    /// For a reader: `12 workflows, 30 templates`.
    pub summary: String,
}

pub(super) async fn reload(
    pipeline: &Arc<Pipeline>,
    view: &Arc<View>,
    has_key: bool,
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
    Ok(Reloaded { in_force, problems: loaded.diagnostics, summary })
}

//! The keys of a node, and what may not be without one.

use std::sync::Arc;

use super::StartError;
use crate::check::Loaded;
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::diagnostic::{Diagnostic, Source};
use crate::seal::Sealer;
use crate::store::{self, Installation};
use crate::workflow::Workflow;

pub(super) async fn store(
    config: &Config,
    environment: &Environment,
    clock: &Clock,
) -> Result<Arc<dyn Installation>, StartError> {
    let keys = config.encryption.keys.resolve(environment);
    let keys =
        keys.map_err(|source| StartError::Secret { key: "encryption.keys".into(), source })?;
    let sealer = Sealer::new(&keys, clock.clone())?;
    Ok(store::open(&config.store.url, clock.clone(), sealer).await?)
}

/// Refuses a set with sensitive workflows where there is no key.
pub(super) fn protected(loaded: Loaded, has_key: bool) -> Loaded {
    let sensitive = loaded.catalog.as_deref().map(|catalog| catalog.workflows.sensitive());
    let problems: Vec<_> = sensitive.unwrap_or_default().iter().map(unprotected).collect();
    if has_key || problems.is_empty() {
        return loaded;
    }
    let diagnostics = loaded.diagnostics.into_iter().chain(problems).collect();
    Loaded { catalog: None, diagnostics, ..loaded }
}

fn unprotected(workflow: &Arc<Workflow>) -> Diagnostic {
    let source = Source::new(workflow.path.clone(), workflow.source.clone());
    let at = workflow.source.find("sensitive:").unwrap_or_default();
    let name = &workflow.name;
    let message = format!("`{name}` is sensitive, and there is no key in `encryption.keys`");
    Diagnostic::error(&source, "encryption.keys", at..at + "sensitive".len(), message)
        .hint("make one with `openssl rand -base64 32`, and name it: `keys = [\"env:NAME\"]`")
}

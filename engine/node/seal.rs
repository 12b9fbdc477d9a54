//! The keys of a node, and what may not be without one.

use super::StartError;
use crate::check::{Catalog, Loaded};
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::diagnostic::{Diagnostic, Source};
use crate::seal::Sealer;

pub(super) fn sealer(
    config: &Config,
    environment: &Environment,
    clock: &Clock,
) -> Result<Sealer, StartError> {
    let keys = config.encryption.keys.resolve(environment);
    let keys =
        keys.map_err(|source| StartError::Secret { key: "encryption.keys".into(), source })?;
    Ok(Sealer::new(&keys, clock.clone())?)
}

/// Refuses a set with sensitive workflows where there is no key.
pub(super) fn protected(mut loaded: Loaded, sealer: &Sealer) -> Loaded {
    let problems = loaded.catalog.as_deref().map(|catalog| unprotected(catalog, sealer));
    let problems = problems.unwrap_or_default();
    if !problems.is_empty() {
        loaded.catalog = None;
        loaded.diagnostics.extend(problems);
    }
    loaded
}

/// Each is an error of its file.
fn unprotected(catalog: &Catalog, sealer: &Sealer) -> Vec<Diagnostic> {
    if sealer.has_key() {
        return Vec::new();
    }
    let problem = |workflow: &std::sync::Arc<crate::workflow::Workflow>| {
        let source = Source::new(workflow.path.clone(), workflow.source.clone());
        let at = workflow.source.find("sensitive:").unwrap_or_default();
        let message =
            format!("`{}` is sensitive, and there is no key in `encryption.keys`", workflow.name);
        let span = at..at + "sensitive".len();
        Diagnostic::error(&source, "encryption.keys", span, message)
            .hint("make one with `openssl rand -base64 32`, and name it: `keys = [\"env:NAME\"]`")
    };
    catalog.workflows.sensitive().iter().map(problem).collect()
}

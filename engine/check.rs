//! The whole set across files: workflows × templates × channels × event schemas.
//!
//! [`load`] reads a folder and gives a [`Catalog`], what the engine runs by, or every problem of
//! every file. A set with an error is refused whole; the caller keeps the one it has.

mod cases;
mod cross;
mod cycles;
mod expressions;
mod fields;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

pub use cases::{Move, Test, cases};

use crate::channel::Traits;
use crate::diagnostic::{self, Diagnostic, Source};
use crate::model::{Category, ChannelName};
use crate::template;
use crate::workflow::{self, EventSchemas, NotificationType, Route, Workflow};

/// What users' files come to.
#[derive(Debug, Default)]
pub struct Catalog {
    pub workflows: workflow::Set,
    pub templates: template::Set,
    pub events: EventSchemas,
    /// Declared by the packs' `types.yaml`.
    pub types: Vec<NotificationType>,
    pub routes: Vec<Route>,
}

/// The templates of a folder alone, for a look at one of them.
#[derive(Debug)]
pub struct Templates {
    pub set: template::Set,
    pub files: Vec<Source>,
    /// In the order of files and lines; with an error among them the set is not to be used.
    pub problems: Vec<Diagnostic>,
}

/// What a folder was read as.
#[derive(Debug)]
pub struct Loaded {
    /// `None` where a diagnostic is an error.
    pub catalog: Option<Arc<Catalog>>,
    /// In the order of files and lines; warnings too.
    pub diagnostics: Vec<Diagnostic>,
    pub counts: Counts,
}

/// What was read, sound or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub workflows: usize,
    /// Folders under `templates/`, each a template of some channels.
    pub templates: usize,
    pub events: usize,
    pub types: usize,
    pub routes: usize,
}

impl Loaded {
    /// For a reader: `12 workflows, 30 templates, 9 events`.
    pub fn summary(&self) -> String {
        let Counts { workflows, templates, events, .. } = self.counts;
        format!("{workflows} workflows, {templates} templates, {events} declared events")
    }
}

impl Catalog {
    /// As [`Loaded::summary`] says it.
    pub fn summary(&self) -> String {
        let (workflows, events) = (self.workflows.len(), self.events.len());
        let templates = self.templates.names().len();
        format!("{workflows} workflows, {templates} templates, {events} declared events")
    }

    /// Every notification type there is: those that packs declare, and those that workflows use.
    pub fn categories(&self) -> BTreeSet<Category> {
        let mut known = self.workflows.categories();
        known.extend(self.types.iter().map(|declared| declared.name.clone()));
        known
    }

    /// The template of what was gathered of this type, where a pack names one.
    pub fn batch_template(&self, category: &Category) -> Option<&str> {
        let declared = self.types.iter().find(|declared| declared.name == *category)?;
        declared.batch_template.as_deref()
    }

    /// The types that an opt-out from marketing is about.
    pub fn marketing(&self) -> impl Iterator<Item = Category> {
        let declared = self.types.iter().filter(|declared| declared.marketing);
        declared.map(|declared| declared.name.clone())
    }

    /// Whether a law-like opt-out binds even critical messages of this type.
    pub fn is_marketing(&self, category: &Category) -> bool {
        self.types.iter().any(|declared| declared.marketing && declared.name == *category)
    }
}

/// Reads one workflow file by itself.
pub fn one(file: &Path) -> (Option<Workflow>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let name = file.to_string_lossy().replace('\\', "/");
    let source = files::source(Path::new(""), &name, &mut problems);
    let workflow = source.and_then(|source| {
        let (workflow, mut told) = workflow::compile(&source);
        problems.append(&mut told);
        workflow
    });
    diagnostic::sort(&mut problems);
    (workflow, problems)
}

/// Reads `templates/` under `root`, and no workflow.
pub fn load_templates(root: &Path) -> Templates {
    let mut problems = Vec::new();
    let files = files::templates(root, &mut problems);
    let read = files.iter().map(|file| (file.path().to_owned(), file.text().to_owned()));
    let (set, mut told) = template::Set::build(read.collect());
    problems.append(&mut told);
    diagnostic::sort(&mut problems);
    Templates { set, files, problems }
}

/// Reads `workflows/` and `templates/` under `root`; one that is not there is empty. `channels`
/// are those that can send, `in_app` left out. Paths in diagnostics and in decisions are relative
/// to `root`.
pub fn load(root: &Path, channels: &BTreeMap<ChannelName, Traits>) -> Loaded {
    load_with(root, None, channels)
}

/// As [`load`], with a workflow file that may lie elsewhere: it is added where the folder does not
/// hold it.
pub fn load_with(
    root: &Path,
    workflow: Option<&Path>,
    channels: &BTreeMap<ChannelName, Traits>,
) -> Loaded {
    let mut problems = Vec::new();
    let mut found = files::read(root, &mut problems);
    if let Some(path) = workflow {
        files::add_workflow(&mut found, root, path, &mut problems);
    }
    let mut catalog = Catalog::default();

    let mut workflows: Vec<Arc<Workflow>> = Vec::new();
    for source in &found.workflows {
        let (workflow, mut told) = workflow::compile(source);
        problems.append(&mut told);
        workflows.extend(workflow.map(Arc::new));
    }
    for source in &found.events {
        problems.append(&mut workflow::read_events(source, &mut catalog.events));
    }
    for source in &found.types {
        let (mut types, mut told) = workflow::read_types(source);
        problems.append(&mut told);
        catalog.types.append(&mut types);
    }
    for source in &found.routes {
        let (mut routes, mut told) = workflow::read_routes(source);
        problems.append(&mut told);
        catalog.routes.append(&mut routes);
    }
    let files = found.templates.iter().map(|file| (file.path().to_owned(), file.text().to_owned()));
    let (templates, mut told) = template::Set::build(files.collect());
    problems.append(&mut told);
    catalog.templates = templates;

    cross::check(&workflows, &catalog, channels, &found.templates, &mut problems);
    let counts = Counts {
        workflows: found.workflows.len(),
        templates: catalog.templates.names().len(),
        events: catalog.events.len(),
        types: catalog.types.len(),
        routes: catalog.routes.len(),
    };
    catalog.workflows = workflow::Set::new(workflows);
    diagnostic::sort(&mut problems);
    let refused = problems.iter().any(Diagnostic::is_error);
    let catalog = (!refused).then(|| Arc::new(catalog));
    Loaded { catalog, diagnostics: problems, counts }
}

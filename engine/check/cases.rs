//! Users' own tests, understood: against the workflows, channels and samples that they speak of.
//!
//! Apart from [`load`](super::load): a test that is wrong keeps no node from running.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{Catalog, files};
use crate::channel::Traits;
use crate::diagnostic::{self, Diagnostic, Kind, Node, Source};
use crate::ingest::person::{self, Described};
use crate::ingest::preferences::Known;
use crate::ingest::{FieldError, Incoming};
use crate::model::{ChannelName, Preferences, Span, UserId, WorkflowName};
use crate::workflow::case::{Case, Expectation, Fault, Happening, Reading, TestFile, read_tests};

/// Bytes of one event's data, as a node takes it by default.
const MAX_EVENT: usize = 256 << 10;

/// One test, ready to be run.
#[derive(Clone, Debug)]
pub struct Test {
    /// Whose time line is compared.
    pub workflow: WorkflowName,
    pub name: String,
    /// `path:line`.
    pub place: Arc<str>,
    pub clock: Timestamp,
    pub people: Vec<Described>,
    pub moves: Vec<Move>,
    pub then: Vec<Expectation>,
}

/// What happens, in order.
#[derive(Clone, Debug)]
pub enum Move {
    Event(Incoming),
    Wait(Span),
    Until(Timestamp),
    Read(Reading),
    Fail(Fault),
    Prefer(UserId, Preferences),
    /// A user is new, or another one than before.
    Know(Box<Described>),
}

/// Reads every `*.test.yaml` under `root`'s `workflows/`. Without a catalog (its files have
/// errors) only their form is looked at, and no test is ready.
pub fn cases(
    root: &Path,
    catalog: Option<&Catalog>,
    channels: &BTreeMap<ChannelName, Traits>,
) -> (Vec<Test>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let mut tests = Vec::new();
    for source in files::tests(root, &mut problems) {
        let (file, mut told) = read_tests(&source);
        problems.append(&mut told);
        if let (Some(file), Some(catalog)) = (file, catalog) {
            let installed = channels.keys().cloned().chain([ChannelName::IN_APP.into()]);
            let known = Known {
                types: catalog.categories().into_iter().collect(),
                channels: installed.collect(),
            };
            let reader = One { root, file: &file, catalog, known, problems: &mut problems };
            tests.extend(reader.tests());
        }
    }
    diagnostic::sort(&mut problems);
    (tests, problems)
}

/// One file being understood.
struct One<'a, 'p> {
    root: &'a Path,
    file: &'a TestFile,
    catalog: &'a Catalog,
    known: Known,
    problems: &'p mut Vec<Diagnostic>,
}

impl One<'_, '_> {
    fn tests(mut self) -> Vec<Test> {
        let workflow = self.workflow();
        let file = self.file;
        let tests = file.cases.iter().map(|case| self.test(case, workflow.clone()));
        let tests: Vec<Option<Test>> = tests.collect();
        tests.into_iter().flatten().collect()
    }

    /// The one that the file names, else that of the file's own name.
    fn workflow(&mut self) -> Option<WorkflowName> {
        let source = &self.file.source;
        let stem = source.path().rsplit('/').next().unwrap_or_default();
        let stem = stem.split(".test.").next().unwrap_or_default();
        let named = self.file.workflow.as_ref();
        let name = named.and_then(Node::as_text).unwrap_or(stem);
        let span = named.map_or(0..0, |node| node.span.clone());
        if let Some(workflow) = self.catalog.workflows.get(name) {
            return Some(workflow.name.clone());
        }
        let message = format!("there is no workflow `{name}`");
        let problem = Diagnostic::error(source, "case.workflow", span, message);
        let all = self.catalog.workflows.all();
        let problem = problem.suggest(name, all.iter().map(|workflow| workflow.name.as_str()));
        self.problems.push(match problem.hint {
            None => problem.hint("a test file is called after its workflow, or names it first"),
            Some(_) => problem,
        });
        None
    }

    fn test(&mut self, case: &Case, workflow: Option<WorkflowName>) -> Option<Test> {
        let before = self.problems.len();
        let people: Vec<_> =
            case.users.iter().filter_map(|node| self.person(node, case.clock)).collect();
        let mut moves = Vec::new();
        for when in &case.when {
            moves.extend(match &when.what {
                Happening::Event(node) => self.event(node).map(Move::Event),
                Happening::Wait(span) => Some(Move::Wait(*span)),
                Happening::Until(at) => Some(Move::Until(*at)),
                Happening::Read(reading) => {
                    self.reading(reading, when.span.start);
                    Some(Move::Read(reading.clone()))
                }
                Happening::Fail(fault) => {
                    self.channel(fault);
                    Some(Move::Fail(fault.clone()))
                }
                Happening::Preferences(node) => self.preferences(node),
                Happening::User(node) => {
                    self.person(node, case.clock).map(|one| Move::Know(Box::new(one)))
                }
            });
        }
        if self.problems.len() > before {
            return None;
        }
        let Case { name, place, clock, then, .. } = case.clone();
        Some(Test { workflow: workflow?, name, place, clock, people, moves, then })
    }

    fn person(&mut self, node: &Node, now: Timestamp) -> Option<Described> {
        match person::parse(node.to_json(), &self.known, now) {
            Ok(described) => Some(described),
            Err(errors) => {
                self.tell("user.invalid", node, errors);
                None
            }
        }
    }

    /// `{user: 42, …}`: the rest is what the inbox API takes.
    fn preferences(&mut self, node: &Node) -> Option<Move> {
        let mut value = node.to_json();
        let user = value.as_object_mut().and_then(|members| members.remove("user"));
        let Some(user) = user.as_ref().and_then(UserId::from_json) else {
            let message = "whose preferences: `{ user: 42, … }`";
            self.tell("user.invalid", node, vec![FieldError::new("/user", message)]);
            return None;
        };
        match person::read_preferences(value, &self.known) {
            Ok(said) => Some(Move::Prefer(user, said)),
            Err(error) => {
                self.tell("user.invalid", node, vec![error]);
                None
            }
        }
    }

    fn event(&mut self, node: &Node) -> Option<Incoming> {
        let mut value = node.to_json();
        let sample = value.as_object_mut().and_then(|members| members.remove("sample"));
        if let (Some(_), Some(place)) = (sample, node.get("sample")) {
            let data = self.sample(place)?;
            if let Some(members) = value.as_object_mut()
                && members.insert("data".into(), data).is_some()
            {
                self.error("case.sample", place, "an event has `data` or a `sample`, not both");
            }
        }
        match Incoming::parse(value, MAX_EVENT) {
            Ok(event) => {
                self.known_event(&event.name, node);
                Some(event)
            }
            Err(refusal) => {
                self.tell(refusal.code, node, refusal.errors);
                None
            }
        }
    }

    /// The data in a file beside this one.
    fn sample(&mut self, node: &Node) -> Option<Value> {
        let name = node.as_text().unwrap_or_default();
        let folder = self.file.source.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = format!("{folder}/{name}");
        let mut told = Vec::new();
        let inside = !name.split('/').any(|part| part == "..") && !name.starts_with('/');
        let source = inside.then(|| files::source(self.root, &path, &mut told)).flatten();
        let data = source.map(|source| serde_json::from_str::<Value>(source.text()));
        match data {
            Some(Ok(data @ Value::Object(_))) => return Some(data),
            Some(Ok(_)) => self.error("case.sample", node, "a sample is a JSON object"),
            Some(Err(error)) => self.error("case.sample", node, &format!("no JSON: {error}")),
            None => self.error("case.sample", node, &format!("`{path}` cannot be read")),
        }
        None
    }

    /// A name that no file knows is a slip: the case would prove nothing.
    fn known_event(&mut self, name: &str, node: &Node) {
        let (workflows, events) = (self.catalog.workflows.all(), &self.catalog.events);
        let wanted = |workflow: &crate::workflow::Workflow| {
            let patterns =
                workflow.on.iter().chain(&workflow.cancel_on).chain(&workflow.restart_on);
            patterns.into_iter().any(|pattern| pattern.matches(name))
                || workflow.source.contains(name)
        };
        if events.is_declared(name) || workflows.iter().any(|workflow| wanted(workflow)) {
            return;
        }
        let span = node.get("name").map_or(0..0, |node| node.span.clone());
        let message = format!("no workflow and no events.yaml knows the event `{name}`");
        let problem = Diagnostic::error(&self.file.source, "case.event", span, message);
        let exact = workflows.iter().flat_map(|workflow| &workflow.on);
        let names = exact.map(|pattern| pattern.as_str()).chain(events.names());
        self.problems.push(problem.suggest(name, names));
    }

    fn reading(&mut self, reading: &Reading, at: usize) {
        let Some(name) = &reading.workflow else { return };
        let workflows = &self.catalog.workflows;
        if workflows.get(name.as_str()).is_none() {
            let message = format!("there is no workflow `{name}`");
            let problem = Diagnostic::error(&self.file.source, "case.workflow", at..at, message);
            let all = workflows.all().into_iter().map(|workflow| workflow.name.as_str());
            self.problems.push(problem.suggest(name.as_str(), all));
        }
    }

    fn channel(&mut self, fault: &Fault) {
        let Some(channel) = &fault.channel else { return };
        if !self.known.channels.contains(channel) {
            let message = format!("no channel is called `{channel}`");
            let span = fault.channel_span.clone();
            let problem = Diagnostic::error(&self.file.source, "channel.unknown", span, message);
            let names = self.known.channels.iter().map(ChannelName::as_str);
            self.problems.push(problem.suggest(channel.as_str(), names));
        }
    }

    fn error(&mut self, code: &'static str, node: &Node, message: &str) {
        let span = node.span.clone();
        self.problems.push(Diagnostic::error(&self.file.source, code, span, message));
    }

    fn tell(&mut self, code: &'static str, node: &Node, errors: Vec<FieldError>) {
        let source: &Source = &self.file.source;
        for FieldError { pointer, message } in errors {
            let span = match &node.kind {
                Kind::Scalar(_) => node.span.clone(),
                _ => node.place_of(&pointer),
            };
            self.problems.push(Diagnostic::error(source, code, span, message));
        }
    }
}

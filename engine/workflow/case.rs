//! Users' own tests of their workflows, and scripts for `simulate`: files as written.
//!
//! [`read_tests`] reads a `*.test.yaml` (docs/reference/workflow-tests.md), [`read_script`] what
//! providers do wrong and users read (docs/reference/simulate.md). What needs other files to be
//! understood (users, events, samples) stays a [`Node`]: `check` reads on.

mod expectation;
mod happening;
mod script;

use std::sync::Arc;

use jiff::Timestamp;

pub use expectation::{Expectation, Expected, Pattern, Wanted};
pub use happening::{Fault, Happening, Reading, When};
pub use script::{Moment, Script, ScriptReading, read_script};

use super::reader::{Fields, Reader};
use crate::diagnostic::{Diagnostic, Document, Node, Source};
use crate::model::UserId;

/// A test file.
#[derive(Clone, Debug)]
pub struct TestFile {
    pub source: Source,
    /// Which workflow the cases are about, where the file says so and is not called after it.
    pub workflow: Option<Node>,
    pub cases: Vec<Case>,
}

/// What is given, what happens, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    /// `path:line`.
    pub place: Arc<str>,
    pub clock: Timestamp,
    /// The file's users, then the case's own: of one id the later counts.
    pub users: Vec<Node>,
    pub when: Vec<When>,
    pub then: Vec<Expectation>,
}

/// What a file or a case is given.
#[derive(Default)]
struct Given<'n> {
    clock: Option<Timestamp>,
    users: Vec<&'n Node>,
}

/// Reads a `*.test.yaml`; all that is wrong is said at once.
pub fn read_tests(source: &Source) -> (Option<TestFile>, Vec<Diagnostic>) {
    let (document, mut problems) = Document::parse(source);
    let Some(document) = document else {
        return (None, problems);
    };
    let reader = Reader::new(source);
    let file = read(&reader, &document.root);
    problems.extend(reader.into_problems());
    (file, problems)
}

fn read(reader: &Reader<'_>, root: &Node) -> Option<TestFile> {
    let mut fields = reader.fields(root, "a test file")?;
    let workflow = fields.take("workflow").cloned();
    let shared = given(reader, &mut fields);
    let nodes = fields.need("cases").map_or(&[][..], |node| reader.items(node, "cases"));
    fields.finish();
    let cases = nodes.iter().filter_map(|node| case(reader, node, &shared)).collect();
    Some(TestFile { source: reader.source.clone(), workflow, cases })
}

fn case(reader: &Reader<'_>, node: &Node, shared: &Given<'_>) -> Option<Case> {
    let mut fields = reader.fields(node, "a case")?;
    let name = fields.need("name").and_then(|node| reader.text(node, "name"));
    let own = given(reader, &mut fields);
    let when = fields.need("when").map_or(&[][..], |node| reader.items(node, "when"));
    let when = when.iter().filter_map(|node| happening::read(reader, node)).collect();
    let then = fields.need("then").map_or(&[][..], |node| reader.items(node, "then"));
    let then = then.iter().filter_map(|node| expectation::read(reader, node)).collect();
    fields.finish();
    let clock = own.clock.or(shared.clock);
    if clock.is_none() {
        let at = node.span.start;
        let message = "a case begins at an instant: `given: { clock: 2026-01-31T09:00:00Z }`";
        reader.error("yaml.missing", at..at, message);
    }
    let users = shared.users.iter().chain(&own.users).map(|node| Node::clone(node)).collect();
    let place = reader.source.place(node.span.start);
    Some(Case { name: name?, place, clock: clock?, users, when, then })
}

fn given<'n>(reader: &'n Reader<'_>, fields: &mut Fields<'n, '_>) -> Given<'n> {
    let Some(node) = fields.take("given") else {
        return Given::default();
    };
    let Some(mut fields) = reader.fields(node, "`given`") else {
        return Given::default();
    };
    let clock = instant(reader, &mut fields, "clock");
    let users = fields.take("users").map_or(&[][..], |node| reader.items(node, "users"));
    fields.finish();
    Given { clock, users: users.iter().collect() }
}

fn instant(
    reader: &Reader<'_>,
    fields: &mut Fields<'_, '_>,
    key: &'static str,
) -> Option<Timestamp> {
    let node = fields.take(key)?;
    instant_of(reader, node, key)
}

fn instant_of(reader: &Reader<'_>, node: &Node, key: &str) -> Option<Timestamp> {
    let at = node.as_text().and_then(|text| text.trim().parse().ok());
    if at.is_none() {
        reader.wrong(node, key, "an RFC 3339 instant, such as 2026-01-31T09:00:00Z");
    }
    at
}

fn user(reader: &Reader<'_>, fields: &mut Fields<'_, '_>) -> Option<UserId> {
    let node = fields.need("user")?;
    let id = UserId::from_json(&node.to_json());
    if id.is_none() {
        reader.wrong(node, "user", "a user's id");
    }
    id
}

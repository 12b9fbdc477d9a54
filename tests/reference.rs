//! What editors and readers are given is what the readers of files accept.

use std::path::{Path, PathBuf};

use nuncio::diagnostic::{Document, Source};
use nuncio::workflow::language::{self, Schema};

/// Set, the generated files are written instead of compared.
const WRITE: &str = "NUNCIO_WRITE_REFERENCE";

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[expect(clippy::disallowed_methods, reason = "how a person asks for the files to be written")]
fn writes() -> bool {
    std::env::var_os(WRITE).is_some()
}

/// Compares a generated file with what it is to be, or writes it.
pub fn same(file: &str, expected: &str) {
    if writes() {
        std::fs::write(path(file), expected).expect("it is written");
    }
    let found = std::fs::read_to_string(path(file)).unwrap_or_default();
    assert!(found == expected, "{file} is not what the code says: {WRITE}=1 cargo test reference");
}

fn schema_file(schema: Schema) -> String {
    format!("docs/reference/{}.schema.json", schema.name())
}

#[test]
fn the_schemas_are_those_that_the_code_makes() {
    for schema in Schema::ALL {
        let text = serde_json::to_string_pretty(&schema.to_json()).expect("JSON");
        same(&schema_file(schema), &(text + "\n"));
    }
}

#[test]
fn the_tables_of_the_reference_are_those_that_the_code_makes() {
    let file = "docs/reference/workflow-files.md";
    let mut page = std::fs::read_to_string(path(file)).expect("the page is there");
    for (name, table) in
        [("header", language::header_reference()), ("steps", language::step_reference())]
    {
        let begin = format!("<!-- {name}: made from the code -->\n");
        let end = format!("<!-- end of {name} -->");
        let (before, rest) = page.split_once(&begin).expect("the table has a place");
        let (_, after) = rest.split_once(&end).expect("and an end");
        page = format!("{before}{begin}\n{table}\n{end}{after}");
    }
    same(file, &page);
}

/// Every YAML file of the packs with the schema of its kind.
fn pack_files() -> Vec<(PathBuf, Schema)> {
    fn gather(folder: &Path, found: &mut Vec<(PathBuf, Schema)>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                gather(&path, found);
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let schema = match name {
                _ if !name.ends_with(".yaml") || name.ends_with(".test.yaml") => continue,
                "events.yaml" => Schema::Events,
                "types.yaml" => Schema::Types,
                "routes.yaml" => Schema::Routes,
                _ => Schema::Workflow,
            };
            found.push((path, schema));
        }
    }
    let mut found = Vec::new();
    gather(&path("workflows"), &mut found);
    found
}

fn misfits(schema: Schema, text: &str) -> Vec<String> {
    let validator = jsonschema::validator_for(&schema.to_json()).expect("a schema");
    let document = Document::parse(&Source::new("w.yaml", text)).0.expect("YAML");
    let json = document.root.to_json();
    validator.iter_errors(&json).map(|error| error.to_string()).collect()
}

#[test]
fn every_file_of_the_packs_fits_its_schema() {
    let files = pack_files();
    assert!(files.len() > 10);
    for (path, schema) in files {
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(misfits(schema, &text), [""; 0], "{}", path.display());
    }
}

#[test]
fn what_is_wrong_does_not_fit() {
    let right = "workflow: w\non: a\nsteps:\n  - send: email\n    template: x\n";
    assert_eq!(misfits(Schema::Workflow, right), [""; 0]);
    for (from, to) in [
        ("on: a", "no: a"),
        ("send: email", "sned: email"),
        ("template: x", "template: x\n    quiet_hours: postpone"),
        ("template: x", "template: x\n    delay: 1h"),
        ("send: email", "delay: { for: soon }"),
        ("send: email", "batch: { max_items: 3 }"),
        ("send: email", "throttle: { limit: 0, window: 1h }"),
        ("send: email", "branch: [ { iff: x, steps: [] } ]"),
        ("on: a", "on: a\nrecipients: { user: a, topic: b }"),
        ("on: a", "on: a\npriority: [ urgent ]"),
    ] {
        let wrong = right.replace(from, to);
        assert_ne!(wrong, right);
        assert_ne!(misfits(Schema::Workflow, &wrong), [""; 0], "{wrong}");
    }
    assert_ne!(misfits(Schema::Types, "- { name: a, colour: red }"), [""; 0]);
    assert_ne!(misfits(Schema::Routes, "- { path: /a/, topics: [a], room: b }"), [""; 0]);
    assert_ne!(misfits(Schema::Events, "order.paid: 5"), [""; 0]);
}

#[tokio::test]
async fn the_command_prints_the_same_schemas() {
    let installation = crate::harness::node::Installation::empty();
    for schema in Schema::ALL {
        let printed = installation.command(&["schema", schema.name()]).await;
        let kept = std::fs::read_to_string(path(&schema_file(schema))).expect("it is there");
        assert_eq!((printed.code, printed.stdout), (Some(0), kept));
    }
}

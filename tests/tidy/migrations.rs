use std::collections::BTreeMap;

use super::source::{Source, none};

const STORES: [&str; 2] = ["migrations/sqlite", "migrations/postgres"];

/// What takes away from the version before, which may still be at work.
const CONTRACTING: [&str; 7] =
    ["DROP TABLE", "DROP COLUMN", "DROP NOT", "RENAME ", "ALTER COLUMN", "TRUNCATE", "DROP VIEW"];

#[test]
fn stores_have_the_same_migrations() {
    let [sqlite, postgres] = STORES.map(names);
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, postgres);
}

#[test]
fn a_migration_takes_nothing_from_the_version_before() {
    let found = Source::all(&["migrations/postgres"], "sql")
        .into_iter()
        .filter(|source| !source.stem().ends_with("_contract"))
        .flat_map(|source| taking(&source.path, &source.text))
        .collect();
    none(
        found,
        "what takes away stands in a migration of its own, `*_contract.sql`, a release later",
    );
}

#[test]
fn what_takes_away_is_found() {
    let text = "ALTER TABLE run ADD COLUMN a BIGINT;\nalter table run drop column b;\n-- RENAME x";
    assert_eq!(taking("0009_x.sql", text), ["0009_x.sql:2: alter table run drop column b;"]);
}

fn taking(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim_start().starts_with("--"));
    let takes = lines.filter(|(line, _)| {
        let line = line.to_uppercase();
        CONTRACTING.iter().any(|word| line.contains(word))
    });
    takes.map(|(line, number)| format!("{path}:{number}: {}", line.trim())).collect()
}

/// By number.
fn names(store: &str) -> BTreeMap<String, String> {
    let sources = Source::all(&[store], "sql");
    let pairs = sources.iter().map(|source| {
        let (number, name) = source.stem().split_once('_').expect("a number, `_` and a name");
        (number.to_owned(), name.to_owned())
    });
    let names: BTreeMap<_, _> = pairs.collect();
    assert_eq!(names.len(), sources.len(), "two of one number in {store}");
    names
}

use std::collections::BTreeMap;

use super::source::{Source, is_comment, none, root};

/// The engine's modules, in reading order. One imports from the floors before its own, never from
/// its own or a later one. `docs/ARCHITECTURE.md` shows the same floors to people.
const FLOORS: [&[&str]; 13] = [
    &["model"],
    &["clock", "diagnostic"],
    &["telemetry", "expression", "egress", "seal"],
    &["config", "workflow", "template", "shared", "store", "channel"],
    &["ingest", "plan", "auth", "receipt"],
    &["gate"],
    &["render"],
    &["dispatch"],
    &["check", "explain"],
    &["pipeline"],
    &["job", "relay", "source", "api", "simulate"],
    &["node"],
    &["cli"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

#[test]
fn a_module_imports_from_the_floors_before_its_own() {
    let mut found = Vec::new();
    for source in Source::all(&["engine"], "rs") {
        let module = modules(&source.path);
        let Some(own) = module.first().filter(|name| !["lib", "main"].contains(name)) else {
            continue;
        };
        let Some(own_floor) = floor(own) else {
            found.push(format!("{}: `{own}` has no floor in this table", source.path));
            continue;
        };
        for (line, import) in imports(&module, &source.text) {
            if import != **own && floor(&import).is_some_and(|floor| floor >= own_floor) {
                found.push(format!("{}:{line}: `{own}` imports `{import}`", source.path));
            }
        }
    }
    none(found, "a module knows only the floors before its own");
}

#[test]
fn the_tour_is_in_the_order_of_the_table() {
    let tour = std::fs::read_to_string(root().join("engine/lib.rs")).expect("is there");
    let declared: Vec<&str> = tour
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
        .map(|line| line.trim_end_matches(';'))
        .collect();
    assert_eq!(declared, FLOORS.concat());
}

/// `engine/gate/budget.rs` is `gate::budget`.
fn modules(path: &str) -> Vec<&str> {
    let path = path.strip_prefix("engine/").unwrap_or(path);
    path.strip_suffix(".rs").unwrap_or(path).split('/').collect()
}

/// The engine's own modules that `text`, standing in `module`, names: in a `use` or in a path. By
/// line, each once.
fn imports(module: &[&str], text: &str) -> Vec<(usize, String)> {
    let code: String =
        text.lines().flat_map(|line| [if is_comment(line) { "" } else { line }, "\n"]).collect();
    let mut found = BTreeMap::new();
    let mut note = |at: usize, name: &str| {
        if name.is_empty() {
            return;
        }
        let line = code[..at].matches('\n').count() + 1;
        found.entry(name.to_owned()).or_insert(line);
    };
    for (at, word) in code.match_indices("crate::") {
        named(&code[at + word.len()..], |name| note(at, name));
    }
    let climb = "super::".repeat(module.len());
    for (at, word) in code.match_indices(&climb) {
        if !code[..at].ends_with("super::") {
            let rest = code[at + word.len()..].trim_start_matches("super::");
            named(rest, |name| note(at, name));
        }
    }
    found.into_iter().map(|(name, line)| (line, name)).collect()
}

/// The first names of what follows `crate::`: one, or those of a group.
fn named(path: &str, mut note: impl FnMut(&str)) {
    let Some(group) = path.strip_prefix('{') else {
        note(first_name(path));
        return;
    };
    let (mut depth, mut start) = (0_usize, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                note(first_name(group[start..at].trim_start()));
                return;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                note(first_name(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
}

fn first_name(path: &str) -> &str {
    let end = path.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(path.len());
    &path[..end]
}

#[test]
fn imports_are_found_however_they_are_written() {
    let text = "//! [`crate::cli`] is not imported by speaking of it.\n\
                use crate::model::{Event, Run};\n\
                use crate::{\n    clock::Clock,\n    store::{self, Store},\n    node,\n};\n\
                use super::super::render::Rendered;\n\
                use super::sibling;\n\
                fn run() -> crate::gate::Permit {}\n";
    let mut found = imports(&["job", "worker"], text);
    found.sort();
    let expected =
        [(2, "model"), (3, "clock"), (3, "node"), (3, "store"), (8, "render"), (10, "gate")];
    assert_eq!(found, expected.map(|(line, name)| (line, name.to_owned())));
}

//! `docs/reference/gates.md` says what the engine does: its tables are made from the engine's own.

use std::fmt::Write;
use std::path::Path;

use nuncio::model::{CODES, GATES, Stage};

const PAGE: &str = "docs/reference/gates.md";

fn gates() -> String {
    let mut table = "| # | gate | question | otherwise | asked | codes |\n\
                     | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for gate in GATES {
        let codes = CODES.iter().filter(|code| code.stage == Stage::Gate(gate.number));
        let codes: Vec<String> = codes.map(|code| format!("`{}`", code.code)).collect();
        let codes = codes.join(", ");
        let (number, name) = (gate.number, gate.name);
        let (question, otherwise, asked) = (gate.question, gate.otherwise, gate.asked);
        writeln!(table, "| {number} | {name} | {question} | {otherwise} | {asked} | {codes} |")
            .expect("text takes text");
    }
    table
}

fn codes() -> String {
    let mut table = "| code | where | decision | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for code in CODES {
        let place = match code.stage {
            Stage::Gate(number) => format!("gate {number}"),
            other => other.as_str().to_owned(),
        };
        writeln!(table, "| `{}` | {place} | {} | {} |", code.code, code.decision, code.meaning)
            .expect("text takes text");
    }
    table
}

/// The page with the text between a table's marks replaced.
fn with(page: &str, name: &str, table: &str) -> String {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let from = page.find(&start).expect("the table's first mark") + start.len();
    let to = page.find(&end).expect("the table's last mark");
    format!("{}\n{table}\n{}", &page[..from], &page[to..])
}

#[test]
fn the_page_holds_the_tables_of_the_engine() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(path).expect("the page is there");
    let expected = with(&with(&page, "gates", &gates()), "codes", &codes());
    crate::reference::same(PAGE, &expected);
}

#[test]
fn no_code_stands_twice_and_each_gate_has_its_own() {
    let mut names: Vec<&str> = CODES.iter().map(|code| code.code).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for (gate, number) in GATES.iter().zip(1..) {
        assert_eq!(gate.number, number);
        assert!(CODES.iter().any(|code| code.stage == Stage::Gate(number)), "{}", gate.name);
    }
}

#[test]
fn every_code_of_the_stages_stands_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine");
    let mut found = Vec::new();
    for stage in ["gate", "plan", "pipeline", "receipt"] {
        let mut files = vec![root.join(format!("{stage}.rs"))];
        let mut folders = vec![root.join(stage)];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            let entries = entries.map(|entry| entry.expect("it can be listed").path());
            let (inner, found): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
            folders.extend(inner);
            files.extend(found);
        }
        for file in files {
            let text = std::fs::read_to_string(&file).expect("it can be read");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            found.extend(text.split('"').filter(|text| is_code(text)).map(str::to_owned));
        }
    }
    assert!(found.len() > 20, "they are found at all: {found:?}");
    let known = |text: &String| CODES.iter().any(|code| code.code == text.as_str());
    let missing: Vec<_> = found.iter().filter(|text| !known(text)).collect();
    assert!(missing.is_empty(), "not in the table of codes: {missing:?}");
}

/// `preference.channel_off`: two lower-case words with a dot between.
fn is_code(text: &str) -> bool {
    let word = |word: &str| {
        word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    // A setting's name looks the same.
    let mut parts = text.split_once('.').filter(|(stage, _)| *stage != "engine").into_iter();
    parts.any(|(stage, rest)| word(stage) && word(rest))
}

use super::source::{Source, none};

const FILE_LINES: usize = 500;
const MEDIAN_LINES: usize = 150;
const FUNCTION_LINES: usize = 70;

#[test]
fn no_file_is_long() {
    let files = Source::rust().into_iter().map(|source| (source.text.lines().count(), source.path));
    let long = files.filter(|(lines, _)| *lines > FILE_LINES);
    let found = long.map(|(lines, path)| format!("{path}: {lines} lines")).collect();
    none(found, "a file has at most 500 lines");
}

#[test]
fn most_files_of_the_engine_are_small() {
    let files = Source::all(&["engine"], "rs");
    let mut lines: Vec<_> = files.iter().map(|source| source.text.lines().count()).collect();
    lines.sort_unstable();
    let median = lines[lines.len() / 2];
    assert!(median < MEDIAN_LINES, "the median file of the engine has {median} lines");
}

#[test]
fn no_function_is_long() {
    let mut found = Vec::new();
    for source in Source::rust() {
        for (line, name, length) in functions(&source.text) {
            if length >= FUNCTION_LINES {
                found.push(format!("{}:{line}: `{name}` has {length} lines", source.path));
            }
        }
    }
    none(found, "a function has fewer than 70 lines");
}

/// Line, name and length of each function with a body, in code as rustfmt leaves it: a body ends
/// at the brace below the `fn`'s own line.
fn functions(text: &str) -> Vec<(usize, &str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let signature = lines[start..].iter().position(|line| line.ends_with(['{', ';', '}']));
        let Some(opened) = signature.filter(|&at| lines[start + at].ends_with('{')) else {
            continue;
        };
        let body = &lines[start + opened + 1..];
        if let Some(closed) = body.iter().position(|line| *line == end) {
            found.push((start + 1, name, opened + 1 + closed + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    while let Some((word, rest)) = words.split_once(' ') {
        if word == "fn" {
            return rest.split(['(', '<']).next();
        }
        if !["async", "const", "unsafe", "extern"].contains(&word) && !word.starts_with("pub") {
            return None;
        }
        words = rest;
    }
    None
}

#[test]
fn functions_are_measured_from_their_name_to_their_brace() {
    let text = "trait T {\n    fn declared(\n        &self,\n    );\n}\n\
                pub(super) async fn long(\n    a: u8,\n) -> u8 {\n    if a == 0 {\n        1\n    \
                } else {\n        2\n    }\n}\nfn short() {}\nfn last<T>() {\n}\n";
    assert_eq!(functions(text), [(6, "long", 9), (16, "last", 2)]);
}

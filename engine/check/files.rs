//! Which file is what. The only reader of users' files.

use std::fs;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Source};

/// Files of one set.
const MAX_FILES: usize = 10_000;
/// Folders inside folders.
const MAX_DEPTH: usize = 16;
/// Bytes of one file; each reader has a smaller limit of its own.
const MAX_BYTES: u64 = 4 << 20;

#[derive(Default)]
pub(super) struct Files {
    pub(super) workflows: Vec<Source>,
    pub(super) events: Vec<Source>,
    pub(super) types: Vec<Source>,
    pub(super) routes: Vec<Source>,
    pub(super) templates: Vec<Source>,
}

pub(super) fn read(root: &Path, problems: &mut Vec<Diagnostic>) -> Files {
    let mut files = Files::default();
    for path in list(root, "workflows", problems) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let Some((stem, _)) = name.rsplit_once('.').filter(|(_, end)| is_yaml(end)) else {
            continue;
        };
        if stem.ends_with(".test") || path.split('/').any(|part| part == "samples") {
            continue;
        }
        let Some(source) = source(root, &path, problems) else {
            continue;
        };
        match stem {
            "events" => files.events.push(source),
            "types" => files.types.push(source),
            "routes" => files.routes.push(source),
            _ => files.workflows.push(source),
        }
    }
    files.templates = templates(root, problems);
    files
}

/// Users' own tests: `*.test.yaml` beside their workflows.
pub(super) fn tests(root: &Path, problems: &mut Vec<Diagnostic>) -> Vec<Source> {
    let is_test = |path: &String| {
        path.rsplit_once('.').is_some_and(|(stem, end)| is_yaml(end) && stem.ends_with(".test"))
    };
    let found = list(root, "workflows", problems).into_iter().filter(is_test);
    found.filter_map(|path| source(root, &path, problems)).collect()
}

/// Adds a workflow file by its own path, unless it is one of those that were found.
pub(super) fn add_workflow(
    files: &mut Files,
    root: &Path,
    path: &Path,
    problems: &mut Vec<Diagnostic>,
) {
    let same = |source: &Source| {
        let found = fs::canonicalize(root.join(source.path()));
        found.is_ok_and(|found| fs::canonicalize(path).is_ok_and(|path| path == found))
    };
    if !files.workflows.iter().any(same) {
        let shown = path.to_string_lossy().replace('\\', "/");
        files.workflows.extend(source(Path::new(""), &shown, problems));
    }
}

pub(super) fn templates(root: &Path, problems: &mut Vec<Diagnostic>) -> Vec<Source> {
    let paths = list(root, "templates", problems);
    let paths = paths.iter().filter(|path| path.ends_with(".hbs"));
    paths.filter_map(|path| source(root, path, problems)).collect()
}

fn is_yaml(end: &str) -> bool {
    end == "yaml" || end == "yml"
}

pub(super) fn source(root: &Path, path: &str, problems: &mut Vec<Diagnostic>) -> Option<Source> {
    let full = root.join(path);
    let mut refuse = |code, message: String| {
        problems.push(Diagnostic::of_file(code, path, message));
        None
    };
    if fs::metadata(&full).is_ok_and(|found| found.len() > MAX_BYTES) {
        return refuse("file.size", format!("the file is larger than {MAX_BYTES} bytes"));
    }
    match fs::read(&full) {
        Ok(bytes) => match decoded(path, bytes) {
            Ok(source) => Some(source),
            Err(problem) => {
                problems.push(*problem);
                None
            }
        },
        Err(error) => refuse("file.unreadable", format!("the file cannot be read: {error}")),
    }
}

/// UTF-8 without NUL; a byte order mark is passed over, as editors put it there by themselves.
fn decoded(path: &str, bytes: Vec<u8>) -> Result<Source, Box<Diagnostic>> {
    let wrong = |before: &[u8], message: &str| {
        let read = String::from_utf8_lossy(before);
        let source = Source::new(path, read.as_ref());
        let at = read.len();
        let problem = Diagnostic::error(&source, "file.encoding", at..at, message);
        Box::new(problem.hint("a text in UTF-8 is expected"))
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        wrong(&error.as_bytes()[..valid], "the file is no UTF-8 from here on")
    })?;
    if let Some(at) = text.find('\0') {
        return Err(wrong(&text.as_bytes()[..at], "the file holds a NUL character"));
    }
    Ok(Source::new(path, text.strip_prefix('\u{feff}').unwrap_or(&text)))
}

/// The files under a folder, relative to `root` and with forward slashes, sorted.
fn list(root: &Path, folder: &str, problems: &mut Vec<Diagnostic>) -> Vec<String> {
    let mut found = Vec::new();
    if root.join(folder).is_dir() {
        gather(root, folder, 0, &mut found, problems);
    }
    if found.len() > MAX_FILES {
        let message = format!("{} files; at most {MAX_FILES}", found.len());
        problems.push(Diagnostic::of_file("file.many", folder, message));
        found.truncate(MAX_FILES);
    }
    found.sort();
    found
}

fn gather(
    root: &Path,
    folder: &str,
    depth: usize,
    found: &mut Vec<String>,
    problems: &mut Vec<Diagnostic>,
) {
    if depth > MAX_DEPTH {
        let message = format!("folders are nested more than {MAX_DEPTH} deep");
        problems.push(Diagnostic::of_file("file.depth", folder, message));
        return;
    }
    let entries = match fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("the folder cannot be read: {error}");
            problems.push(Diagnostic::of_file("file.unreadable", folder, message));
            return;
        }
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        // Editors leave hidden files behind; a name that is no text is no name of ours.
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let path = format!("{folder}/{name}");
        if entry.path().is_dir() {
            gather(root, &path, depth + 1, found, problems);
        } else {
            found.push(path);
        }
    }
}

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

pub(super) fn templates(root: &Path, problems: &mut Vec<Diagnostic>) -> Vec<Source> {
    let paths = list(root, "templates", problems);
    let paths = paths.iter().filter(|path| path.ends_with(".hbs"));
    paths.filter_map(|path| source(root, path, problems)).collect()
}

fn is_yaml(end: &str) -> bool {
    end == "yaml" || end == "yml"
}

fn source(root: &Path, path: &str, problems: &mut Vec<Diagnostic>) -> Option<Source> {
    let full = root.join(path);
    let large = fs::metadata(&full).is_ok_and(|found| found.len() > MAX_BYTES);
    let read = match large {
        true => Err(format!("the file is larger than {MAX_BYTES} bytes")),
        false => fs::read(&full).map_err(|error| format!("the file cannot be read: {error}")),
    };
    let text = read.and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| "the file is no UTF-8 text".to_owned())
    });
    match text {
        Ok(text) => Some(Source::new(path, text)),
        Err(message) => {
            problems.push(Diagnostic::of_file("file.unreadable", path, message));
            None
        }
    }
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

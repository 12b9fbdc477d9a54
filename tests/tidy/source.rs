use std::path::{Path, PathBuf};

/// A text file of the project.
pub struct Source {
    /// From the project's root, with `/`.
    pub path: String,
    pub text: String,
}

impl Source {
    /// The files under `folders` that end in `.extension`, sorted by path. A file may stand for a
    /// folder; one that does not exist is left out.
    pub fn all(folders: &[&str], extension: &str) -> Vec<Self> {
        let mut found = Vec::new();
        for folder in folders {
            collect(&root().join(folder), extension, &mut found);
        }
        found.sort();
        found.iter().map(|path| Self::read(path)).collect()
    }

    /// All Rust of the project.
    pub fn rust() -> Vec<Self> {
        Self::all(&["engine", "plugins", "tests", "benches", "build.rs"], "rs")
    }

    /// The lines of code, numbered from 1: those that are comments from their beginning are left
    /// out.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().zip(1..);
        lines.map(|(line, number)| (number, line)).filter(|(_, line)| !is_comment(line))
    }

    /// The file's name without its extension.
    pub fn stem(&self) -> &str {
        Path::new(&self.path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    fn read(path: &Path) -> Self {
        let name = path.strip_prefix(root()).expect("found below the root");
        Self {
            path: name.to_string_lossy().replace('\\', "/"),
            text: std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path:?}: {e}")),
        }
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Fails with everything that was found, a line each.
pub fn none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

fn collect(path: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    if path.is_file() && path.extension().is_some_and(|other| other == extension) {
        found.push(path.to_owned());
    }
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries {
        let path = entry.expect("a folder is read").path();
        if path.file_name().is_some_and(|name| name != "target") {
            collect(&path, extension, found);
        }
    }
}

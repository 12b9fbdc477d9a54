//! The pages that people begin with: their files are checked, and their commands are there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use nuncio::{check, node};

/// The files of a page: a path in backticks that begins `workflows/` or `templates/`, and the next
/// fenced block.
fn files(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut path = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(fence) = line.trim_start().strip_prefix("```") {
            let indent = line.len() - line.trim_start().len();
            let inside: Vec<&str> = lines
                .by_ref()
                .take_while(|line| line.trim() != "```")
                .map(|line| line.get(indent..).unwrap_or_default())
                .collect();
            if let Some(path) = path.take()
                && ["yaml", "handlebars"].contains(&fence)
            {
                found.push((path, inside.join("\n") + "\n"));
            }
            continue;
        }
        let named = line.split('`').skip(1).step_by(2);
        let named = named.filter(|name| {
            (name.starts_with("workflows/") || name.starts_with("templates/")) && name.contains('.')
        });
        path = named.last().map(str::to_owned).or(path);
    }
    found
}

fn read(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    std::fs::read_to_string(path).expect("the page is there")
}

fn check(page: &str, expected: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let files = files(&read(page));
    let paths: Vec<_> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths.len(), expected, "{paths:?}");
    for (path, text) in &files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let loaded = check::load(folder.path(), &node::known_channels());
    let errors: Vec<_> = loaded.diagnostics.iter().filter(|problem| problem.is_error()).collect();
    assert!(errors.is_empty(), "{page}: {errors:#?}");
    let catalog = loaded.catalog.expect("a set without errors is in force");
    assert_eq!(catalog.workflows.len(), 1);
}

#[test]
fn the_workflow_of_the_integrators_guide_has_no_error() {
    check("docs/guides/integrator.md", 5);
}

#[test]
fn the_test_of_the_integrators_guide_passes() {
    let page = read("docs/guides/integrator.md");
    let folder = tempfile::tempdir().expect("a folder");
    let (_, test) = page.split_once("`book-due.test.yaml`").expect("the guide has a test");
    let test = test.split("```").nth(1).and_then(|block| block.strip_prefix("yaml\n"));
    let test = ("workflows/library/book-due.test.yaml".into(), test.expect("a block").to_owned());
    for (path, text) in files(&page).iter().chain([&test]) {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_nuncio"));
    let ran = command.arg("test").current_dir(folder.path()).output().expect("it runs");
    assert!(ran.status.success(), "{ran:#?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("2 passed, 0 failed"), "{ran:#?}");
}

#[test]
fn the_workflow_of_the_readme_has_no_error() {
    check("README.md", 3);
}

#[test]
fn every_command_that_the_pages_name_is_one() {
    let help = Command::new(env!("CARGO_BIN_EXE_nuncio")).arg("--help").output();
    let help = String::from_utf8(help.expect("it runs").stdout).expect("text");
    let commands: BTreeSet<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for page in ["README.md", "docs/guides/integrator.md", "docs/guides/operator.md"] {
        let text = read(page);
        let named = text.lines().filter_map(|line| {
            let line = line.trim();
            line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("nuncio "))
        });
        let named: BTreeSet<&str> = named.filter_map(|rest| rest.split(' ').next()).collect();
        assert!(!named.is_empty(), "{page} names no command");
        assert!(named.is_subset(&commands), "{page}: {named:?}, of {commands:?}");
    }
}

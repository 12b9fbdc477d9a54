use super::source::{Source, none, root};

/// The pages that speak of the project: not the texts of others (`LICENSE`).
fn pages() -> Vec<Source> {
    Source::all(&["README.md", "CHANGELOG.md", "docs", "plugins", "workflows"], "md")
}

#[test]
fn every_link_leads_to_a_file() {
    let mut found = Vec::new();
    for page in pages() {
        let folder = root().join(&page.path);
        let folder = folder.parent().expect("a page stands in a folder");
        for (line, number) in page.text.lines().zip(1..) {
            for target in links(line) {
                let file = target.split('#').next().unwrap_or_default();
                if !target.contains("://") && !file.is_empty() && !folder.join(file).exists() {
                    found.push(format!("{}:{number}: {target}", page.path));
                }
            }
        }
    }
    none(found, "a link leads to a file that is there");
}

#[test]
fn the_map_names_every_module() {
    let map = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("is there");
    let tour = std::fs::read_to_string(root().join("engine/lib.rs")).expect("is there");
    let modules = tour.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let missing = modules.filter(|module| !map.contains(&format!("`{module}`")));
    none(missing.map(str::to_owned).collect(), "docs/ARCHITECTURE.md names every module");
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let pages = Source::all(&["docs/decisions"], "md");
    let numbers: Vec<_> = pages.iter().map(|page| page.stem()[..4].to_owned()).collect();
    let expected: Vec<_> = (1..=numbers.len()).map(|number| format!("{number:04}")).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn the_pages_that_code_names_are_there() {
    let mut found = Vec::new();
    for source in Source::rust() {
        for (line, number) in source.text.lines().zip(1..) {
            for (at, _) in line.match_indices(concat!("docs", "/")) {
                let rest = &line[at..];
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"/-_.".contains(c));
                let page = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
                if page.ends_with(".md") && !root().join(page).exists() {
                    found.push(format!("{}:{number}: {page}", source.path));
                }
            }
        }
    }
    none(found, "a page that a comment names is there");
}

#[test]
fn an_exception_names_a_test_that_runs() {
    let exceptions = std::fs::read_to_string(root().join("deny.toml")).expect("is there");
    let named = exceptions.split("test `").skip(1).filter_map(|rest| rest.split('`').next());
    let tests = Source::all(&["tests", "engine"], "rs");
    let runs = |name: &str| {
        let function = format!("fn {}(", name.rsplit("::").next().unwrap_or_default());
        tests.iter().any(|source| source.text.contains(&function))
    };
    none(named.filter(|name| !runs(name)).map(str::to_owned).collect(), "deny.toml names a test");
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let mut sources = Source::rust();
    sources.extend(pages());
    let mut found = Vec::new();
    for source in sources {
        for (line, number) in source.text.lines().zip(1..) {
            for place in [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")] {
                if line.contains(place) {
                    found.push(format!("{}:{number}: {place}", source.path));
                }
            }
        }
    }
    none(found, "no page names a folder of one machine");
}

/// The targets of `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

#[test]
fn links_are_found() {
    let line = "See [one](a.md), [two](b/c.md#part) and `[not](this`; [three](https://x.example).";
    let found: Vec<_> = links(line).collect();
    assert_eq!(found, ["a.md", "b/c.md#part", "this`;", "https://x.example"]);
}

use super::source::{Source, none};

/// What is not written, and what is written instead. In two parts, so that this page does not name
/// them itself.
const BANNED: [(&str, &str, &str); 9] = [
    ("to", "do!", "finish it, or leave it out"),
    ("unimpl", "emented!", "finish it, or leave it out"),
    ("FIX", "ME", "fix it, or open an issue"),
    ("TO", "DO", "do it, or open an issue"),
    ("#[al", "low(", "`#[expect(…, reason = …)]` says why, and when it is over"),
    ("#![al", "low(", "`#![expect(…, reason = …)]` says why, and when it is over"),
    ("#[ig", "nore", "a test that does not run proves nothing"),
    ("thread::", "sleep", "await a signal, or move the clock"),
    ("dbg", "!(", "`tracing` tells the operator too"),
];

/// What the engine is used for is the packs' business.
const PACKS: [&str; 6] = ["appointment", "patient", "doctor", "hospital", "prescription", "clinic"];

/// Names that say nothing of what is inside.
const DRAWERS: [&str; 10] =
    ["util", "utils", "helper", "helpers", "manager", "common", "types", "service", "misc", "mod"];

#[test]
fn what_is_banned_is_not_written() {
    let mut found = Vec::new();
    for source in Source::rust() {
        for (line, number) in source.text.lines().zip(1..) {
            for (first, second, instead) in BANNED {
                if line.contains(&format!("{first}{second}")) {
                    found.push(format!("{}:{number}: {first}{second}: {instead}", source.path));
                }
            }
        }
    }
    none(found, "some things are not written");
}

#[test]
fn no_test_waits_for_the_wall_clock() {
    let tests = Source::rust().into_iter().filter(|source| is_test(&source.path));
    let mut found = Vec::new();
    for source in tests {
        for (number, line) in source.code() {
            if line.contains(concat!("time::", "sleep"))
                || line.contains(concat!("time::", "interval"))
            {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    none(found, "a test moves the clock or awaits a signal");
}

#[test]
fn the_engine_knows_no_pack() {
    let mut found = Vec::new();
    for source in Source::all(&["engine", "plugins", "tests/harness", "tests/conformance"], "rs") {
        for (line, number) in source.text.to_lowercase().lines().zip(1..) {
            for word in PACKS.iter().filter(|word| line.contains(*word)) {
                found.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    none(found, "the words of a trade stand in its pack");
}

#[test]
fn names_say_what_is_inside() {
    let mut found = Vec::new();
    for source in Source::rust() {
        if DRAWERS.contains(&source.stem()) {
            found.push(source.path.clone());
        }
        for (number, line) in source.code() {
            let name = declared(line).unwrap_or_default();
            if ["Manager", "Helper", "Util", "Utils"].iter().any(|drawer| name.ends_with(drawer)) {
                found.push(format!("{}:{number}: {name}", source.path));
            }
        }
    }
    none(found, "a name says what is inside");
}

#[test]
fn one_room_names_the_runtime_of_plugins() {
    let mut found = Vec::new();
    for source in Source::all(&["engine"], "rs") {
        if source.path.starts_with("engine/channel/wasm") {
            continue;
        }
        for (number, _) in source.code().filter(|(_, line)| line.contains("wasmtime")) {
            found.push(format!("{}:{number}", source.path));
        }
    }
    none(found, "`wasmtime` is named in channel/wasm alone");
}

#[test]
fn every_test_is_run() {
    let main = Source::all(&["tests/main.rs"], "rs").remove(0);
    let declared: Vec<&str> =
        main.code().filter_map(|(_, line)| line.strip_prefix("mod ")?.strip_suffix(';')).collect();
    let features = Source::all(&["tests"], "rs");
    let features = features.iter().filter(|source| source.path.matches('/').count() == 1);
    let missing =
        features.map(Source::stem).filter(|stem| *stem != "main" && !declared.contains(stem));
    none(missing.map(str::to_owned).collect(), "tests/main.rs declares every feature's tests");
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The name of the type or module that a line declares.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    let kind = words.next()?;
    ["struct", "enum", "trait", "type", "mod"].contains(&kind).then_some(())?;
    words.next()?.split(['<', '(', ';', ':', '{']).next()
}

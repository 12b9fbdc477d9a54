use super::{EVENT, NOON, Shop, USER};

/// What is said of these files, with exit code 1.
fn refused(files: &[(&str, &str)], more: &[&str]) -> String {
    let shop = files.iter().fold(Shop::open(), |shop, (path, text)| shop.write(path, text));
    let ended = shop.simulate(&[&["--at", NOON], more].concat());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    ended.stderr
}

#[test]
fn each_wrong_input_has_its_code_and_its_place() {
    let rows = [
        ("event.json", "{\"name\": ", "json.syntax", "event.json:1:"),
        ("event.json", "", "json.syntax", "event.json:1:1"),
        ("event.json", "[]", "event.missing", "event.json:1:1"),
        ("event.json", "{\n  \"name\": 7\n}", "event.shape", "event.json:2:11"),
        ("event.json", "[{\"name\": \"a\"},\n {\"nam\": \"b\"}]", "event.shape", "event.json:2:"),
        (
            "event.json",
            "{\"name\": \"order.paid\", \"data\":\n {\"buyer\": []}}",
            "event.schema",
            "event.json:2:12",
        ),
        ("event.json", "{\"name\": \"a\"}\n{\"name\": \n", "json.syntax", "event.json:2:"),
        ("user.json", "{\"id\": 42,\n \"emial\": \"a\"}", "user.invalid", "user.json:2:11"),
        ("user.json", "[{\"id\": 1},\n {\"id\": \"1\"}]", "user.duplicate", "user.json:2:9"),
        (
            "user.json",
            "{\"id\": 1, \"preferences\": {\"quiet_hours\":\n {\"start_time\": \"ten\"}}}",
            "user.invalid",
            "user.json:2:17",
        ),
        ("user.json", "{\"id\": 1, \"devices\": [{}]}", "user.invalid", "user.json:1:"),
        ("user.json", "{\"id\": 1, \"topics\": [1]}", "user.invalid", "user.json:1:22"),
        ("s.yaml", "provider: []", "yaml.unknown_key", "s.yaml:1:1"),
        ("s.yaml", "providers: [{ outcome: maybe }]", "yaml.word", "s.yaml:1:24"),
        ("s.yaml", "providers: [{ outcome: retry, after: soon }]", "duration.syntax", "s.yaml:1:"),
        (
            "s.yaml",
            "providers: [{ channel: emial, outcome: retry }]",
            "channel.unknown",
            "s.yaml:1:24",
        ),
        (
            "s.yaml",
            "providers: [{ provider: mx, outcome: retry }]",
            "provider.unknown",
            "s.yaml:1:25",
        ),
        ("s.yaml", "reads: [{ user: 42 }]", "script.moment", "s.yaml:1:9"),
        ("s.yaml", "reads: [{ user: 42, after: 1m, workflow: no }]", "script.workflow", "s.yaml:1"),
        ("s.yaml", "reads: [{ user: [], after: 1m }]", "yaml.type", "s.yaml:1:17"),
    ];
    for (path, text, code, place) in rows {
        let said = refused(&[("s.yaml", ""), (path, text)], &["--script", "s.yaml"]);
        assert!(said.contains(&format!("error[{code}]")), "{path} {text}: {said}");
        assert!(said.contains(&format!("--> {place}")), "{path} {text}: {said}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let files =
        [("event.json", "{\"name\": 1}"), ("user.json", "{\"id\": []}"), ("s.yaml", "x: 1")];
    let said = refused(&files, &["--script", "s.yaml"]);
    assert_eq!(said.matches("error[").count(), 3, "{said}");
}

#[test]
fn a_slip_of_the_pen_gets_a_hint() {
    let script = "providers: [{ channel: emial, outcome: retry }]";
    let said = refused(&[("s.yaml", script)], &["--script", "s.yaml"]);
    assert!(said.contains("did you mean `email`?"), "{said}");
}

#[test]
fn files_that_are_not_there_are_said_so() {
    let shop = Shop::open();
    let ended = shop.simulate(&["--script", "none.yaml"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("[file.unreadable] `none.yaml`"), "{}", ended.stderr);
    let ended = shop.run(&["simulate", "workflows/none.yaml", "--event", "event.json"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("file.unreadable"), "{}", ended.stderr);
    let ended = shop.run(&["simulate", "workflows/shop/events.yaml", "--event", "event.json"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn a_workflow_with_errors_is_not_simulated() {
    let said = refused(&[("workflows/shop/stock.yaml", "workflow: stock\n")], &[]);
    assert!(said.contains("error[yaml.missing]"), "{said}");
}

#[test]
fn an_instant_that_is_none_is_a_matter_of_usage() {
    let ended = Shop::open().simulate(&["--until", "tomorrow"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[test]
fn lists_and_lines_are_the_same_events() {
    let one = Shop::open().write("event.json", &format!("[{EVENT}, {EVENT}]"));
    let other = Shop::open().write("event.json", &format!("{EVENT}\n{EVENT}\n"));
    let third = Shop::open().write("event.json", &format!("{EVENT}\n\n  {EVENT}"));
    let rows = one.messages(&["--at", NOON]);
    assert_eq!(rows.len(), 4);
    assert_eq!(rows, other.messages(&["--at", NOON]));
    assert_eq!(rows, third.write("user.json", &format!("[{USER}]")).messages(&["--at", NOON]));
}

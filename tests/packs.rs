//! The packs that ship are whole: what they promise is looked for in their files.

mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use nuncio::check::{self, Catalog};
use nuncio::diagnostic::{Document, Kind, Node, Source};
use nuncio::node;
use nuncio::template::Context;
use nuncio::workflow::step::Send;
use nuncio::workflow::{Room, Step, StepKind, Workflow};
use serde_json::Value;

use table::{CARE, CARE_TYPES, EMAILS, OFF, ROUTES, SHOP, TOPICS, Told};

static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
    let loaded = check::load(&root(), &node::known_channels());
    loaded.catalog.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
});

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every event of the tables, with its pack and its workflow.
fn promised() -> impl Iterator<Item = (&'static str, &'static Told, &'static Workflow)> {
    let care = CARE.iter().chain(&TOPICS).map(|told| ("care", told));
    care.chain(SHOP.iter().map(|told| ("shop", told))).map(|(pack, told)| {
        let workflow = CATALOG.workflows.get(told.workflow);
        let workflow = workflow.unwrap_or_else(|| panic!("no workflow `{}`", told.workflow));
        (pack, told, &**workflow)
    })
}

fn sends(workflow: &'static Workflow) -> Vec<&'static Send> {
    let send = |step: &'static Step| match &step.kind {
        StepKind::Send(send) => Some(send),
        _ => None,
    };
    workflow.all_steps().into_iter().filter_map(send).collect()
}

#[test]
fn every_event_starts_its_workflow_by_its_full_name() {
    for (pack, told, workflow) in promised() {
        assert!(workflow.on.iter().any(|on| on.as_str() == told.event), "{}", told.event);
        assert!(!workflow.starters().any(|on| on.is_glob()), "{}", workflow.path);
        assert!(workflow.path.starts_with(&format!("workflows/{pack}/")), "{}", workflow.path);
        assert_eq!(workflow.category.as_str(), told.category, "{}", workflow.path);
        assert!(workflow.key.is_some(), "{}", workflow.path);
    }
    let named: BTreeSet<&str> = promised().map(|(_, told, _)| told.workflow).collect();
    let there: BTreeSet<&str> =
        CATALOG.workflows.all().iter().map(|workflow| workflow.name.as_str()).collect();
    assert_eq!(named, there, "the tables name every workflow");
}

#[test]
fn every_event_is_declared_and_has_a_sample_that_fits() {
    let mut declared = BTreeSet::new();
    for (pack, told, _) in promised() {
        assert!(CATALOG.events.is_declared(told.event), "{}", told.event);
        let file = format!("workflows/{pack}/samples/{}.json", told.event.replace('.', "_"));
        let sample = serde_json::from_str(&read(&root().join(&file))).expect("a sample is JSON");
        assert_eq!(CATALOG.events.misfits(told.event, &sample), [], "{file}");
        declared.insert(told.event);
    }
    assert_eq!(declared, CATALOG.events.names().collect(), "the tables name every event");
}

#[test]
fn what_is_sent_has_its_own_words_in_both_languages() {
    let mut seen = BTreeSet::new();
    for (_, _, workflow) in promised() {
        for send in sends(workflow) {
            let template = send.template.as_deref().expect("a send names its template");
            for channel in send.channels.iter().filter(|channel| channel.as_str() != "webhook") {
                if seen.insert((template.to_owned(), channel.to_string())) {
                    has_words(template, channel.as_str());
                }
            }
        }
    }
    let mailed: BTreeSet<&str> = seen
        .iter()
        .filter(|(_, channel)| channel == "email")
        .filter_map(|(template, _)| template.strip_prefix("care/"))
        .collect();
    let missing: Vec<_> = EMAILS.iter().filter(|name| !mailed.contains(*name)).collect();
    assert!(missing.is_empty(), "no mail is sent by {missing:?}");
}

fn has_words(template: &str, channel: &str) {
    let folder = root().join("templates").join(template);
    let english = read(&folder.join(format!("{channel}.hbs")));
    let french = read(&folder.join(format!("{channel}.fr.hbs")));
    assert_ne!(english, french, "{template}: {channel}");
    assert!(folder.join("sample.json").is_file(), "{template} has no sample");
    for text in [&english, &french] {
        assert!(!text.contains("{{{"), "{template}: what users write is escaped");
        let fields: &[&str] = match channel {
            "email" => &["subject: ", "preheader: ", "layout: "],
            "sms" => &[],
            _ => &["title: "],
        };
        for field in fields {
            assert!(text.lines().any(|line| line.starts_with(field)), "{template}: no {field}");
        }
    }
    if channel == "email" {
        let body = |text: &str| text.split("---\n").nth(2).map(str::to_owned).unwrap_or_default();
        assert!(
            body(&french).contains("Bonjour") && body(&english).contains("Hello"),
            "{template}"
        );
    }
}

#[test]
fn every_template_is_written_with_its_sample_in_both_languages() {
    let templates = &CATALOG.templates;
    for name in templates.names() {
        let sample = read(&root().join("templates").join(name).join("sample.json"));
        let mut sample: Value = serde_json::from_str(&sample).expect("a sample is JSON");
        for channel in templates.channels(name) {
            let [english, french] = ["en", "fr"].map(|locale| {
                sample["recipient"]["locale"] = locale.into();
                let mut context = Context::from(sample.clone());
                let content = templates.render(name, channel, Some(locale), &mut context);
                let content = content.unwrap_or_else(|error| panic!("{name}: {channel}: {error}"));
                assert!(!content.body.trim().is_empty(), "{name}: {channel}");
                (content.subject, content.body)
            });
            assert!(channel == "webhook" || english != french, "{name}: {channel}");
        }
    }
}

#[test]
fn every_workflow_has_a_case_that_sends_and_one_that_must_not() {
    for (_, told, workflow) in promised() {
        let file = workflow.path.replace(".yaml", ".test.yaml");
        let source = Source::new(file.as_str(), read(&root().join(&file)));
        let (document, problems) = Document::parse(&source);
        assert_eq!(problems, [], "{file}");
        let document = document.expect("it was read");
        let cases = document.root.get("cases").map(items).unwrap_or_default();
        let says = |words: &[&str]| {
            let mut expected = cases.iter().filter_map(|case| case.get("then")).flat_map(items);
            expected.any(|one| words.iter().any(|word| one.get(word).is_some()))
        };
        assert!(says(&["send", "decision"]) || OFF.contains(&told.workflow), "{file}: none sends");
        assert!(says(&["none"]), "{file}: none says what must not be");
        let wanted = if OFF.contains(&told.workflow) { 1 } else { 2 };
        assert!(cases.len() >= wanted, "{file}: {} cases", cases.len());
    }
}

#[test]
fn every_case_of_the_packs_holds() {
    let run = Command::new(env!("CARGO_BIN_EXE_nuncio")).arg("test").arg(root()).output();
    let run = run.expect("it runs");
    let (failed, counts) = (text(&run.stdout), text(&run.stderr));
    assert!(run.status.success(), "{failed}");
    assert!(counts.contains(" passed, 0 failed") && !counts.contains(" 0 passed"), "{counts}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn items(node: &Node) -> Vec<&Node> {
    match &node.kind {
        Kind::List(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_route_of_the_table_is_there() {
    let there: Vec<_> = CATALOG
        .routes
        .iter()
        .map(|route| {
            let joins = match &route.room {
                Room::Topics(topics) => topics.join(" "),
                Room::Room { name, publish, history } => {
                    format!("room {name}, publish {publish}, history {history}")
                }
            };
            let who = route.who.as_ref().map_or("member", |who| who.text());
            (route.path.clone(), joins, who.to_owned())
        })
        .collect();
    let owned = |(path, joins, who): &(&str, &str, &str)| {
        ((*path).to_owned(), (*joins).to_owned(), (*who).to_owned())
    };
    assert_eq!(there, ROUTES.iter().map(owned).collect::<Vec<_>>());
}

#[test]
fn types_are_the_ten_of_the_clinic_and_the_three_of_the_shop() {
    let names = |marketing: bool| -> Vec<&str> {
        let types = CATALOG.types.iter().filter(|declared| declared.marketing == marketing);
        types.map(|declared| declared.name.as_str()).collect()
    };
    assert_eq!(names(false), [&CARE_TYPES[..], &["order", "review"]].concat());
    assert_eq!(names(true), ["offer"]);
}

//! Sets of files, read as users give them.

use std::collections::BTreeMap;
use std::path::Path;

use nuncio::channel::{Address, ContentKind, Traits};
use nuncio::check::{self, Loaded};
use nuncio::diagnostic::{Format, render_all};
use nuncio::model::ChannelName;
use nuncio::node;

/// The channels whose plugins are built in.
pub fn channels() -> BTreeMap<ChannelName, Traits> {
    let channel = |interrupts, idempotent, address, kind| Traits {
        interrupts,
        idempotent,
        address,
        kind,
        fixed_address: false,
    };
    BTreeMap::from([
        ("email".into(), channel(true, false, Address::Email, ContentKind::Html)),
        (
            "webhook".into(),
            channel(false, true, Address::Data("webhook_url".into()), ContentKind::Json),
        ),
    ])
}

pub fn load(root: &Path) -> Loaded {
    check::load(root, &channels())
}

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("every file lies in a folder")).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

pub fn text(loaded: &Loaded) -> String {
    render_all(&loaded.diagnostics, Format::Text { colour: false })
}

#[test]
fn the_pack_that_ships_has_no_problem_at_all() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let loaded = check::load(root, &node::known_channels());
    assert_eq!(text(&loaded), "");
    assert!(loaded.catalog.is_some());
    assert!(loaded.counts.workflows >= 6);
}

#[test]
fn folders_that_are_not_there_are_an_empty_set() {
    let empty = folder(&[]);
    let loaded = load(empty.path());
    assert_eq!(loaded.diagnostics, []);
    let catalog = loaded.catalog.expect("nothing is wrong with nothing");
    assert!(catalog.workflows.is_empty() && catalog.templates.names().is_empty());
}

#[test]
fn a_type_names_a_template_that_is_there() {
    let files = [
        ("workflows/types.yaml", "- { name: news, batch_template: sevral }\n- other\n"),
        ("templates/several/email.hbs", "---\nsubject: Several\n---\nMore."),
    ];
    let loaded = load(folder(&files).path());
    let problem = &loaded.diagnostics[0];
    assert_eq!((problem.code, &*problem.path), ("template.missing", "workflows/types.yaml"));
    assert_eq!((problem.line, problem.column), (1, 33));
    assert_eq!(problem.hint.as_deref(), Some("did you mean `several`?"));
    assert_eq!(loaded.diagnostics.len(), 1);
}

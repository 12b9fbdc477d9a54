//! Names whose addresses are somebody else's to choose: what was checked is what is connected to.
//!
//! Each test runs once more in a process of its own, which asks names of the test's making.

use std::process::Command;
use std::sync::Arc;

use nuncio::channel::{Channel, Outcome};
use nuncio::egress::{AllowPrivate, Policy};
use serde_json::json;

use crate::harness::preload;
use crate::harness::sink::{Answer, Sink};
use crate::plugins::hosting::{DEADLINE, code, host_with, parcel, provider, setup};

/// Stands for the public internet: the one address of this machine that data may name.
const PUBLIC: &str = "127.0.0.2";

const NAMES: &str = "\
    rebound.example=127.0.0.2;127.0.0.1 \
    mixed.example=127.0.0.1,127.0.0.2 \
    own.example=127.0.0.1 \
    metadata.example=169.254.169.254 \
    six.example=::1 \
    mapped.example=::ffff:127.0.0.1";

/// Two servers on one port, one at the public address and one at a private one; and a channel that
/// goes where data says.
struct Street {
    public: Sink,
    private: Sink,
    channel: Arc<dyn Channel>,
}

impl Street {
    async fn new() -> Self {
        let public = Sink::at((PUBLIC, 0)).await;
        let private = Sink::at(("127.0.0.1", public.address.port())).await;
        // Each request looks its name up.
        public.answer_always(Answer::status(200).header("connection", "close"));
        let allow_private = AllowPrivate::some(&[PUBLIC.into()]).expect("an address");
        let host = host_with(Policy { allow_private, ..Policy::default() }, Default::default());
        Self { public, private, channel: provider(&host, "webhook", setup(json!({}))).await }
    }

    async fn ask(&self, name: &str) -> Outcome {
        let to = format!("http://{name}:{}/", self.public.address.port());
        self.channel.send(&parcel("webhook", &to, "{}"), DEADLINE).await
    }
}

/// Whether this is the process with the names; else `test` is run in one.
#[expect(clippy::disallowed_methods, reason = "it is the test's own environment")]
fn has_names(test: &str) -> bool {
    if std::env::var_os("NAMES").is_some() {
        return true;
    }
    let folder = tempfile::tempdir().unwrap();
    let library = preload::library(folder.path(), "names/answers.c");
    let again = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", &format!("plugins::hostile::names::{test}")])
        .env("LD_PRELOAD", &library)
        .env("NAMES", NAMES)
        .output()
        .expect("this test runs");
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("1 passed"), "{said}");
    false
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_each_time() {
    if !has_names("a_name_that_changes_its_mind_is_judged_each_time") {
        return;
    }
    let street = Street::new().await;

    // A second lookup between the check and the connection would lead to the private one.
    let outcome = street.ask("rebound.example").await;
    assert_eq!(code(&outcome), "accepted", "{outcome:?}");
    assert_eq!((street.public.count(), street.private.count()), (1, 0));

    let outcome = street.ask("rebound.example").await;
    assert_eq!(code(&outcome), "egress.private", "{outcome:?}");
    assert_eq!((street.public.count(), street.private.count()), (1, 0));
}

#[tokio::test]
async fn a_name_with_a_private_address_too_is_asked_at_the_others() {
    if !has_names("a_name_with_a_private_address_too_is_asked_at_the_others") {
        return;
    }
    let street = Street::new().await;
    let outcome = street.ask("mixed.example").await;
    assert_eq!(code(&outcome), "accepted", "{outcome:?}");
    assert_eq!((street.public.count(), street.private.count()), (1, 0));
}

#[tokio::test]
async fn a_name_of_a_private_address_is_refused() {
    if !has_names("a_name_of_a_private_address_is_refused") {
        return;
    }
    let street = Street::new().await;
    for name in ["own", "metadata", "six", "mapped"] {
        let outcome = street.ask(&format!("{name}.example")).await;
        assert!(matches!(outcome, Outcome::Rejected { .. }), "{name}: {outcome:?}");
        assert_eq!(code(&outcome), "egress.private", "{name}");
    }
    assert_eq!((street.public.count(), street.private.count()), (0, 0));
}

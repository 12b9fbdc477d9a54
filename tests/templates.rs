//! Templates in an installation: what a recipient reads, what a check refuses, what a preview shows.

use std::path::Path;

use nuncio::template;
use serde_json::{Value, json};

use super::check::{folder, load, text};
use crate::harness::node::Installation;

const WORKFLOW: &str = "workflow: slot\non: slot.added\nrecipients:\n  - user: event.data.user\n\
    steps:\n  - send: email\n    template: slot\n";

const LAYOUT: &str = "<html><head><style>p { margin: 0 }</style></head><body>{{{body}}}{{> foot}}\
    </body></html>";

fn installation() -> Installation {
    Installation::empty()
        .file("nuncio.toml", "[engine]\ntime_zone = \"Asia/Tokyo\"\n")
        .file("workflows/slot.yaml", WORKFLOW)
        .file("templates/_layouts/plain.hbs", LAYOUT)
        .file("templates/_partials/foot.hbs", "<p>Bye</p>")
        .file(
            "templates/slot/email.hbs",
            "---\nsubject: 'At {{event.data.note}}'\nlayout: plain\n---\n\
             <p>{{time event.data.at}}</p>",
        )
}

#[tokio::test]
async fn a_broken_partial_or_layout_leaves_the_set_before_in_force() {
    let installation = installation();
    let mut node = installation.dev().await;
    node.put_user("42", json!({ "email": "ada@example.org" })).await;
    let data =
        json!({ "user": "42", "at": "2026-11-21T12:05:00Z", "note": "a\r\nBcc: b\u{2028}c" });
    node.emit("slot.added", data.clone()).await;
    let mail = node.outbox(1).await.remove(0);
    assert_eq!(mail["subject"], "At a  Bcc: b c", "no header is broken");
    assert!(mail.to_string().contains("9:05 PM"), "in the configured zone: {mail}");
    assert!(mail.to_string().contains("margin: 0;"), "inlined: {mail}");

    installation.write("templates/_partials/foot.hbs", "{{#if}}");
    node.says("what was loaded before stays in force").await;
    assert!(node.said().contains("template.syntax"), "{}", node.said());
    node.emit("slot.added", data).await;
    let mails = node.outbox(2).await;
    assert!(mails.iter().all(|mail| mail.to_string().contains("Bye")), "{mails:#?}");
}

#[test]
fn an_item_of_a_batch_has_the_fields_of_its_events_schema() {
    let folder = folder(&[
        ("workflows/slot.yaml", WORKFLOW),
        (
            "workflows/events.yaml",
            "slot.added:\n  type: object\n  required: [user, slot]\n  properties:\n    \
             user: { type: string }\n    slot: { type: string }\n    place: { type: string }\n",
        ),
        (
            "templates/slot/email.hbs",
            "---\nsubject: '{{count}} slots'\n---\n{{#each items}}{{slot}} {{data.slot}} {{name}}\n\
             {{slott}}{{place}}{{/each}}\n{{date event.at \"longest\"}}",
        ),
    ]);
    let found = text(&load(folder.path()));
    let codes: Vec<&str> =
        found.lines().filter(|line| line.contains("[") && line.contains("template.")).collect();
    assert_eq!(codes.len(), 3, "{found}");
    for told in [
        "`slot.added` has no field `slott`",
        "did you mean `slot`?",
        "`place` may be missing",
        "helper `date` `format` must be one of",
        "templates/slot/email.hbs:5:1",
        "templates/slot/email.hbs:6:1",
    ] {
        assert!(found.contains(told), "{told}: {found}");
    }
}

#[test]
fn the_reference_lists_the_helpers_as_they_are() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/templates.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let list = template::reference();
    assert!(page.contains(&list), "docs/reference/templates.md must hold:\n{list}");
}

fn shop() -> Installation {
    Installation::empty()
        .file(
            "templates/shop/paid/email.hbs",
            "---\nsubject: Paid\n---\n<p>{{event.data.n}} &amp;</p>",
        )
        .file(
            "templates/shop/paid/email.fr.hbs",
            "---\nsubject: Payé\n---\n<p>{{event.data.n}}</p>",
        )
        .file("templates/shop/paid/in_app.hbs", "---\ntitle: Paid\naction_url: /o/1\n---\nThanks")
        .file("templates/shop/paid/sample.json", "{ \"event\": { \"data\": { \"n\": 7 } } }")
}

#[tokio::test]
async fn a_preview_is_text_html_or_json() {
    let shop = shop();
    let seen = shop.command(&["preview", "shop/paid"]).await;
    assert_eq!(
        (seen.code, seen.stdout.as_str()),
        (
            Some(0),
            "── email ──\nsubject: Paid\n\n7 &\n\n── in_app ──\ntitle: Paid\naction_url: /o/1\n\n\
             Thanks\n"
        ),
        "{seen:?}"
    );
    let file = "templates/shop/paid/email.fr.hbs";
    let seen = shop.command(&["preview", file, "--format", "html"]).await;
    assert_eq!(seen.stdout, "<p>7</p>\n", "{seen:?}");
    let seen = shop.command(&["preview", "shop/paid", "--format", "json"]).await;
    let rows: Value = serde_json::from_str(&seen.stdout).expect("JSON");
    let rows = rows.as_array().expect("a list").iter();
    let rows: Vec<_> = rows.map(|row| (row["channel"].clone(), row["subject"].clone())).collect();
    let row = |channel: &str, subject: &str| (json!(channel), json!(subject));
    assert_eq!(rows, [row("email", "Paid"), row("email", "Payé"), row("in_app", "Paid")]);
}

#[tokio::test]
async fn a_preview_that_cannot_be_says_where_and_why() {
    let shop = shop().file("mine.json", "{\n  \"event\": {]\n}").file("other.json", "{}");
    for (arguments, told) in [
        (["shop/payd", "--locale", "fr"], ["template.missing", "did you mean `shop/paid`?"]),
        (["shop/paid", "--channel", "sms"], ["template.missing", "it has `email`, `in_app`"]),
        (["shop/paid", "--data", "none.json"], ["sample.missing", "none.json:1:1"]),
        (["shop/paid", "--data", "mine.json"], ["sample.syntax", "mine.json:2:13"]),
        (["shop/paid", "--data", "other.json"], ["render.failed", "email.hbs:4:4"]),
    ] {
        let seen = shop.command(&[&["preview"], &arguments[..]].concat()).await;
        assert_eq!((seen.code, seen.stdout.as_str()), (Some(1), ""), "{seen:?}");
        assert!(told.iter().all(|told| seen.stderr.contains(told)), "{told:?}: {}", seen.stderr);
    }
    shop.write("templates/shop/paid/in_app.hbs", "{{#if}}");
    let seen = shop.command(&["preview", "shop/paid", "--channel", "email"]).await;
    assert_eq!(seen.code, Some(1), "a broken set is refused whole");
    assert!(seen.stderr.contains("templates/shop/paid/in_app.hbs:1:"), "{}", seen.stderr);
}

//! The sources of a node as people run it.

use nuncio::config::{Environment, load};
use serde_json::json;

use super::ground::{add, client, database, run};
use crate::harness::node::Installation;
use crate::harness::redis::Redis;

#[tokio::test]
async fn a_node_delivers_what_services_wrote_into_their_database_and_into_redis() {
    let (url, mut service) = database().await;
    let redis = Redis::start().await;
    let mut streaming = client(&redis).await;
    let configuration =
        format!("[redis]\nurl = \"{}\"\n[sources.outbox]\nurl = \"{url}\"\n", redis.url());
    let installation = Installation::empty()
        .file("nuncio.toml", &configuration)
        .file("workflows/library/types.yaml", "- loans\n")
        .file(
            "workflows/library/due.yaml",
            "workflow: due\non: book.due\ncategory: loans\npriority: medium\n\
            recipients: { user: event.data.reader }\n\
            steps: [{ send: email, template: library/due }]\n",
        )
        .file(
            "templates/library/due/email.hbs",
            "---\nsubject: {{event.data.title}}\n---\n<p>Bring it back.</p>\n",
        );
    let node = installation.dev().await;
    node.put_user("42", json!({"email": "ada@example.com"})).await;
    run(
        &mut service,
        "BEGIN;
        CREATE TABLE loan (id int);
        SELECT nuncio.emit('book.due', '{\"reader\": 42, \"title\": \"Emma\"}');
        COMMIT",
    )
    .await;
    let data = r#"{"reader": 42, "title": "Ivanhoe"}"#;
    add(&mut streaming, &[("name", "book.due"), ("data", data)]).await;
    let sent = node.outbox(2).await;
    let mut subjects: Vec<_> = sent.iter().filter_map(|mail| mail["subject"].as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["Emma", "Ivanhoe"]);
    assert_eq!(node.stop().await, Some(0));
}

#[test]
fn what_is_no_url_is_said_with_its_place() {
    let environment: Environment = [
        ("NUNCIO_SOURCES__OUTBOX__URL", "mysql://db/shop"),
        ("NUNCIO_SOURCES__STREAM__CLAIM_AFTER", "1s"),
    ]
    .into_iter()
    .collect();
    let errors = load(None, &environment, &[]).expect_err("they do not fit");
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().any(|text| text.contains("no URL of a PostgreSQL database")), "{said:?}");
    assert!(said.iter().any(|text| text.contains("is too short")), "{said:?}");
}

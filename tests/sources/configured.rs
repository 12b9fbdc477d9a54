//! The sources of a node as people run it.

use nuncio::config::{Environment, load};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use super::ground::{add, client, database, drained, run};
use crate::harness::node::{Installation, PATIENCE};
use crate::harness::postgres::Postgres;
use crate::harness::redis::Redis;
use crate::harness::sink::Sink;

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

/// The store's own database is the services': nothing is configured. One of two nodes is killed
/// while rows are left; every event is sent once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_on_postgres_drain_the_outbox_of_their_own_store() {
    const EVENTS: usize = 1500;
    let url = Postgres::shared().await.database().await;
    let sink = Sink::start().await;
    let configuration = format!(
        "[store]\nurl = \"{url}\"\n\
        [auth]\nsecret = \"a secret that only tests know\"\n\
        [engine]\nlease = \"5s\"\n\
        [channels.webhook]\nproviders = [\"hook\"]\n\
        [providers.hook]\nplugin = \"webhook\"\nsettings = {{ url = \"{}\" }}\n",
        sink.url("/hook")
    );
    let folder = || {
        Installation::empty()
            .file("nuncio.toml", &configuration)
            .file(
                "workflows/due.yaml",
                "workflow: due\non: book.due\nrecipients: { user: event.data.reader }\n\
                steps: [{ send: webhook, template: due }]\n",
            )
            .file("templates/due/webhook.hbs", "{}\n")
    };
    let here = folder().run().await;
    let there = folder().run_with(&here.api_key).await;
    here.put_user("42", json!({})).await;
    let mut service = PgConnection::connect(&url).await.expect("the server takes us");
    let emit = "SELECT nuncio.emit('book.due', '{\"reader\": 42}') FROM generate_series(1, 100)";
    for _ in 0..EVENTS / 100 {
        run(&mut service, emit).await;
    }
    let all = async {
        sink.reached(1).await;
        there.kill().await;
        // What the killed node was sending may come twice, under one id.
        loop {
            let count = sink.count();
            if sink.by_id().len() == EVENTS {
                return;
            }
            sink.reached(count + 1).await;
        }
    };
    timeout(PATIENCE, all).await.expect("all are sent in time");
    drained(&mut service).await;
    let accepted: i64 = sqlx::query_scalar("SELECT count(*) FROM nuncio.event")
        .fetch_one(&mut service)
        .await
        .expect("a number");
    assert_eq!(accepted, EVENTS as i64);
    assert_eq!(here.stop().await, Some(0));
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

//! What cannot be accepted is set aside, and holds nobody up.

use nuncio::source::outbox::Drain;
use nuncio::store::Installation as _;

use super::ground::{
    Ground, acknowledged, add, client, count, database, drained, outbox, run, stream,
};
use crate::harness::redis::Redis;

#[tokio::test]
async fn rows_that_do_not_fit_are_set_aside_with_the_reason() {
    let (url, mut service) = database().await;
    run(
        &mut service,
        "SELECT nuncio.emit('book.due', '{\"n\": 1}', key => 'k');
        SELECT nuncio.emit('book.deu', '{\"n\": 2}');
        SELECT nuncio.emit('book.due', '{\"n\": \"three\"}');
        SELECT nuncio.emit('book.due', jsonb_build_object('n', 4, 'x', repeat('x', 1000)));
        SELECT nuncio.emit('book.due', jsonb_build_object('n', 5, 'x', repeat('x', 100000)));
        SELECT nuncio.emit('book.due', '[6]');
        SELECT nuncio.emit('book.due', '{\"n\": 7}', key => 'k');
        SELECT nuncio.emit('book.due', '{\"n\": 8}', at => 'infinity');
        SELECT nuncio.emit(repeat('b', 10000), '{\"n\": 9}');
        SELECT nuncio.emit('book.due', '{\"n\": 1e400}');
        SELECT nuncio.emit('book.due', '{\"n\": 11}')",
    )
    .await;
    let ground = Ground::new().await;
    let sources = ground.drain_outbox(&url);
    assert_eq!(ground.accepted(2).await, [1, 11]);
    drained(&mut service).await;
    sources.stop().await;
    let set_aside = "SELECT code, reason FROM nuncio.outbox_rejected ORDER BY turn, seq";
    let set_aside: Vec<(String, String)> =
        sqlx::query_as(set_aside).fetch_all(&mut service).await.expect("rows");
    let codes: Vec<&str> = set_aside.iter().map(|(code, _)| code.as_str()).collect();
    let (shape, large) = ("event.shape", "event.too_large");
    let expected = [
        "event.unknown",
        "event.schema",
        large,
        large,
        shape,
        "event.conflict",
        shape,
        shape,
        shape,
    ];
    assert_eq!(codes, expected, "{set_aside:?}");
    assert!(set_aside[0].1.contains("did you mean `book.due`?"), "{set_aside:?}");
    assert!(set_aside[1].1.starts_with("/data/n "), "{set_aside:?}");
}

#[tokio::test]
async fn what_was_set_aside_is_emitted_again_by_hand() {
    let (url, mut service) = database().await;
    run(
        &mut service,
        "SELECT nuncio.emit('book.due', jsonb_build_object('n', 1, 'x', repeat('x', 1000)))",
    )
    .await;
    let ground = Ground::new().await;
    let mut drain = Drain::open(&outbox(&url)).await.expect("it opens");
    assert_eq!(drain.once(&ground.intake).await.expect("it drains"), 1);
    let page = include_str!("../../docs/reference/sources.md");
    let (_, sql) = page.split_once("```sql\nWITH back").expect("the page says how");
    let (sql, _) = sql.split_once("```").expect("the end of the block");
    let again = sqlx::AssertSqlSafe(format!("WITH back{sql}"));
    sqlx::raw_sql(again).execute(&mut service).await.expect("it is run");
    assert_eq!(count(&mut service, "outbox_rejected").await, 0);
    let wider = nuncio::source::Intake { max_event: 10_000, ..ground.intake.clone() };
    assert_eq!(drain.once(&wider).await.expect("it drains"), 1);
    assert_eq!(ground.accepted(1).await, [1]);
}

#[tokio::test]
async fn while_the_store_is_away_rows_wait() {
    let (url, mut service) = database().await;
    run(&mut service, "SELECT nuncio.emit('book.due', '{\"n\": 1}')").await;
    let ground = Ground::new().await;
    ground.store.close().await;
    let mut drain = Drain::open(&outbox(&url)).await.expect("it opens");
    drain.once(&ground.intake).await.expect_err("nothing can be stored");
    drop(drain);
    assert_eq!(
        (count(&mut service, "outbox").await, count(&mut service, "outbox_rejected").await),
        (1, 0)
    );
    let back = Ground::new().await;
    let sources = back.drain_outbox(&url);
    assert_eq!(back.accepted(1).await, [1]);
    sources.stop().await;
}

#[tokio::test]
async fn poisoned_entries_are_set_aside_with_the_reason() {
    let redis = Redis::start().await;
    let mut service = client(&redis).await;
    let ground = Ground::new().await;
    let due = ("name", "book.due");
    add(&mut service, &[due, ("data", r#"{"n": 1}"#), ("key", "k")]).await;
    add(&mut service, &[("nmae", "book.due")]).await;
    let no_json = add(&mut service, &[due, ("data", "{")]).await;
    add(&mut service, &[("name", "book.deu"), ("data", r#"{"n": 2}"#)]).await;
    add(&mut service, &[due, ("data", r#"{"n": 3}"#), ("key", "k")]).await;
    add(&mut service, &[due, ("data", &format!(r#"{{"n": 4, "x": "{}"}}"#, "x".repeat(1000)))])
        .await;
    let mut raw = redis::cmd("XADD");
    raw.arg("nuncio:events").arg("*").arg("name").arg(b"\xff\xfe");
    raw.query_async::<String>(&mut service).await.expect("it is added");
    add(&mut service, &[due, ("data", r#"{"n": 5}"#)]).await;
    let sources = ground.read_stream(stream(&redis, "one"));
    assert_eq!(ground.accepted(2).await, [1, 5]);
    acknowledged(&mut service, 8).await;
    sources.stop().await;
    let mut range = redis::cmd("XRANGE");
    range.arg("nuncio:events:rejected").arg("-").arg("+");
    let rejected: redis::streams::StreamRangeReply =
        range.query_async(&mut service).await.expect("redis answers");
    let codes: Vec<String> =
        rejected.ids.iter().map(|entry| entry.get("code").expect("a code")).collect();
    let shape = "event.shape";
    let expected = [shape, shape, "event.unknown", "event.conflict", "event.too_large", shape];
    assert_eq!(codes, expected);
    let second = &rejected.ids[1];
    assert_eq!(second.get::<String>("entry"), Some(no_json));
    assert_eq!(second.get::<String>("data").as_deref(), Some("{"));
    let reason: String = second.get("reason").expect("a reason");
    assert!(reason.contains("is no JSON"), "{reason}");
}

//! Servers that go away and come back.

use super::ground::{Ground, acknowledged, add_number, client, drained, emit, service, stream};
use crate::harness::postgres::Postgres;
use crate::harness::redis::Redis;

#[tokio::test]
async fn a_database_that_crashed_is_drained_again_by_itself() {
    let postgres = Postgres::start().await;
    let url = postgres.url("postgres");
    let mut first = service(&url).await;
    let ground = Ground::new().await;
    let sources = ground.drain_outbox(&url);
    emit(&mut first, 0..10).await;
    ground.accepted(10).await;
    drained(&mut first).await;
    postgres.crash();
    postgres.resume().await;
    let mut second = service(&url).await;
    emit(&mut second, 10..20).await;
    assert_eq!(ground.accepted_in_time(20).await, (0..20).collect::<Vec<_>>());
    drained(&mut second).await;
    sources.stop().await;
}

#[tokio::test]
async fn a_database_that_is_not_there_yet_is_waited_for() {
    let postgres = Postgres::start().await;
    let url = postgres.url("postgres");
    let mut first = service(&url).await;
    emit(&mut first, 0..10).await;
    postgres.crash();
    let ground = Ground::new().await;
    let sources = ground.drain_outbox(&url);
    postgres.resume().await;
    assert_eq!(ground.accepted_in_time(10).await, (0..10).collect::<Vec<_>>());
    sources.stop().await;
}

#[tokio::test]
async fn a_flushed_redis_is_read_on() {
    let redis = Redis::start().await;
    let mut service = client(&redis).await;
    let ground = Ground::new().await;
    let sources = ground.read_stream(stream(&redis, "one"));
    add_number(&mut service, 1).await;
    ground.accepted(1).await;
    redis.flush().await;
    add_number(&mut service, 2).await;
    assert_eq!(ground.accepted_in_time(2).await, [1, 2]);
    acknowledged(&mut service, 1).await;
    sources.stop().await;
}

#[tokio::test]
async fn a_redis_that_was_away_is_read_on() {
    let redis = Redis::start().await;
    let ground = Ground::new().await;
    let sources = ground.read_stream(stream(&redis, "one"));
    add_number(&mut client(&redis).await, 1).await;
    ground.accepted(1).await;
    redis.crash();
    redis.resume().await;
    let mut service = client(&redis).await;
    add_number(&mut service, 2).await;
    assert_eq!(ground.accepted_in_time(2).await, [1, 2]);
    acknowledged(&mut service, 1).await;
    sources.stop().await;
}

#[tokio::test]
async fn a_redis_that_stalled_is_read_on() {
    let redis = Redis::start().await;
    let mut service = client(&redis).await;
    let ground = Ground::new().await;
    let sources = ground.read_stream(stream(&redis, "one"));
    add_number(&mut service, 1).await;
    ground.accepted(1).await;
    redis.stall();
    let mut add = redis::cmd("XADD");
    add.arg("nuncio:events").arg("*").arg(&[("name", "book.due"), ("data", r#"{"n": 2}"#)]);
    let answer = add.query_async::<String>(&mut service).await;
    assert!(answer.expect_err("it stands still").is_timeout());
    redis.go_on();
    // What was sent meanwhile, and what comes after it.
    add_number(&mut service, 3).await;
    assert_eq!(ground.accepted_in_time(3).await, [1, 2, 3]);
    acknowledged(&mut service, 3).await;
    sources.stop().await;
}

/// The read was answered, and the answer never arrived: its entries are this consumer's, unread.
#[tokio::test]
async fn an_answer_that_was_lost_is_read_again() {
    let redis = Redis::start().await;
    let mut service = client(&redis).await;
    let ground = Ground::new().await;
    add_number(&mut service, 1).await;
    let group = nuncio::source::stream::Group::join(&stream(&redis, "one")).await;
    let lost = group.expect("it joins").next().await.expect("entries");
    assert_eq!(lost.len(), 1);
    let sources = ground.read_stream(stream(&redis, "one"));
    assert_eq!(ground.accepted(1).await, [1]);
    acknowledged(&mut service, 1).await;
    sources.stop().await;
}

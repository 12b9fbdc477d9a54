//! The servers that other tests stand on: each ends, begins again and keeps what it should.

use sqlx::{Connection, PgConnection};

use crate::harness::postgres::Postgres;
use crate::harness::redis::Redis;

#[tokio::test]
async fn a_postgres_that_crashed_comes_back_with_its_rows() {
    let postgres = Postgres::start().await;
    let url = postgres.database().await;
    let mut connection = PgConnection::connect(&url).await.expect("it takes connections");
    sqlx::query("CREATE TABLE kept AS SELECT 7 AS n").execute(&mut connection).await.expect("runs");

    postgres.crash();
    assert!(PgConnection::connect(&url).await.is_err(), "nobody listens");
    postgres.resume().await;

    let mut connection = PgConnection::connect(&url).await.expect("it takes connections");
    let kept: i32 =
        sqlx::query_scalar("SELECT n FROM kept").fetch_one(&mut connection).await.expect("kept");
    assert_eq!(kept, 7);
}

#[tokio::test]
async fn a_redis_that_crashed_comes_back_empty() {
    let redis = Redis::start().await;
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it listens");
    let _: () =
        redis::cmd("SET").arg("k").arg(1).query_async(&mut connection).await.expect("it answers");
    assert_eq!(redis.command::<i64>("DBSIZE").await, 1);
    redis.crash();
    redis.resume().await;
    assert_eq!(redis.command::<i64>("DBSIZE").await, 0);
}

#[tokio::test]
async fn a_stalled_redis_answers_once_it_goes_on() {
    let redis = Redis::start().await;
    redis.stall();
    let (size, ()) = tokio::join!(redis.command::<i64>("DBSIZE"), async { redis.go_on() });
    assert_eq!(size, 0);
    redis.flush().await;
}

#[tokio::test]
async fn databases_of_one_postgres_are_apart() {
    let postgres = Postgres::shared().await;
    let (one, other) = (postgres.database().await, postgres.database().await);
    for url in [one, other] {
        let mut connection = PgConnection::connect(&url).await.expect("it takes connections");
        let made = sqlx::query("CREATE TABLE mine (n int)").execute(&mut connection).await;
        made.expect("nobody else made it");
    }
}

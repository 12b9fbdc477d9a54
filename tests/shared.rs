//! What nodes share in Redis, and what becomes of it when Redis is not well.

mod fleet;

use std::time::Duration;

use futures_util::{FutureExt, poll};
use jiff::Timestamp;
use nuncio::clock::Clock;
use nuncio::shared::{CALL, Rate, Shared, State};
use serde_json::json;

use crate::harness::node::Installation;
use crate::harness::redis::Redis;

const SLOW: Rate = Rate { count: 10, per: Duration::from_secs(3600) };

async fn connected(redis: &Redis, clock: &Clock) -> Shared {
    let shared = Shared::connect(&redis.url(), "test", clock).expect("a URL");
    reached(&shared, State::Up).await;
    shared
}

async fn reached(shared: &Shared, state: State) {
    let mut states = shared.states().expect("it has a Redis");
    states.wait_for(|now| *now == state).await.expect("it is kept");
}

fn standing() -> Clock {
    Clock::manual(Timestamp::UNIX_EPOCH, 1)
}

#[tokio::test]
async fn a_rate_holds_for_all_nodes_together() {
    let redis = Redis::start().await;
    let clock = standing();
    let nodes = [connected(&redis, &clock).await, connected(&redis, &clock).await];
    assert_eq!(nodes[0].take("one", SLOW).await, Some(Ok(())));
    let wait = nodes[1].take("one", SLOW).await.expect("it answers").expect_err("it is taken");
    assert!(wait > Duration::from_secs(300) && wait <= Duration::from_secs(360), "{wait:?}");
    assert_eq!(nodes[1].take("other", SLOW).await, Some(Ok(())));

    // Two a second, in steps of half of one.
    let rate = Rate { count: 7200, per: Duration::from_secs(3600) };
    let seconds = async || redis.command::<(u64, u64)>("TIME").await.0;
    let began = seconds().await;
    let mut taken = 0;
    for turn in 0..40 {
        match nodes[turn % 2].take("two", rate).await.expect("it answers") {
            Ok(()) => taken += 1,
            Err(wait) => assert!(wait <= Duration::from_millis(500), "{wait:?}"),
        }
    }
    let most = 2 + 2 * (seconds().await - began + 1);
    assert!((2..=most).contains(&taken), "{taken} of at most {most}");
}

#[tokio::test]
async fn a_flush_forgets_and_breaks_nothing() {
    let redis = Redis::start().await;
    let shared = connected(&redis, &standing()).await;
    assert_eq!(shared.take("one", SLOW).await, Some(Ok(())));
    redis.flush().await;
    assert_eq!(shared.take("one", SLOW).await, Some(Ok(())));
    assert!(matches!(shared.take("one", SLOW).await, Some(Err(_))));
    assert_eq!(shared.state(), State::Up);
}

#[tokio::test]
async fn nobody_waits_longer_than_told_and_after_that_nobody_waits() {
    let redis = Redis::start().await;
    let clock = standing();
    let shared = connected(&redis, &clock).await;
    redis.stall();
    let mut takes: Vec<_> = (0..3).map(|_| Box::pin(shared.take("one", SLOW))).collect();
    for take in &mut takes {
        assert!(poll!(take).is_pending());
    }
    clock.advance(CALL);
    for take in takes {
        assert_eq!(take.await, None);
    }
    assert_eq!(shared.state(), State::Down);
    assert_eq!(shared.take("one", SLOW).now_or_never(), Some(None));
    // It heals by itself: nobody asks.
    redis.go_on();
    reached(&shared, State::Up).await;
    assert!(shared.take("one", SLOW).await.is_some());
}

#[tokio::test]
async fn a_redis_that_comes_later_is_found() {
    let redis = Redis::start().await;
    redis.crash();
    let shared = Shared::connect(&redis.url(), "test", &Clock::system()).expect("a URL");
    assert_eq!(shared.state(), State::Down);
    assert_eq!(shared.take("one", SLOW).now_or_never(), Some(None));
    redis.resume().await;
    reached(&shared, State::Up).await;
    assert_eq!(shared.take("one", SLOW).await, Some(Ok(())));
    // The script is gone with the server, and comes again.
    redis.crash();
    reached(&shared, State::Down).await;
    redis.resume().await;
    reached(&shared, State::Up).await;
    assert_eq!(shared.take("one", SLOW).await, Some(Ok(())));
}

#[tokio::test]
async fn without_redis_nothing_is_shared_and_nothing_fails() {
    let shared = Shared::local();
    assert_eq!((shared.state(), shared.state().word()), (State::None, "none"));
    assert_eq!(shared.take("one", SLOW).now_or_never(), Some(None));
    assert!(Shared::connect("http://127.0.0.1/", "test", &standing()).is_err());
}

#[tokio::test]
async fn a_node_starts_and_serves_without_its_redis() {
    let toml = "[redis]\nurl = \"redis://127.0.0.1:1/\"\n";
    let node = Installation::empty().file("nuncio.toml", toml).dev().await;
    let (status, health) = node.call("GET", "/readyz", None).await;
    let shown = (status, &health["status"], &health["redis"]);
    assert_eq!(shown, (200, &json!("degraded"), &json!("down")));
    node.put_user("42", json!({})).await;
    let (mut socket, _) = node.connect("42").await;
    let said = json!({"user": "42", "type": "note", "data": {}});
    assert_eq!(node.call("POST", "/v1/relay/publish", Some(said)).await.0, 202);
    assert_eq!(socket.frame().await["type"], "note");
    let wrong = "[redis]\nurl = \"http://127.0.0.1:1/\"\n";
    let refused = Installation::empty().file("nuncio.toml", wrong).command(&["run"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("redis.url"), "{}", refused.stderr);
}

use std::collections::BTreeSet;
use std::time::Duration;

use nuncio::clock::Clock;
use nuncio::dispatch::{Pace, SharedPace};
use nuncio::model::MessageStatus;
use nuncio::shared::Shared;
use serde_json::json;

use super::scene::{BY_HOOK, count, deliver, hook, messages, paid, staged, told, with_rate};
use crate::harness::redis::Redis;
use crate::harness::sink::Sink;
use crate::harness::stage::Stage;

/// `rate` before the only provider; what says `critical` is.
async fn paced(sink: &Sink, rate: &str) -> Stage {
    let hook = with_rate(hook("hook", Some(sink.url("/"))).await, rate);
    let file =
        format!("{}priority: [{{ critical: has(event.data.critical) }}, medium]\n", BY_HOOK.1);
    staged(&[(BY_HOOK.0, &file)], "webhook", vec![hook]).await
}

#[tokio::test]
async fn a_rate_delays_and_spreads_and_fails_nothing() {
    let sink = Sink::start().await;
    let stage = paced(&sink, "10/s").await;
    for _ in 0..60 {
        paid(&stage).await;
    }
    assert_eq!(sink.count(), 10, "a second's share at once");
    let waiting: Vec<_> =
        messages(&stage).await.into_iter().filter(|one| one.attempts.is_empty()).collect();
    let moments: BTreeSet<_> = waiting.iter().map(|one| one.message.due_at).collect();
    assert_eq!((waiting.len(), moments.len()), (50, 50), "each has a moment of its own");
    let last = moments.last().expect("some").duration_since(stage.clock.now()).as_millis();
    assert!((4_900..=5_100).contains(&last), "{last} ms");
    assert_eq!(told(&stage, waiting[0].message.event).await, ["hold provider.rate"]);

    stage.live(Duration::from_millis(5_100)).await;
    assert_eq!((sink.count(), count(&stage, MessageStatus::Sent).await), (60, 60));
    assert!(messages(&stage).await.iter().all(|one| one.attempts.len() == 1));
}

#[tokio::test]
async fn who_waits_for_a_rate_holds_no_worker() {
    let sink = Sink::start().await;
    let stage = paced(&sink, "1/m").await;
    for _ in 0..50 {
        stage.event("order.paid", json!({ "user": "42", "order": "o-1" })).await;
    }
    // The clock stands still: who waited here would wait for ever.
    for (_, work) in deliver(&stage, 50).await {
        work.await.expect("it ends");
    }
    assert_eq!((sink.count(), count(&stage, MessageStatus::Pending).await), (1, 49));
}

#[tokio::test]
async fn what_is_urgent_does_not_stand_in_line() {
    let sink = Sink::start().await;
    let stage = paced(&sink, "1/s").await;
    for _ in 0..30 {
        paid(&stage).await;
    }
    let data = json!({ "user": "42", "order": "o-2", "critical": true });
    let urgent = stage.event("order.paid", data).await;
    stage.live(Duration::from_secs(4)).await;
    assert!(told(&stage, urgent).await.contains(&"send hook accepted".to_owned()));
    assert!(sink.count() <= 6, "the rate is kept: {}", sink.count());
}

#[tokio::test]
async fn a_tenant_does_not_wait_behind_anothers_flood() {
    let sink = Sink::start().await;
    let stage = paced(&sink, "10/s").await;
    let order = |tenant: &str| {
        let data = json!({ "user": "42", "order": "o-1" });
        json!({ "name": "order.paid", "tenant": tenant, "data": data })
    };
    for _ in 0..300 {
        stage.accept(order("acme")).await;
    }
    stage.settle().await;
    let single = stage.accept(order("zenith")).await;
    stage.live(Duration::from_secs(2)).await;
    assert!(told(&stage, single).await.contains(&"send hook accepted".to_owned()));
    assert!(sink.count() < 40, "{} of the flood may have gone by then", sink.count());
    stage.live(Duration::from_secs(40)).await;
    assert_eq!(count(&stage, MessageStatus::Sent).await, 301);
}

#[tokio::test]
async fn nodes_on_one_redis_share_a_rate_and_without_it_keep_their_own() {
    let redis = Redis::start().await;
    let clock = Clock::system();
    let rate = serde_json::from_value(json!("60/h")).expect("a rate");
    let node = || async {
        let shared = Shared::connect(&redis.url(), "test", &clock).expect("a URL");
        let mut states = shared.states().expect("there is a Redis");
        let up = states.wait_for(|state| *state == nuncio::shared::State::Up).await;
        up.expect("it comes up");
        SharedPace::new(shared.clone(), clock.clone())
    };
    let (one, other) = (node().await, node().await);
    assert_eq!(one.take("smtp", rate).await, Ok(()));
    let next = other.take("smtp", rate).await.expect_err("the first has it");
    let wait = next.duration_since(clock.now()).as_secs();
    assert!((50..=60).contains(&wait), "{wait} s");
    assert_eq!(other.take("sms", rate).await, Ok(()), "another provider's rate is its own");
    redis.crash();
    assert_eq!(other.take("smtp", rate).await, Ok(()), "its own");
    assert!(other.take("smtp", rate).await.is_err());
}

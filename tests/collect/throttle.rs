use nuncio::model::RunStatus;
use serde_json::json;

use super::{On, left, minutes, on_both, paid, row, run, stage, status, told, went_on_for};

on_both! {
    what_is_over_the_limit_ends
    places_come_free_as_the_window_rolls
    what_is_deferred_leaves_when_its_place_is_free
    what_is_over_the_limit_may_become_one_message
    recipients_have_limits_of_their_own
    a_key_is_counted_for_everybody
    two_workers_never_pass_the_limit
}

async fn what_is_over_the_limit_ends(on: On) {
    let stage = stage(on, "throttle: { limit: 2, window: 1h }").await;
    for n in 1..=2 {
        paid(&stage, n).await;
        stage.live(minutes(1)).await;
    }
    let third = paid(&stage, 3).await;
    assert_eq!(left(&stage), [0, 1]);
    let ended = row(&stage, third, "throttle.limit").await.unwrap();
    assert_eq!((ended.decision.as_str(), ended.until), ("skip", None));
    assert_eq!(status(&stage, third).await, RunStatus::Finished);
}

async fn places_come_free_as_the_window_rolls(on: On) {
    let stage = stage(on, "throttle: { limit: 2, window: 1h }").await;
    for (n, wait) in [(1, 30), (2, 29), (3, 1), (4, 1), (5, 29), (6, 0)] {
        paid(&stage, n).await;
        stage.live(minutes(wait)).await;
    }
    // At 0, 30, 59, 60, 61 and 90: the windows of an hour that end there hold two each.
    assert_eq!(left(&stage), [0, 30, 60, 90]);
}

async fn what_is_deferred_leaves_when_its_place_is_free(on: On) {
    let stage = stage(on, "throttle: { limit: 1, window: 10m, excess: defer }").await;
    paid(&stage, 1).await;
    stage.live(minutes(1)).await;
    let second = paid(&stage, 2).await;
    let third = paid(&stage, 3).await;
    let until = |minute: i64| Some(format!("2026-03-01T09:{minute}:00Z"));
    for (event, minute) in [(second, 10), (third, 20)] {
        let held = row(&stage, event, "throttle.limit").await.unwrap();
        assert_eq!(held.decision.as_str(), "hold");
        assert_eq!(held.until.map(|at| at.to_string()), until(minute));
    }
    stage.live(minutes(60)).await;
    assert_eq!(left(&stage), [0, 10, 20]);
    assert_eq!(stage.codes(third).await.iter().filter(|code| *code == "throttle.limit").count(), 1);
}

async fn what_is_over_the_limit_may_become_one_message(on: On) {
    let stage = stage(on, "throttle: { limit: 1, window: 10m, excess: batch }").await;
    let first = paid(&stage, 1).await;
    stage.live(minutes(1)).await;
    let second = paid(&stage, 2).await;
    let third = paid(&stage, 3).await;
    let held = row(&stage, second, "throttle.limit").await.unwrap();
    assert_eq!(held.until.unwrap().to_string(), "2026-03-01T09:10:00Z");
    let leader = run(&stage, second).await.id.to_string();
    assert!(row(&stage, third, "batch.joined").await.unwrap().reason.contains(&leader));
    stage.live(minutes(11)).await;
    assert_eq!(left(&stage), [0, 10]);
    let fourth = paid(&stage, 4).await;
    stage.live(minutes(60)).await;
    // Those that went on with another kept no place for themselves.
    assert_eq!(left(&stage), [0, 10, 20]);
    assert_eq!(went_on_for(&stage, first).await, (1, vec![1]));
    assert_eq!(went_on_for(&stage, second).await, (2, vec![2, 3]));
    assert_eq!(went_on_for(&stage, fourth).await, (1, vec![4]));
    assert_eq!(status(&stage, third).await, RunStatus::Finished);
}

async fn recipients_have_limits_of_their_own(on: On) {
    let stage = stage(on, "throttle: { limit: 1, window: 1h }").await;
    for user in ["1", "2", "1", "2"] {
        told(&stage, json!({ "user": user, "n": 1 })).await;
    }
    let mut to: Vec<_> = stage.sent().into_iter().map(|sent| sent.to).collect();
    to.sort();
    assert_eq!(to, ["one@example.org", "two@example.org"]);
}

async fn a_key_is_counted_for_everybody(on: On) {
    let stage = stage(on, "throttle: { limit: 1, window: 1h, key: event.data.shop }").await;
    for (user, shop) in [("1", "here"), ("2", "here"), ("2", "there")] {
        told(&stage, json!({ "user": user, "n": 1, "shop": shop })).await;
    }
    let to: Vec<_> = stage.sent().into_iter().map(|sent| sent.to).collect();
    assert_eq!(to, ["one@example.org", "two@example.org"]);
}

async fn two_workers_never_pass_the_limit(on: On) {
    let stage = stage(on, "throttle: { limit: 3, window: 1h }").await;
    for n in 0..20 {
        stage.event("order.paid", json!({ "user": "1", "n": n })).await;
    }
    tokio::join!(stage.settle(), stage.settle());
    assert_eq!(left(&stage), [0, 0, 0]);
}

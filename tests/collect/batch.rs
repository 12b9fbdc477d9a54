use futures_util::future::join_all;
use nuncio::ingest::Incoming;
use nuncio::model::RunStatus;
use nuncio::pipeline::Accept;
use serde_json::json;

use super::{On, Stage, left, minutes, on_both, paid, row, run, stage, status, told, went_on_for};

on_both! {
    the_events_of_a_window_become_one_message
    a_single_event_goes_on_alone
    a_sliding_window_ends_after_the_last
    a_sliding_window_ends_at_the_latest_with_max_window
    a_full_batch_goes_on_at_once
    a_key_keeps_events_apart
    recipients_are_apart
    the_first_leaves_at_once_and_the_rest_with_the_window
    events_of_one_call_are_together
    a_batch_of_batches_has_every_event
    a_condition_is_asked_before_the_wait
    later_steps_see_the_count
    two_workers_take_every_event_once
    everybody_has_a_batch_of_their_own
}

async fn the_events_of_a_window_become_one_message(on: On) {
    let stage = stage(on, "batch: { window: 10m }").await;
    let first = paid(&stage, 1).await;
    stage.live(minutes(3)).await;
    let second = paid(&stage, 2).await;
    stage.live(minutes(6)).await;
    let third = paid(&stage, 3).await;
    assert!(left(&stage).is_empty());
    let end = stage.clock.after(minutes(1));
    let opened = row(&stage, first, "batch").await.unwrap();
    assert_eq!((opened.decision.as_str(), opened.until), ("wait", Some(end)));
    let leader = run(&stage, first).await;
    let joined = row(&stage, third, "batch.joined").await.unwrap();
    assert_eq!((joined.decision.as_str(), joined.until), ("wait", Some(end)));
    assert!(joined.reason.contains(&leader.id.to_string()), "{}", joined.reason);
    assert_eq!(status(&stage, second).await, RunStatus::Waiting);

    stage.live(minutes(60)).await;
    assert_eq!(left(&stage), [10]);
    assert_eq!(went_on_for(&stage, first).await, (3, vec![1, 2, 3]));
    for event in [first, second, third] {
        assert_eq!(status(&stage, event).await, RunStatus::Finished);
    }
    let leader = run(&stage, first).await;
    assert_eq!(leader.state["steps"]["together"]["result"], json!({ "count": 3 }));
    let item = &leader.state["collected"]["items"][1];
    assert_eq!(item["id"], json!(second));
    assert_eq!(
        (&item["name"], &item["at"]),
        (&json!("order.paid"), &json!("2026-03-01T09:03:00Z"))
    );
}

async fn a_single_event_goes_on_alone(on: On) {
    let stage = stage(on, "batch: { window: 10m }").await;
    let event = paid(&stage, 1).await;
    stage.live(minutes(60)).await;
    let next = paid(&stage, 2).await;
    stage.live(minutes(60)).await;
    assert_eq!(left(&stage), [10, 70]);
    assert_eq!(went_on_for(&stage, event).await, (1, vec![1]));
    assert_eq!(went_on_for(&stage, next).await, (1, vec![2]));
}

async fn a_sliding_window_ends_after_the_last(on: On) {
    let stage = stage(on, "batch: { window: 10m, max_window: 1h }").await;
    let first = paid(&stage, 1).await;
    stage.live(minutes(8)).await;
    paid(&stage, 2).await;
    stage.live(minutes(60)).await;
    assert_eq!(left(&stage), [18]);
    assert_eq!(went_on_for(&stage, first).await, (2, vec![1, 2]));
}

async fn a_sliding_window_ends_at_the_latest_with_max_window(on: On) {
    let stage = stage(on, "batch: { window: 10m, max_window: 25m }").await;
    let first = paid(&stage, 0).await;
    for n in 1..=3 {
        stage.live(minutes(8)).await;
        paid(&stage, n).await;
    }
    stage.live(minutes(60)).await;
    assert_eq!(left(&stage), [25]);
    assert_eq!(went_on_for(&stage, first).await, (4, vec![0, 1, 2, 3]));
}

async fn a_full_batch_goes_on_at_once(on: On) {
    let stage = stage(on, "batch: { window: 10m, max_items: 3 }").await;
    let first = paid(&stage, 1).await;
    for n in 2..=3 {
        stage.live(minutes(1)).await;
        paid(&stage, n).await;
    }
    assert_eq!(left(&stage), [2]);
    assert_eq!(went_on_for(&stage, first).await, (3, vec![1, 2, 3]));
    let next = paid(&stage, 4).await;
    stage.live(minutes(60)).await;
    assert_eq!(left(&stage), [2, 12]);
    assert_eq!(went_on_for(&stage, next).await, (1, vec![4]));
}

async fn a_key_keeps_events_apart(on: On) {
    let stage = stage(on, "batch: { window: 10m, key: event.data.shop }").await;
    let of = |shop: &str, n: i64| json!({ "user": "1", "n": n, "shop": shop });
    let here = told(&stage, of("here", 1)).await;
    let there = told(&stage, of("there", 2)).await;
    told(&stage, of("here", 3)).await;
    stage.live(minutes(60)).await;
    assert_eq!(left(&stage), [10, 10]);
    assert_eq!(went_on_for(&stage, here).await, (2, vec![1, 3]));
    assert_eq!(went_on_for(&stage, there).await, (1, vec![2]));
}

async fn recipients_are_apart(on: On) {
    let stage = stage(on, "batch: { window: 10m }").await;
    let one = paid(&stage, 1).await;
    let two = told(&stage, json!({ "user": "2", "n": 2 })).await;
    paid(&stage, 3).await;
    stage.live(minutes(60)).await;
    let mut to: Vec<_> = stage.sent().into_iter().map(|sent| sent.to).collect();
    to.sort();
    assert_eq!(to, ["one@example.org", "two@example.org"]);
    assert_eq!(went_on_for(&stage, one).await, (2, vec![1, 3]));
    assert_eq!(went_on_for(&stage, two).await, (1, vec![2]));
}

async fn the_first_leaves_at_once_and_the_rest_with_the_window(on: On) {
    let stage = stage(on, "batch: { window: 10m, flush_leading: true }").await;
    let first = paid(&stage, 1).await;
    assert_eq!(left(&stage), [0]);
    assert_eq!(went_on_for(&stage, first).await, (1, vec![1]));
    stage.live(minutes(2)).await;
    let second = paid(&stage, 2).await;
    stage.live(minutes(2)).await;
    paid(&stage, 3).await;
    stage.live(minutes(11)).await;
    assert_eq!(left(&stage), [0, 10]);
    assert_eq!(went_on_for(&stage, second).await, (2, vec![2, 3]));
    // Something was sent at 10: a window begins there.
    let after = paid(&stage, 4).await;
    stage.live(minutes(20)).await;
    assert_eq!(left(&stage), [0, 10, 20]);
    assert_eq!(went_on_for(&stage, after).await, (1, vec![4]));
    // In the next one nothing came.
    paid(&stage, 5).await;
    assert_eq!(left(&stage), [0, 10, 20, 35]);
}

async fn events_of_one_call_are_together(on: On) {
    let stage = stage(on, "batch: { window: 10m, max_items: 4 }").await;
    let event = |n: i64| json!({ "name": "order.paid", "data": { "user": "1", "n": n } });
    let events = (0..10).map(|n| Incoming::parse(event(n), usize::MAX).unwrap()).collect();
    stage.pipeline.accept(events).await.unwrap();
    stage.settle().await;
    assert_eq!(left(&stage), [0, 0]);
    stage.live(minutes(60)).await;
    assert_eq!(left(&stage), [0, 0, 10]);
}

async fn a_batch_of_batches_has_every_event(on: On) {
    let stage = stage(on, "batch: { window: 10m }\n  - batch: { window: 1h }").await;
    let first = paid(&stage, 1).await;
    paid(&stage, 2).await;
    stage.live(minutes(30)).await;
    paid(&stage, 3).await;
    paid(&stage, 4).await;
    stage.live(minutes(120)).await;
    assert_eq!(left(&stage), [70]);
    assert_eq!(went_on_for(&stage, first).await, (4, vec![1, 2, 3, 4]));
}

async fn a_condition_is_asked_before_the_wait(on: On) {
    let stage = stage(on, "batch: { window: 10m }\n    if: event.data.n != 2").await;
    paid(&stage, 1).await;
    paid(&stage, 2).await;
    assert_eq!(left(&stage), [0]);
    stage.live(minutes(60)).await;
    assert_eq!(left(&stage), [0, 10]);
}

async fn later_steps_see_the_count(on: On) {
    let step = "batch: { window: 10m }
    id: b
  - stop: true
    if: steps.b.result.count < 2";
    let stage = stage(on, step).await;
    paid(&stage, 1).await;
    stage.live(minutes(20)).await;
    assert!(stage.sent().is_empty());
    paid(&stage, 2).await;
    paid(&stage, 3).await;
    stage.live(minutes(20)).await;
    assert_eq!(left(&stage), [30]);
}

/// Recipients that are looked up, and those that the events bring along.
async fn everybody_has_a_batch_of_their_own(on: On) {
    let workflow = "workflow: w
on: order.paid
recipients: [{ everyone: true }, { contact: event.data.guest }]
steps:
  - batch: { window: 10m }
  - send: email
    template: w
";
    let mail = ("templates/w/email.hbs", "---\nsubject: s\n---\nx\n");
    let stage = Stage::new(on, &[("workflows/w.yaml", workflow), mail]).await;
    for user in ["1", "2"] {
        stage.user(user, &format!("{user}@example.org")).await;
    }
    let guests = ["ada", "ben", "ada"].map(|name| format!("{name}@example.org"));
    for guest in &guests {
        told(&stage, json!({ "guest": { "email": guest } })).await;
    }
    stage.live(minutes(60)).await;
    let mut to: Vec<_> = stage.sent().into_iter().map(|sent| sent.to).collect();
    to.sort();
    assert_eq!(to, ["1@example.org", "2@example.org", "ada@example.org", "ben@example.org"]);
    assert_eq!(left(&stage), [10; 4]);
}

async fn two_workers_take_every_event_once(on: On) {
    let stage = stage(on, "batch: { window: 10m }").await;
    let some = |numbers: std::ops::Range<i64>| {
        join_all(numbers.map(|n| stage.event("order.paid", json!({ "user": "1", "n": n }))))
    };
    let mut events = some(0..20).await;
    stage.clock.advance(minutes(10));
    // The window ends while more come.
    let (more, (), ()) = tokio::join!(some(20..40), stage.settle(), stage.settle());
    events.extend(more);
    stage.clock.advance(minutes(10));
    tokio::join!(stage.settle(), stage.settle());
    let mut numbers = Vec::new();
    for event in &events {
        numbers.extend(went_on_for(&stage, *event).await.1);
        assert_eq!(status(&stage, *event).await, RunStatus::Finished);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..40).collect::<Vec<_>>());
    assert_eq!(left(&stage), [10, 20]);
}

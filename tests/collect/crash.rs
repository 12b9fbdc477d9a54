//! A step that is run again, or whose worker is lost between any two of its writes, comes to the
//! same.

use nuncio::model::EventId;
use nuncio::store::{Claim, DueRun, QueueName};
use serde_json::json;

use super::{On, RunStatus, Stage, left, minutes, on_both, run, stage, went_on_for};

on_both! {
    a_batch_comes_to_the_same
    a_batch_with_a_leading_item_comes_to_the_same
    a_digest_comes_to_the_same
    a_throttle_that_skips_comes_to_the_same
    a_throttle_that_defers_comes_to_the_same
    a_throttle_that_batches_comes_to_the_same
    every_event_is_told_once_whatever_happens
    a_leader_that_ends_its_workers_is_followed
}

async fn a_batch_comes_to_the_same(on: On) {
    let outcome = come_to_the_same(on, "batch: { window: 10m, max_items: 3 }").await;
    assert_eq!(outcome.left, [4, 16, 31]);
}

async fn a_batch_with_a_leading_item_comes_to_the_same(on: On) {
    let outcome = come_to_the_same(on, "batch: { window: 10m, flush_leading: true }").await;
    assert_eq!(outcome.left, [0, 10, 21]);
}

async fn a_digest_comes_to_the_same(on: On) {
    let outcome = come_to_the_same(on, "digest: { cron: '*/5 * * * *', min_items: 2 }").await;
    assert_eq!(outcome.left, [5, 25]);
}

async fn a_throttle_that_skips_comes_to_the_same(on: On) {
    let outcome = come_to_the_same(on, "throttle: { limit: 2, window: 10m }").await;
    assert_eq!(outcome.left, [0, 2, 21]);
}

async fn a_throttle_that_defers_comes_to_the_same(on: On) {
    let step = "throttle: { limit: 1, window: 10m, excess: defer }";
    let outcome = come_to_the_same(on, step).await;
    assert_eq!(outcome.left, [0, 10, 20, 30, 40]);
}

async fn a_throttle_that_batches_comes_to_the_same(on: On) {
    let outcome = come_to_the_same(on, "throttle: { limit: 1, window: 10m, excess: batch }").await;
    assert_eq!(outcome.left, [0, 10, 21]);
}

/// Events at any moments, workers that are lost at any.
async fn every_event_is_told_once_whatever_happens(on: On) {
    let steps = [
        "batch: { window: 10m, max_window: 25m, max_items: 4 }",
        "batch: { window: 10m, flush_leading: true }",
        "digest: { cron: '*/10 * * * *', min_items: 3 }",
        "throttle: { limit: 2, window: 10m, excess: batch }",
        "throttle: { limit: 2, window: 10m, excess: defer }",
    ];
    for step in steps {
        let stage = stage(on, step).await;
        let mut events = Vec::new();
        for n in 0..60 {
            events.push(stage.event("order.paid", json!({ "user": "1", "n": n })).await);
            let wait = stage.clock.random_between(0, 6).unsigned_abs();
            match stage.clock.random_between(0, 3) {
                0 => stage.clock.advance(minutes(wait)),
                1 => live(&stage, wait, Trouble::LostResults).await,
                _ => stage.live(minutes(wait)).await,
            }
        }
        // What is left of a digest has company at last.
        for n in 60..63 {
            events.push(stage.event("order.paid", json!({ "user": "1", "n": n })).await);
        }
        stage.live(minutes(1000)).await;
        let (mut told, mut tellers) = (Vec::new(), 0);
        for event in &events {
            let (count, numbers) = went_on_for(&stage, *event).await;
            assert_eq!(count, numbers.len() as u64);
            tellers += usize::from(count > 0);
            told.extend(numbers);
            assert_eq!(run(&stage, *event).await.status, RunStatus::Finished, "{step}");
        }
        if step.contains("defer") {
            assert_eq!(stage.sent().len(), events.len());
            continue;
        }
        told.sort_unstable();
        assert_eq!(told, (0..63).collect::<Vec<_>>(), "{step}");
        assert_eq!(stage.sent().len(), tellers, "{step}");
    }
}

async fn a_leader_that_ends_its_workers_is_followed(on: On) {
    let stage = stage(on, "batch: { window: 10m }").await;
    let event = async |n: i64| stage.event("order.paid", json!({ "user": "1", "n": n })).await;
    let (first, second, third) = (event(1).await, event(2).await, event(3).await);
    stage.clock.advance(minutes(10));
    for _ in 0..20 {
        assert_eq!(claim(&stage).await.expect("it is due again").run.event, first);
        stage.pipeline.recover(true).await.unwrap();
    }
    stage.settle().await;
    assert_eq!(run(&stage, first).await.status, RunStatus::Failed);
    assert_eq!(stage.codes(first).await, ["batch", "attempts.exhausted"]);
    assert_eq!(went_on_for(&stage, second).await, (2, vec![2, 3]));
    assert_eq!(run(&stage, third).await.status, RunStatus::Finished);
    assert_eq!(left(&stage), [10]);
}

/// What a play came to: when mails left, and each run's end and state.
#[derive(Debug, PartialEq)]
struct Outcome {
    left: Vec<i64>,
    runs: Vec<(RunStatus, serde_json::Value)>,
    codes: Vec<Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    /// Workers die before their first write, and results are written twice.
    Stage,
    /// What a worker asked of the store is done, and its result is lost.
    LostResults,
}

async fn come_to_the_same(on: On, step: &str) -> Outcome {
    let outcome = play(on, step, Trouble::None).await;
    for trouble in [Trouble::Stage, Trouble::LostResults] {
        assert_eq!(play(on, step, trouble).await, outcome, "{trouble:?}");
    }
    outcome
}

/// Events at 0, 2, 4, 6 and 21, and then time enough.
async fn play(on: On, step: &str, trouble: Trouble) -> Outcome {
    let mut stage = stage(on, step).await;
    if let Trouble::Stage = trouble {
        stage = stage.troubled();
    }
    let mut events: Vec<EventId> = Vec::new();
    for (n, wait) in [(1, 2), (2, 2), (3, 2), (4, 15), (5, 100)] {
        events.push(stage.event("order.paid", json!({ "user": "1", "n": n })).await);
        live(&stage, wait, trouble).await;
    }
    let mut outcome = Outcome { left: left(&stage), runs: Vec::new(), codes: Vec::new() };
    for event in events {
        let mut run = run(&stage, event).await;
        // Ids are drawn anew in each play.
        for item in run.state["collected"]["items"].as_array_mut().into_iter().flatten() {
            item["id"].take();
        }
        outcome.runs.push((run.status, run.state));
        outcome.codes.push(stage.codes(event).await);
    }
    outcome
}

async fn live(stage: &Stage, wait: u64, trouble: Trouble) {
    let Trouble::LostResults = trouble else { return stage.live(minutes(wait)).await };
    let end = stage.clock.after(minutes(wait));
    lose(stage).await;
    while let Some(next) = stage.store.next_due(QueueName::Runs).await.unwrap() {
        if next > end {
            break;
        }
        stage.clock.set(next.max(stage.clock.now()));
        lose(stage).await;
    }
    stage.clock.set(end);
}

/// Each run is taken up by a worker whose lease ends before it can write its result, and then by
/// another.
async fn lose(stage: &Stage) {
    while let Some(lost) = claim(stage).await {
        stage.pipeline.recover(true).await.unwrap();
        let again = claim(stage).await.expect("what was lost is due again");
        assert_eq!(lost.run.id, again.run.id);
        stage.pipeline.advance(lost).await;
        stage.pipeline.advance(again).await;
    }
    stage.settle().await;
}

async fn claim(stage: &Stage) -> Option<DueRun> {
    let (now, until) = (stage.clock.now(), stage.clock.after(minutes(1)));
    stage.store.claim_runs(Claim { now, until, limit: 1 }).await.unwrap().pop()
}

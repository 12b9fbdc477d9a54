use nuncio::model::RunStatus;
use serde_json::json;

use super::{On, Stage, minutes, on_both, paid, row, run, stage, status, told, went_on_for};

on_both! {
    a_digest_leaves_at_the_moment_of_the_recipients_clocks
    a_digest_may_have_a_zone_of_its_own
    a_digest_leaves_at_its_time_across_a_change_of_the_clocks
    too_few_wait_for_the_next_moment
    what_comes_at_a_moment_with_too_few_is_for_the_next
}

const MORNING: &str = "digest: { cron: '0 9 * * *' }";

fn when(stage: &Stage) -> Vec<String> {
    stage.sent().iter().map(|sent| sent.at.to_string()).collect()
}

async fn a_digest_leaves_at_the_moment_of_the_recipients_clocks(on: On) {
    let stage = stage(on, MORNING).await;
    let paris = paid(&stage, 1).await;
    let nowhere = told(&stage, json!({ "user": "2", "n": 2 })).await;
    stage.live(minutes(60)).await;
    paid(&stage, 3).await;
    let until = row(&stage, paris, "digest").await.unwrap().until.unwrap();
    assert_eq!(until.to_string(), "2026-03-02T08:00:00Z");
    stage.live(minutes(48 * 60)).await;
    assert_eq!(when(&stage), ["2026-03-02T08:00:00Z", "2026-03-02T09:00:00Z"]);
    assert_eq!(went_on_for(&stage, paris).await, (2, vec![1, 3]));
    assert_eq!(went_on_for(&stage, nowhere).await, (1, vec![2]));
    assert_eq!(run(&stage, paris).await.state["steps"]["together"]["result"]["count"], 2);
}

async fn a_digest_may_have_a_zone_of_its_own(on: On) {
    let stage = stage(on, "digest: { cron: '0 9 * * *', time_zone: Asia/Kolkata }").await;
    paid(&stage, 1).await;
    stage.live(minutes(48 * 60)).await;
    assert_eq!(when(&stage), ["2026-03-02T03:30:00Z"]);
}

async fn a_digest_leaves_at_its_time_across_a_change_of_the_clocks(on: On) {
    let stage = stage(on, MORNING).await;
    // The clocks of Paris jump on 29 March and go back on 25 October.
    for (day, leaves) in [
        ("2026-03-27T12:00:00Z", "2026-03-28T08:00:00Z"),
        ("2026-03-28T12:00:00Z", "2026-03-29T07:00:00Z"),
        ("2026-10-24T12:00:00Z", "2026-10-25T08:00:00Z"),
    ] {
        stage.clock.set(day.parse().unwrap());
        paid(&stage, 1).await;
        stage.live(minutes(23 * 60)).await;
        assert_eq!(when(&stage).last().map(String::as_str), Some(leaves));
    }
    assert_eq!(stage.sent().len(), 3);
}

async fn too_few_wait_for_the_next_moment(on: On) {
    let stage = stage(on, "digest: { cron: '0 9 * * *', min_items: 2 }").await;
    let first = paid(&stage, 1).await;
    stage.live(minutes(24 * 60)).await;
    assert!(stage.sent().is_empty());
    let waits: Vec<_> = stage.rows(first).await;
    let until: Vec<_> =
        waits.iter().map(|row| (&*row.code, row.until.unwrap().to_string())).collect();
    assert_eq!(
        until,
        [("digest", "2026-03-02T08:00:00Z".into()), ("digest", "2026-03-03T08:00:00Z".into())]
    );
    assert_eq!(waits[1].reason, "1 of at least 2 so far");
    let second = paid(&stage, 2).await;
    stage.live(minutes(24 * 60)).await;
    assert_eq!(when(&stage), ["2026-03-03T08:00:00Z"]);
    assert_eq!(went_on_for(&stage, first).await, (2, vec![1, 2]));
    assert_eq!(status(&stage, second).await, RunStatus::Finished);
}

async fn what_comes_at_a_moment_with_too_few_is_for_the_next(on: On) {
    let stage = stage(on, "digest: { cron: '0 9 * * *', min_items: 2 }").await;
    let first = paid(&stage, 1).await;
    // Before the leader has looked.
    stage.clock.set("2026-03-02T08:00:00Z".parse().unwrap());
    paid(&stage, 2).await;
    assert!(stage.sent().is_empty());
    stage.live(minutes(48 * 60)).await;
    assert_eq!(when(&stage), ["2026-03-03T08:00:00Z"]);
    assert_eq!(went_on_for(&stage, first).await, (2, vec![1, 2]));
}

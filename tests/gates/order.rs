//! What is asked first, and what again.

use nuncio::model::{AttemptOutcome, MessageStatus, Verdict};
use nuncio::store::{Departed, Departure, Messages, Queue, Settlement};
use serde_json::json;

use super::scene::{Scene, Setting, decided, quiet};

#[tokio::test]
async fn the_first_gate_that_says_no_decides() {
    let head = "dedupe: { key: event.data.order, window: 10m }\ndefaults: { email: false }";
    let step = "if: event.data.order == 7";
    let scene = Setting { head, step, ..Setting::default() }.scene().await;
    let mut said = quiet("12:00", "14:00");
    said["frequency_limits"] = json!({"max_per_hour": 0});
    said["workflows"] = json!({"news": true});
    let skipped = scene.emit(json!({"order": 8})).await;
    assert_eq!(scene.decided(skipped).await, [decided(Verdict::Skip, "condition.false")]);
    let off = scene.emit(json!({"order": 7})).await;
    assert_eq!(scene.decided(off).await, [decided(Verdict::Drop, "preference.workflow_off")]);
    scene.prefer(said).await;
    let held = scene.emit(json!({"order": 7})).await;
    assert_eq!(scene.decided(held).await, [decided(Verdict::Hold, "quiet_hours.held")]);
    scene
        .prefer(json!({"frequency_limits": {"max_per_hour": 0}, "workflows": {"news": true}}))
        .await;
    scene.work().await;
    assert_eq!(scene.decided(held).await[1], decided(Verdict::Drop, "budget.hour"));
}

/// Hands the only due message over, and has its provider say "later".
async fn fail_once(scene: &Scene) {
    let due = scene.store.claim_messages(scene.claim(1)).await.expect("claims").remove(0);
    let departure = Departure {
        message: due.message.id,
        fence: due.fence,
        provider: "capture".into(),
        at: scene.clock.now(),
        spend: None,
        once: None,
    };
    let departed = scene.store.depart(vec![departure]).await.expect("departs");
    assert_eq!(departed, [Departed::Left]);
    let now = scene.clock.now();
    let attempt = nuncio::model::Attempt {
        message: due.message.id,
        number: 1,
        provider: "capture".into(),
        started_at: now,
        finished_at: now,
        outcome: AttemptOutcome::Retry,
        code: None,
        detail: None,
        receipt: None,
    };
    let settlement = Settlement {
        message: due.message.id,
        fence: due.fence,
        status: MessageStatus::Pending,
        due_at: Some(scene.clock.after(std::time::Duration::from_secs(60))),
        attempt: Some(attempt),
        entry: None,
        decisions: Vec::new(),
        code: Some("provider.retry".into()),
        held: None,
        expected: None,
    };
    scene.store.settle(vec![settlement]).await.expect("settles");
}

#[tokio::test]
async fn a_retry_is_asked_for_preferences_and_night_but_no_more_for_its_condition_and_budget() {
    let step = "if: now < timestamp('2026-03-02T12:00:30Z')";
    let scene = Setting { step, ..Setting::default() }.scene().await;
    let event = scene.accept("news", "", json!({})).await;
    fail_once(&scene).await;
    scene.prefer(json!({"frequency_limits": {"max_per_hour": 0}})).await;
    scene.until("2026-03-02T12:02:00Z").await;
    assert_eq!(scene.decided(event).await.last(), Some(&decided(Verdict::Send, "accepted")));

    let scene = Setting::default().scene().await;
    let event = scene.accept("news", "", json!({})).await;
    fail_once(&scene).await;
    scene.prefer(quiet("12:00", "14:00")).await;
    scene.until("2026-03-02T12:02:00Z").await;
    let rows = scene.decided(event).await;
    assert_eq!(rows.last(), Some(&decided(Verdict::Hold, "quiet_hours.held")));
    scene.prefer(json!({"notification_types": {"news": false}})).await;
    scene.work().await;
    let rows = scene.decided(event).await;
    assert_eq!(rows.last(), Some(&decided(Verdict::Drop, "preference.category_off")));
    let id = scene.rows(event).await[0].message.expect("a message");
    let message = scene.store.message(id).await.expect("the store answers").expect("it is there");
    assert_eq!(message.message.attempt, 1, "it keeps its attempts");
}

#[tokio::test]
async fn what_may_be_with_a_provider_already_is_not_gathered() {
    let scene = Setting { step: "quiet_hours: batch", ..Setting::default() }.scene().await;
    let event = scene.accept("news", "", json!({"text": "one"})).await;
    fail_once(&scene).await;
    scene.prefer(quiet("12:00", "14:00")).await;
    scene.emit(json!({"text": "two"})).await;
    scene.until("2026-03-02T12:02:00Z").await;
    let rows = scene.decided(event).await;
    assert_eq!(rows.last(), Some(&decided(Verdict::Hold, "quiet_hours.held")));
    scene.until("2026-03-02T13:00:00Z").await;
    assert_eq!(scene.sent().len(), 2);
}

use nuncio::model::Verdict;
use nuncio::store::{Departed, Departure, Inbox, Queue};
use serde_json::json;

use super::scene::{Setting, decided, quiet};

const DEDUPE: &str = "dedupe: { key: event.data.order, window: 10m }";

#[tokio::test]
async fn the_same_is_not_sent_twice_within_its_window() {
    for send in ["email", "in_app"] {
        let scene = Setting { head: DEDUPE, send, ..Setting::default() }.scene().await;
        let first = scene.emit(json!({"order": 7})).await;
        assert_eq!(scene.decided(first).await, [decided(Verdict::Send, "accepted")]);
        let again = scene.emit(json!({"order": 7})).await;
        assert_eq!(scene.decided(again).await, [decided(Verdict::Drop, "duplicate")]);
        let other = scene.emit(json!({"order": 8})).await;
        assert_eq!(scene.decided(other).await, [decided(Verdict::Send, "accepted")]);
        scene.user("43", None).await;
        let theirs = scene.emit(json!({"order": 7, "user": "43"})).await;
        assert_eq!(scene.decided(theirs).await, [decided(Verdict::Send, "accepted")]);
        scene.until("2026-03-02T12:10:00Z").await;
        let later = scene.emit(json!({"order": 7})).await;
        assert_eq!(scene.decided(later).await, [decided(Verdict::Send, "accepted")], "{send}");
    }
}

#[tokio::test]
async fn a_key_that_fails_drops_with_its_place() {
    let scene = Setting { head: DEDUPE, ..Setting::default() }.scene().await;
    let event = scene.emit(json!({})).await;
    let row = scene.row(event).await;
    assert_eq!((row.decision, &*row.code), (Verdict::Drop, "expression.failed"));
    assert!(row.rule.is_some_and(|rule| rule.starts_with("workflows/news.yaml:")));
}

#[tokio::test]
async fn of_two_that_were_held_one_leaves() {
    let scene = Setting { head: DEDUPE, ..Setting::default() }.scene().await;
    scene.prefer(quiet("12:00", "14:00")).await;
    let first = scene.emit(json!({"order": 7})).await;
    let second = scene.emit(json!({"order": 7})).await;
    scene.until("2026-03-02T13:00:00Z").await;
    assert_eq!(scene.sent().len(), 1);
    assert_eq!(scene.decided(first).await[1].0, Verdict::Send);
    assert_eq!(scene.decided(second).await[1], decided(Verdict::Drop, "duplicate"));
}

#[tokio::test]
async fn an_entry_is_made_once_though_the_process_died_on_the_way() {
    let scene = Setting { head: DEDUPE, send: "in_app", ..Setting::default() }.scene().await;
    let event = scene.accept("news", "", json!({"order": 7})).await;
    let due = scene.store.claim_messages(scene.claim(1)).await.expect("claims").remove(0);
    let departure = Departure {
        message: due.message.id,
        fence: due.fence,
        provider: "inbox".into(),
        at: scene.clock.now(),
        spend: None,
        once: None,
        failover: None,
    };
    let departed = scene.store.depart(vec![departure]).await.expect("departs");
    assert_eq!(departed, [Departed::Left]);
    scene.pipeline.recover(true).await.expect("recovers");
    scene.work().await;
    let rows = scene.decided(event).await;
    assert_eq!(rows, [decided(Verdict::Send, "unknown"), decided(Verdict::Send, "accepted")]);
    assert_eq!(scene.store.unread(&"42".into()).await.expect("the store answers"), 1);
}

use nuncio::model::Verdict;
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

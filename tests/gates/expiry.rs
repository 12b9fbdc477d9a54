use nuncio::config::{Config, Span};
use nuncio::model::{MessageStatus, Verdict};
use nuncio::store::{MessageQuery, Messages};
use serde_json::json;

use super::scene::{Setting, at, decided, quiet};

#[tokio::test]
async fn a_hold_that_would_end_too_late_ends_in_time() {
    for (head, step, config) in [
        ("expires: 30m", "", None),
        ("expires: 9h", "expires: 30m", None),
        ("", "", Some(Span::seconds(1800))),
    ] {
        let mut setting = Setting { head, step, ..Setting::default() };
        setting.config = Config::default();
        setting.config.engine.expiry = config;
        let scene = setting.scene().await;
        scene.prefer(quiet("12:00", "15:00")).await;
        let event = scene.emit(json!({})).await;
        assert_eq!(scene.row(event).await.until, Some(at("2026-03-02T12:30:00Z")));
        scene.until("2026-03-02T18:00:00Z").await;
        let rows = scene.rows(event).await;
        assert_eq!((rows[1].decision, &*rows[1].code), (Verdict::Drop, "expired"));
        assert_eq!(rows[1].at, at("2026-03-02T12:30:00Z"));
        assert_eq!(scene.sent(), []);
        let query = MessageQuery { limit: 9, ..MessageQuery::default() };
        let messages = scene.store.messages(&query).await.expect("the store answers");
        assert_eq!(messages[0].message.status, MessageStatus::Expired);
    }
}

#[tokio::test]
async fn what_is_in_time_leaves() {
    let scene = Setting { head: "expires: 3h", ..Setting::default() }.scene().await;
    scene.prefer(quiet("12:00", "14:00")).await;
    let event = scene.emit(json!({})).await;
    scene.until("2026-03-02T18:00:00Z").await;
    assert_eq!(scene.decided(event).await[1], decided(Verdict::Send, "accepted"));
}

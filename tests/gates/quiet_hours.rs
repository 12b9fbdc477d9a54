use nuncio::config::{Config, QuietHours};
use nuncio::model::Verdict;
use serde_json::json;

use super::scene::{Scene, Setting, at, decided, quiet};

/// At half past ten in the evening, where user 42 is.
async fn night(setting: Setting) -> Scene {
    let scene = setting.scene().await;
    scene.prefer(quiet("22:00", "08:00")).await;
    scene.until("2026-03-02T21:30:00Z").await;
    scene
}

#[tokio::test]
async fn what_falls_into_the_night_leaves_at_its_end() {
    let scene = night(Setting::default()).await;
    let event = scene.emit(json!({})).await;
    let held = scene.row(event).await;
    assert_eq!((held.decision, &*held.code), (Verdict::Hold, "quiet_hours.held"));
    assert_eq!(held.until, Some(at("2026-03-03T07:00:00Z")));
    assert_eq!(held.reason, "held until 08:00 Africa/Tunis by quiet hours of user 42");
    assert_eq!(held.rule.as_deref(), Some("user 42: quiet_hours"));
    scene.until("2026-03-03T06:59:59Z").await;
    assert_eq!(scene.sent(), []);
    scene.until("2026-03-03T07:00:00Z").await;
    assert_eq!(scene.sent_at(), [("hello".into(), at("2026-03-03T07:00:00Z"))]);
}

#[tokio::test]
async fn by_day_nothing_is_held() {
    let scene = Setting::default().scene().await;
    scene.prefer(quiet("22:00", "08:00")).await;
    let event = scene.emit(json!({})).await;
    assert_eq!(scene.decided(event).await, [decided(Verdict::Send, "accepted")]);
}

#[tokio::test]
async fn a_step_may_drop_or_ignore() {
    let drop = Setting { step: "quiet_hours: drop", ..Setting::default() };
    let scene = night(drop).await;
    let event = scene.emit(json!({})).await;
    assert_eq!(scene.decided(event).await, [decided(Verdict::Drop, "quiet_hours.dropped")]);

    let ignore = Setting { step: "quiet_hours: ignore", ..Setting::default() };
    let scene = night(ignore).await;
    let event = scene.emit(json!({})).await;
    assert_eq!(scene.decided(event).await, [decided(Verdict::Send, "accepted")]);
}

#[tokio::test]
async fn what_is_critical_passes_and_says_so() {
    let scene = night(Setting::default()).await;
    let event = scene.emit(json!({"critical": true})).await;
    let sent = scene.row(event).await;
    assert_eq!(sent.decision, Verdict::Send);
    assert!(sent.reason.contains("critical: passes; would be held until 08:00"), "{}", sent.reason);
}

#[tokio::test]
async fn a_channel_that_does_not_interrupt_is_not_held() {
    let scene = night(Setting { send: "webhook", ..Setting::default() }).await;
    let event = scene.emit(json!({})).await;
    assert_eq!(scene.decided(event).await, [decided(Verdict::Send, "accepted")]);
}

#[tokio::test]
async fn a_change_of_preference_or_zone_moves_what_is_held() {
    let scene = night(Setting::default()).await;
    scene.emit(json!({"text": "one"})).await;
    scene.prefer(quiet("22:00", "23:00")).await;
    scene.until("2026-03-02T22:00:00Z").await;
    assert_eq!(scene.sent_at(), [("one".into(), at("2026-03-02T22:00:00Z"))]);

    scene.prefer(quiet("22:00", "08:00")).await;
    scene.emit(json!({"text": "two"})).await;
    scene.user("42", Some("America/New_York")).await;
    scene.work().await;
    assert_eq!(scene.sent().len(), 2, "in New York it is the afternoon");
}

#[tokio::test]
async fn the_zone_is_the_preferences_then_the_users_then_the_configured_one() {
    let mut config = Config::default();
    config.engine.time_zone = "Asia/Tokyo".into();
    let scene = Setting { config, ..Setting::default() }.scene().await;
    scene.user("42", None).await;
    scene.prefer(quiet("20:00", "22:00")).await;
    let event = scene.emit(json!({})).await;
    let held = scene.row(event).await;
    assert_eq!(
        held.reason,
        "held until 22:00 Asia/Tokyo by quiet hours of user 42, in the configured default zone: \
         none is known of the recipient"
    );
    assert_eq!(held.until, Some(at("2026-03-02T13:00:00Z")));

    let mut said = quiet("12:00", "14:00");
    said["quiet_hours"]["timezone"] = json!("Europe/London");
    scene.user("42", Some("Africa/Tunis")).await;
    scene.prefer(said).await;
    let event = scene.emit(json!({})).await;
    assert_eq!(scene.row(event).await.until, Some(at("2026-03-02T14:00:00Z")));
}

#[tokio::test]
async fn the_configuration_may_say_when_it_is_night() {
    let mut config = Config::default();
    config.engine.quiet_hours = Some(QuietHours {
        start_time: "12:30".parse().expect("a time"),
        end_time: "13:30".parse().expect("a time"),
        timezone: None,
    });
    let scene = Setting { config, ..Setting::default() }.scene().await;
    let event = scene.emit(json!({})).await;
    let held = scene.row(event).await;
    assert_eq!(held.reason, "held until 13:30 Africa/Tunis by the configured quiet hours");
    assert_eq!(held.rule.as_deref(), Some("engine.quiet_hours"));
    scene
        .prefer(json!({"quiet_hours": {"enabled": false, "start_time": "22:00:00",
            "end_time": "08:00:00"}}))
        .await;
    scene.work().await;
    assert_eq!(scene.sent().len(), 1, "who switched them off has none");
}

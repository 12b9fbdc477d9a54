use nuncio::model::{MessageStatus, Verdict};
use nuncio::store::{MessageQuery, Messages};
use serde_json::json;

use super::scene::{Scene, Setting, at, decided, quiet};

const BATCH: &str = "quiet_hours: batch";

/// In quiet hours that end at one o'clock in UTC.
async fn quiet_scene(setting: Setting) -> Scene {
    let scene = setting.scene().await;
    scene.prefer(quiet("12:00", "14:00")).await;
    scene
}

async fn statuses(scene: &Scene) -> Vec<MessageStatus> {
    let query = MessageQuery { limit: 99, ..MessageQuery::default() };
    let mut all = scene.store.messages(&query).await.expect("the store answers");
    all.reverse();
    all.into_iter().map(|one| one.message.status).collect()
}

#[tokio::test]
async fn what_is_held_becomes_one_message_in_the_last_ones_words() {
    let scene = quiet_scene(Setting { step: BATCH, ..Setting::default() }).await;
    let first = scene.emit(json!({"text": "one"})).await;
    scene.emit(json!({"text": "two"})).await;
    let last = scene.emit(json!({"text": "three"})).await;
    let held = scene.row(first).await;
    assert_eq!((held.decision, &*held.code), (Verdict::Hold, "quiet_hours.batched"));
    assert_eq!(held.until, Some(at("2026-03-02T13:00:00Z")));
    assert_eq!(scene.decided(last).await, [decided(Verdict::Hold, "quiet_hours.batched")]);
    scene.until("2026-03-02T13:00:00Z").await;
    assert_eq!(scene.sent_at(), [("three".into(), at("2026-03-02T13:00:00Z"))]);
    use MessageStatus::{Sent, Suppressed};
    assert_eq!(statuses(&scene).await, [Sent, Suppressed, Suppressed]);
}

#[tokio::test]
async fn a_category_may_have_a_template_for_it() {
    let files = vec![
        ("workflows/types.yaml", "- { name: news, batch_template: several }\n"),
        ("templates/several/email.hbs", "---\nsubject: Several\n---\nseveral"),
    ];
    let scene = quiet_scene(Setting { step: BATCH, files, ..Setting::default() }).await;
    scene.emit(json!({"text": "one"})).await;
    scene.emit(json!({"text": "two"})).await;
    scene.until("2026-03-02T13:00:00Z").await;
    assert_eq!(scene.sent_at(), [("several".into(), at("2026-03-02T13:00:00Z"))]);
}

#[tokio::test]
async fn recipients_and_channels_and_categories_stay_apart() {
    let other = "workflow: other\non: news\ncategory: else\nrecipients: [{ user: event.data.user }]\n\
                 steps: [{ send: email, template: news, quiet_hours: batch }]\n";
    let files = vec![("workflows/other.yaml", other)];
    let setting = Setting { step: BATCH, send: "[email, sms]", files, ..Setting::default() };
    let scene = quiet_scene(setting).await;
    scene.emit(json!({"text": "one"})).await;
    scene.emit(json!({"text": "two"})).await;
    scene.until("2026-03-02T13:00:00Z").await;
    let mut sent: Vec<_> = scene.sent().into_iter().map(|one| (one.channel, one.body)).collect();
    sent.sort();
    let two = |channel: &str| (channel.into(), "two".to_owned());
    assert_eq!(sent, [two("email"), two("email"), two("sms")]);
}

#[tokio::test]
async fn a_leader_that_is_called_off_sets_the_others_free() {
    let scene = quiet_scene(Setting { step: BATCH, ..Setting::default() }).await;
    let first = scene.emit(json!({"text": "one"})).await;
    scene.emit(json!({"text": "two"})).await;
    scene.emit(json!({"text": "three"})).await;
    let leader = scene.row(first).await.message.expect("a message");
    scene.store.cancel(leader, scene.clock.now()).await.expect("the store answers");
    scene.work().await;
    use MessageStatus::{Cancelled, Pending, Sent, Suppressed};
    assert_eq!(statuses(&scene).await, [Cancelled, Pending, Suppressed], "another leads");
    scene.until("2026-03-02T13:00:00Z").await;
    assert_eq!(scene.sent_at(), [("three".into(), at("2026-03-02T13:00:00Z"))]);
    assert_eq!(statuses(&scene).await, [Cancelled, Sent, Suppressed]);
}

#[tokio::test]
async fn a_leader_that_expires_does_not_take_the_others_along() {
    let head = "expires: 30m";
    let scene = quiet_scene(Setting { head, step: BATCH, ..Setting::default() }).await;
    scene.emit(json!({"text": "one"})).await;
    scene.until("2026-03-02T12:40:00Z").await;
    scene.emit(json!({"text": "two"})).await;
    scene.until("2026-03-02T13:00:00Z").await;
    assert_eq!(statuses(&scene).await, [MessageStatus::Expired, MessageStatus::Sent]);

    let scene = quiet_scene(Setting { head, step: BATCH, ..Setting::default() }).await;
    scene.emit(json!({"text": "one"})).await;
    scene.until("2026-03-02T12:29:00Z").await;
    scene.emit(json!({"text": "two"})).await;
    scene.until("2026-03-02T12:31:00Z").await;
    assert_eq!(statuses(&scene).await, [MessageStatus::Expired, MessageStatus::Pending]);
    scene.until("2026-03-02T13:00:00Z").await;
    assert_eq!(statuses(&scene).await, [MessageStatus::Expired, MessageStatus::Expired]);
}

#[tokio::test]
async fn what_comes_after_the_release_waits_for_its_own() {
    let scene = quiet_scene(Setting { step: BATCH, ..Setting::default() }).await;
    scene.emit(json!({"text": "one"})).await;
    scene.until("2026-03-03T11:30:00Z").await;
    scene.emit(json!({"text": "two"})).await;
    scene.until("2026-03-03T13:00:00Z").await;
    assert_eq!(scene.sent().len(), 2);
}

#[tokio::test]
async fn a_budget_gathers_too() {
    let scene = Setting { step: "over_limit: batch", ..Setting::default() }.scene().await;
    scene.prefer(json!({"frequency_limits": {"max_per_hour": 1}})).await;
    scene.emit(json!({"text": "one"})).await;
    let second = scene.emit(json!({"text": "two"})).await;
    scene.emit(json!({"text": "three"})).await;
    let held = scene.row(second).await;
    assert_eq!((held.decision, &*held.code), (Verdict::Hold, "budget.hour"));
    scene.until("2026-03-02T15:00:00Z").await;
    let expected = [("one", "12:00"), ("three", "13:00")];
    let expected =
        expected.map(|(text, time)| (text.into(), at(&format!("2026-03-02T{time}:00Z"))));
    assert_eq!(scene.sent_at(), expected);
}

#[tokio::test]
async fn the_template_sees_how_many_there_are_and_each_of_them() {
    let several = "---\nsubject: '{{count}} news'\n---\n\
                   {{#each items}}{{text}} of {{name}} by {{data.user}}; {{/each}}last {{event.data.text}}";
    let files = vec![
        ("workflows/types.yaml", "- { name: news, batch_template: several }\n"),
        ("templates/several/email.hbs", several),
    ];
    let scene = quiet_scene(Setting { step: BATCH, files, ..Setting::default() }).await;
    for text in ["one", "two", "three"] {
        scene.emit(json!({"text": text})).await;
    }
    scene.until("2026-03-02T13:00:00Z").await;
    let sent = scene.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].subject.as_deref(), Some("3 news"));
    assert_eq!(
        sent[0].body,
        "one of news by 42; two of news by 42; three of news by 42; last three"
    );
}

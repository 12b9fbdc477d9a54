use nuncio::config::{Config, Tenant};
use nuncio::model::{Row, Verdict};
use nuncio::store::Topics;
use serde_json::{Value, json};

use super::scene::{Scene, Setting, decided};

/// What becomes of a message when user 42 says so.
async fn code(scene: &Scene, said: Value) -> String {
    scene.prefer(said).await;
    let event = scene.emit(json!({})).await;
    scene.row(event).await.code.into_owned()
}

#[tokio::test]
async fn the_more_special_choice_counts() {
    let scene = Setting::default().scene().await;
    let types = |row: Value| json!({"notification_types": {"news": row}});
    assert_eq!(code(&scene, json!({})).await, "accepted");
    assert_eq!(code(&scene, types(json!({"email": false}))).await, "preference.channel_off");
    assert_eq!(code(&scene, types(json!(false))).await, "preference.category_off");
    let row = json!({"*": false, "email": true});
    assert_eq!(code(&scene, types(row)).await, "accepted", "the channel beats the category");
    let every = json!({"in_app": false, "push": false, "email": false, "sms": false});
    assert_eq!(code(&scene, types(every)).await, "preference.category_off");
    let said = json!({"notification_types": {"news": false}, "workflows": {"news": true}});
    assert_eq!(code(&scene, said).await, "accepted", "the workflow beats the category");
    let said = json!({"workflows": {"news": {"email": false, "sms": true}}});
    assert_eq!(code(&scene, said).await, "preference.workflow_off");
}

#[tokio::test]
async fn the_resolved_chain_is_told() {
    let scene = Setting { head: "defaults: { email: true }", ..Setting::default() }.scene().await;
    scene.prefer(json!({"notification_types": {"news": {"email": false}}})).await;
    let event = scene.emit(json!({})).await;
    let row = scene.row(event).await;
    assert_eq!(
        row.reason,
        "the recipient turned email off for category `news`; built-in on < workflow on < user's \
         channel off"
    );
    assert_eq!(row.rule.as_deref(), Some("user 42: notification_types.news.email"));
}

#[tokio::test]
async fn configuration_tenant_and_workflow_come_before_the_user() {
    let off = |channels: Value| -> Row { serde_json::from_value(channels).expect("a row") };
    let mut config = Config::default();
    config.engine.preferences.insert("news".into(), off(json!({"email": false})));
    let mut tenant = Tenant::default();
    tenant.preferences.notification_types.insert("*".into(), off(json!(true)));
    config.tenants.insert("acme".into(), tenant);
    let scene = Setting { config: config.clone(), ..Setting::default() }.scene().await;

    let event = scene.emit(json!({})).await;
    let row = scene.row(event).await;
    assert_eq!(&*row.code, "preference.channel_off");
    assert_eq!(row.rule.as_deref(), Some("engine.preferences.news"));
    let event = scene.accept("news", "acme", json!({})).await;
    scene.work().await;
    assert_eq!(scene.decided(event).await, [decided(Verdict::Send, "accepted")]);
    let said = json!({"notification_types": {"news": true}});
    assert_eq!(code(&scene, said).await, "accepted");

    let head = "defaults: { email: false }";
    let scene = Setting { head, config, ..Setting::default() }.scene().await;
    let event = scene.accept("news", "acme", json!({})).await;
    scene.work().await;
    assert_eq!(scene.row(event).await.code, "preference.workflow_off");
}

#[tokio::test]
async fn a_choice_for_a_topic_binds_what_came_by_it() {
    let workflow = "workflow: by-topic\non: told\ncategory: news\n\
                    recipients: [{ topic: '\"shop:1\"' }]\nsteps: [{ send: email, template: news }]\n";
    let files = vec![("workflows/by-topic.yaml", workflow)];
    let scene = Setting { files, ..Setting::default() }.scene().await;
    scene.store.subscribe(&"shop:1".into(), &"42".into()).await.expect("the store answers");
    scene.prefer(json!({"topics": {"shop:1": {"email": false}}})).await;
    let event = scene.accept("told", "", json!({})).await;
    scene.work().await;
    let row = scene.row(event).await;
    assert_eq!(&*row.code, "preference.workflow_off");
    assert_eq!(row.rule.as_deref(), Some("user 42: topics.shop:1"));
    let event = scene.emit(json!({})).await;
    assert_eq!(scene.decided(event).await, [decided(Verdict::Send, "accepted")]);
}

#[tokio::test]
async fn required_and_critical_pass_but_not_an_opt_out_from_marketing() {
    let off = json!({"notification_types": {"news": false}, "unsubscribed": ["news"]});
    let plain = || vec![("workflows/types.yaml", "- name: news\n")];
    let marketing = || vec![("workflows/types.yaml", "- { name: news, marketing: true }\n")];
    for (head, files, expected) in [
        ("", plain(), "preference.unsubscribed"),
        ("required: true", plain(), "accepted"),
        ("required: [email]", plain(), "accepted"),
        ("required: [sms]", plain(), "preference.unsubscribed"),
        ("critical: true", plain(), "accepted"),
        ("required: true", marketing(), "preference.unsubscribed"),
        ("critical: true", marketing(), "preference.unsubscribed"),
    ] {
        let scene = Setting { head, files, ..Setting::default() }.scene().await;
        assert_eq!(code(&scene, off.clone()).await, expected, "{head}");
    }
}

#[tokio::test]
async fn a_waived_preference_is_recorded() {
    let scene = Setting::default().scene().await;
    scene.prefer(json!({"notification_types": {"news": {"email": false}}})).await;
    let event = scene.emit(json!({"critical": true})).await;
    let row = scene.row(event).await;
    assert_eq!(row.decision, Verdict::Send);
    assert!(row.reason.contains("critical: passes a preference"), "{}", row.reason);
    assert_eq!(row.rule.as_deref(), Some("user 42: notification_types.news.email"));
}

use futures_util::future::join_all;
use nuncio::config::Config;
use nuncio::model::{Limits, Verdict};
use nuncio::store::{Messages, Queue};
use serde_json::{Value, json};

use super::scene::{Scene, Setting, at, decided};

fn limits(an_hour: Option<u32>, a_day: Option<u32>) -> Value {
    json!({"frequency_limits": {"max_per_hour": an_hour, "max_per_day": a_day}})
}

async fn limited(setting: Setting, an_hour: u32) -> Scene {
    let scene = setting.scene().await;
    scene.prefer(limits(Some(an_hour), None)).await;
    scene
}

#[tokio::test]
async fn what_is_over_the_limit_waits_until_enough_of_the_window_has_passed() {
    let scene = limited(Setting::default(), 2).await;
    scene.emit(json!({"text": "one"})).await;
    scene.until("2026-03-02T12:20:00Z").await;
    scene.emit(json!({"text": "two"})).await;
    scene.until("2026-03-02T12:30:00Z").await;
    let third = scene.emit(json!({"text": "three"})).await;
    let held = scene.row(third).await;
    assert_eq!((held.decision, &*held.code), (Verdict::Hold, "budget.hour"));
    assert_eq!(held.until, Some(at("2026-03-02T13:00:00Z")));
    assert_eq!(held.rule.as_deref(), Some("user 42: frequency_limits.max_per_hour"));
    scene.until("2026-03-02T14:00:00Z").await;
    let expected = [("one", "12:00"), ("two", "12:20"), ("three", "13:00")];
    let expected =
        expected.map(|(text, time)| (text.into(), at(&format!("2026-03-02T{time}:00Z"))));
    assert_eq!(scene.sent_at(), expected);
}

#[tokio::test]
async fn those_who_waited_leave_by_priority_then_age_and_never_past_the_limit() {
    let scene = limited(Setting::default(), 1).await;
    for text in ["first", "old", "young"] {
        scene.emit(json!({"text": text})).await;
    }
    scene.emit(json!({"text": "high", "high": true})).await;
    scene.until("2026-03-02T18:00:00Z").await;
    let expected = [("first", "12:00"), ("high", "13:00"), ("old", "14:00"), ("young", "15:00")];
    let expected =
        expected.map(|(text, time)| (text.into(), at(&format!("2026-03-02T{time}:00Z"))));
    assert_eq!(scene.sent_at(), expected);
}

#[tokio::test]
async fn a_day_counts_twenty_four_hours_over_all_workflows_and_channels() {
    let other = "workflow: other\non: other\nrecipients: [{ user: event.data.user }]\n\
                 steps: [{ send: sms, template: news }]\n";
    let files = vec![("workflows/other.yaml", other)];
    let scene = Setting { files, ..Setting::default() }.scene().await;
    scene.prefer(limits(Some(5), Some(2))).await;
    scene.emit(json!({})).await;
    scene.accept("other", "", json!({})).await;
    scene.work().await;
    assert_eq!(scene.sent().len(), 2);
    let third = scene.emit(json!({})).await;
    let held = scene.row(third).await;
    assert_eq!((&*held.code, held.until), ("budget.day", Some(at("2026-03-03T12:00:00Z"))));
}

#[tokio::test]
async fn a_limit_counts_what_left_before_it_was_set() {
    let scene = Setting::default().scene().await;
    scene.emit(json!({})).await;
    scene.prefer(limits(Some(1), None)).await;
    let second = scene.emit(json!({})).await;
    assert_eq!(scene.decided(second).await, [decided(Verdict::Hold, "budget.hour")]);
}

#[tokio::test]
async fn a_limit_that_is_lifted_lets_go_of_what_waits() {
    let scene = limited(Setting::default(), 1).await;
    scene.emit(json!({})).await;
    scene.emit(json!({})).await;
    assert_eq!(scene.sent().len(), 1);
    scene.prefer(json!({})).await;
    scene.work().await;
    assert_eq!(scene.sent().len(), 2);
}

#[tokio::test]
async fn what_is_critical_passes_and_counts() {
    let scene = limited(Setting::default(), 1).await;
    scene.emit(json!({"critical": true})).await;
    let again = scene.emit(json!({"critical": true})).await;
    let row = scene.row(again).await;
    assert_eq!(row.decision, Verdict::Send);
    assert!(row.reason.contains("critical: passes the limit"), "{}", row.reason);
    let held = scene.emit(json!({})).await;
    assert_eq!(scene.decided(held).await, [decided(Verdict::Hold, "budget.hour")]);
}

#[tokio::test]
async fn a_limit_of_none_drops_all_but_the_critical() {
    let scene = limited(Setting::default(), 0).await;
    let dropped = scene.emit(json!({})).await;
    assert_eq!(scene.decided(dropped).await, [decided(Verdict::Drop, "budget.hour")]);
    let critical = scene.emit(json!({"critical": true})).await;
    assert_eq!(scene.decided(critical).await, [decided(Verdict::Send, "accepted")]);
}

#[tokio::test]
async fn a_step_may_drop_or_ignore() {
    let scene = limited(Setting { step: "over_limit: drop", ..Setting::default() }, 1).await;
    scene.emit(json!({})).await;
    let second = scene.emit(json!({})).await;
    assert_eq!(scene.decided(second).await, [decided(Verdict::Drop, "budget.hour")]);
    let scene = limited(Setting { step: "over_limit: ignore", ..Setting::default() }, 1).await;
    scene.emit(json!({})).await;
    let second = scene.emit(json!({})).await;
    assert_eq!(scene.decided(second).await, [decided(Verdict::Send, "accepted")]);
}

#[tokio::test]
async fn channels_that_do_not_interrupt_neither_wait_nor_count() {
    let scene =
        limited(Setting { send: "[in_app, webhook, email]", ..Setting::default() }, 1).await;
    let first = scene.emit(json!({})).await;
    assert!(scene.decided(first).await.iter().all(|row| row.0 == Verdict::Send));
    let second = scene.emit(json!({})).await;
    let held: Vec<_> =
        scene.rows(second).await.into_iter().filter(|row| row.decision == Verdict::Hold).collect();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].channel, Some("email".into()));
}

#[tokio::test]
async fn the_configuration_may_limit_everybody() {
    let mut config = Config::default();
    config.engine.budgets = Limits { max_per_hour: Some(1), max_per_day: None };
    let scene = Setting { config, ..Setting::default() }.scene().await;
    scene.emit(json!({})).await;
    let second = scene.emit(json!({})).await;
    let held = scene.row(second).await;
    assert_eq!(held.rule.as_deref(), Some("engine.budgets.max_per_hour"));
    scene.prefer(limits(Some(2), None)).await;
    scene.work().await;
    assert_eq!(scene.sent().len(), 2, "the user's own limit wins");
}

#[tokio::test]
async fn what_is_given_up_gives_its_place_back() {
    let scene = limited(Setting { step: "expires: 90m", ..Setting::default() }, 1).await;
    scene.emit(json!({"text": "one"})).await;
    let second = scene.emit(json!({"text": "two", "high": true})).await;
    scene.emit(json!({"text": "three"})).await;
    let id = scene.row(second).await.message.expect("a message");
    scene.until("2026-03-02T12:59:59Z").await;
    scene.store.cancel(id, scene.clock.now()).await.expect("the store answers");
    scene.until("2026-03-02T14:00:00Z").await;
    let texts: Vec<_> = scene.sent_at().into_iter().map(|sent| sent.0).collect();
    assert_eq!(texts, ["one", "three"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_workers_at_once_never_pass_the_limit() {
    let scene = limited(Setting::default(), 3).await;
    for n in 0..20 {
        scene.accept("news", "", json!({"text": n.to_string()})).await;
    }
    for hour in 0..4 {
        loop {
            let due = scene.store.claim_messages(scene.claim(50)).await.expect("claims");
            if due.is_empty() {
                break;
            }
            let deliver = |due| {
                let pipeline = scene.pipeline.clone();
                tokio::spawn(async move { pipeline.deliver(due).await })
            };
            join_all(due.into_iter().map(deliver)).await;
        }
        assert_eq!(scene.sent().len(), 3 * (hour + 1));
        scene.clock.advance(std::time::Duration::from_secs(3600));
    }
    let texts: Vec<_> = scene.sent_at().into_iter().map(|sent| sent.0).collect();
    let mut all = texts.clone();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), texts.len(), "each once");
}

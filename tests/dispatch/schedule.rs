use std::time::Duration;

use nuncio::model::MessageStatus;
use nuncio::store::Departure;
use serde_json::json;

use super::scene::{BY_HOOK, hook, hooks, messages, only, paid, staged, told};
use crate::harness::node::Installation;
use crate::harness::sink::{Answer, Sink};

#[tokio::test]
async fn retry_after_is_kept_within_a_second_and_a_day() {
    for (asked, waited) in [("7", 7), ("0", 1), ("9999999", 86_400)] {
        let sink = Sink::start().await;
        sink.answer(Answer::status(503).header("retry-after", asked));
        let stage = hooks(vec![hook("hook", Some(sink.url("/"))).await]).await;
        paid(&stage).await;
        let due_at = only(&stage).await.message.due_at;
        assert_eq!(due_at, stage.clock.after(Duration::from_secs(waited)), "asked for {asked}");
    }
}

#[tokio::test]
async fn retry_after_never_leads_past_the_end() {
    let sink = Sink::start().await;
    sink.answer(Answer::status(429).header("retry-after", "3600"));
    let file = BY_HOOK.1.replace("send: webhook", "send: webhook, expires: 5m");
    let hook = hook("hook", Some(sink.url("/"))).await;
    let stage = staged(&[(BY_HOOK.0, &file)], "webhook", vec![hook]).await;
    let event = paid(&stage).await;
    stage.live(Duration::from_secs(7200)).await;
    assert_eq!((sink.count(), only(&stage).await.message.status), (1, MessageStatus::Expired));
    let rows = told(&stage, event).await;
    assert_eq!(rows, ["send hook rate_limited", "retry provider.rate_limited", "drop expired"]);
}

/// What one message was told holds for the others too, for five minutes at most.
#[tokio::test]
async fn who_asks_for_fewer_is_left_alone_by_all() {
    let sink = Sink::start().await;
    sink.answer(Answer::status(429).header("retry-after", "60"));
    let stage = hooks(vec![hook("hook", Some(sink.url("/"))).await]).await;
    paid(&stage).await;
    let second = paid(&stage).await;
    assert_eq!(sink.count(), 1);
    assert_eq!(told(&stage, second).await, ["hold provider.rate_limited"]);
    stage.live(Duration::from_secs(61)).await;
    assert_eq!(sink.count(), 3);
    assert!(messages(&stage).await.iter().all(|one| one.message.status == MessageStatus::Sent));
}

/// Each life ends between the departure and the answer.
#[tokio::test]
async fn attempts_end_even_if_the_process_dies_each_time() {
    let sink = Sink::start().await;
    let stage = hooks(vec![hook("hook", Some(sink.url("/"))).await]).await;
    stage.event("order.paid", json!({ "user": "42", "order": "o-1" })).await;
    let mut deaths = 0;
    while only(&stage).await.message.status == MessageStatus::Pending {
        let claim = stage.store.claim_messages(stage.claim_of(1)).await;
        let due = claim.expect("claims").pop().expect("it is tried again at once");
        if due.claims > 20 {
            stage.pipeline.deliver(due).await;
            break;
        }
        let departure = Departure {
            message: due.message.id,
            fence: due.fence,
            provider: "hook".into(),
            at: stage.clock.now(),
            spend: None,
            once: None,
            failover: None,
        };
        stage.store.depart(vec![departure]).await.expect("departs");
        stage.pipeline.recover(true).await.expect("recovers");
        deaths += 1;
    }
    let record = only(&stage).await;
    assert_eq!((deaths, record.attempts.len(), sink.count()), (20, 20, 0));
    let code = record.message.code.as_deref();
    assert_eq!((record.message.status, code), (MessageStatus::Failed, Some("attempts.exhausted")));
}

/// A real node: the channel's waits win over the engine's, and an open breaker shows.
#[tokio::test]
async fn a_channel_has_its_own_waits_and_shows_its_health() {
    let sink = Sink::start().await;
    sink.answer_always(Answer::status(500));
    let installation = Installation::empty();
    installation.write(BY_HOOK.0, BY_HOOK.1);
    let config = format!(
        "[engine]\nretry = [\"1h\"]\n[channels.webhook]\nproviders = [\"hook\"]\n\
         retry = [\"50ms\", \"50ms\"]\n[providers.hook]\nplugin = \"webhook\"\n\
         settings = {{ url = \"{}\" }}\nbreaker = {{ failures = 3, rest = \"10m\" }}\n",
        sink.url("/")
    );
    installation.write("nuncio.toml", &config);
    let node = installation.dev().await;
    node.put_user("42", json!({ "email": "ada@example.com" })).await;
    let first = node.emit("order.paid", json!({ "user": "42", "order": "o-1" })).await;
    let failed = |rows: &[serde_json::Value]| rows.iter().any(|row| row["decision"] == "fail");
    node.explained(&first, failed).await;
    assert_eq!(sink.count(), 3, "the first, and two by the channel's schedule");

    let second = node.emit("order.paid", json!({ "user": "42", "order": "o-2" })).await;
    let held = |rows: &[serde_json::Value]| rows.iter().any(|row| row["code"] == "provider.open");
    node.explained(&second, held).await;
    let (_, channels) = node.call("GET", "/v1/channels", None).await;
    let all = channels["results"].as_array().expect("a list");
    let webhook = all.iter().find(|channel| channel["channel"] == "webhook").expect("it is there");
    let health = &webhook["providers"][0]["health"];
    assert_eq!((&health["state"], &health["code"]), (&json!("open"), &json!("provider.open")));
    let metrics = node.text("/metrics").await;
    assert!(metrics.contains("nuncio_provider_breaker_state{provider=\"hook\"} 2"), "{metrics}");
    assert_eq!(sink.count(), 3);
}

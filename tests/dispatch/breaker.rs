use std::time::Duration;

use nuncio::config::Breaker;
use nuncio::dispatch::Installed;
use nuncio::model::MessageStatus;
use serde_json::json;

use super::scene::{
    BY_HOOK, BY_OWN_HOOK, count, deliver, hook, hooks, host, messages, only, paid, paid_with,
    short_tempered, sink_pair, staged, told,
};
use crate::harness::sink::{Answer, Sink};
use crate::harness::stage::Stage;
use crate::plugins::hosting::{hostile, provider, setup};

/// Three failures, which open the breaker of the only provider.
async fn opened(sink: &Sink) -> Stage {
    sink.answer_always(Answer::status(503));
    let stage = hooks(vec![short_tempered(hook("hook", Some(sink.url("/"))).await)]).await;
    for _ in 0..3 {
        paid(&stage).await;
    }
    assert_eq!(sink.count(), 3);
    stage
}

#[tokio::test]
async fn an_open_breaker_puts_messages_off_and_counts_no_attempt() {
    let sink = Sink::start().await;
    let stage = opened(&sink).await;
    let held = paid(&stage).await;
    assert_eq!(sink.count(), 3, "nobody asks it");
    assert_eq!(told(&stage, held).await, ["hold provider.open"]);
    let message = &messages(&stage).await[0].message;
    assert_eq!((message.status, message.attempt), (MessageStatus::Pending, 0));
    assert_eq!(message.due_at, stage.clock.after(Duration::from_secs(30)));
}

#[tokio::test]
async fn one_message_tries_and_the_others_follow_once_it_went_well() {
    let sink = Sink::start().await;
    let stage = opened(&sink).await;
    for _ in 0..20 {
        paid(&stage).await;
    }
    stage.clock.advance(Duration::from_secs(30));
    stage.settle().await;
    assert_eq!(sink.count(), 4, "the probe alone");
    assert_eq!(stage.store.breakers().await.expect("reads")[0].openings, 2);

    sink.clear();
    stage.live(Duration::from_secs(180)).await;
    assert_eq!(count(&stage, MessageStatus::Sent).await, 23);
    assert!(stage.store.breakers().await.expect("reads").is_empty());
    let most = messages(&stage).await.iter().map(|record| record.attempts.len()).max();
    assert_eq!(most, Some(2), "none but those that failed, and the probe, were tried again");
}

#[tokio::test]
async fn a_long_outage_costs_no_attempts_and_no_loop() {
    let sink = Sink::start().await;
    let stage = opened(&sink).await;
    for _ in 0..10 {
        paid(&stage).await;
    }
    let before = sink.count();
    stage.live(Duration::from_secs(3600)).await;
    // 30 s, 1 m, 2 m, 4 m, then every five minutes.
    let probes = sink.count() - before;
    assert!((12..=17).contains(&probes), "{probes} probes in an hour");
    for record in messages(&stage).await {
        let holds = told(&stage, record.message.event).await;
        let told = holds.iter().filter(|row| *row == "hold provider.open").count();
        assert!(told <= record.attempts.len() + 1, "{holds:?}");
    }
}

#[tokio::test]
async fn of_two_nodes_one_tries() {
    let sink = Sink::start().await;
    let one = opened(&sink).await;
    let hook = short_tempered(hook("hook", Some(sink.url("/"))).await);
    let other = one.beside(vec![("webhook", hook)]).await;
    for _ in 0..4 {
        let event = paid(&other).await;
        assert_eq!(told(&other, event).await, ["hold provider.open"], "it was told by the store");
    }
    sink.clear();
    one.clock.advance(Duration::from_secs(31));

    let mut work = deliver(&one, 2).await;
    work.extend(deliver(&other, 2).await);
    for (_, work) in work {
        work.await.expect("it ends");
    }

    assert_eq!(sink.count(), 4, "one probe for both");
    one.live(Duration::from_secs(120)).await;
    assert_eq!(count(&one, MessageStatus::Sent).await, 7);
}

#[tokio::test]
async fn a_dead_host_is_left_alone_and_the_others_are_not() {
    let (dead, alive) = sink_pair().await;
    dead.answer_always(Answer::status(500));
    let hook = short_tempered(hook("hook", None).await);
    let stage = staged(&[BY_OWN_HOOK], "webhook", vec![hook]).await;
    for _ in 0..6 {
        paid_with(&stage, json!({ "url": dead.url("/") })).await;
        paid_with(&stage, json!({ "url": alive.url("/") })).await;
    }
    assert_eq!((dead.count(), alive.count()), (3, 6));
    let [breaker] = &stage.store.breakers().await.expect("reads")[..] else { panic!("one") };
    assert_eq!((breaker.provider.as_str(), &breaker.host), ("hook", &dead.address.to_string()));
}

#[tokio::test]
async fn what_was_put_off_past_its_end_is_never_sent() {
    let sink = Sink::start().await;
    sink.answer_always(Answer::status(503));
    let file = BY_HOOK.1.replace("send: webhook", "send: webhook, expires: 20s");
    let hook = short_tempered(hook("hook", Some(sink.url("/"))).await);
    let stage = staged(&[(BY_HOOK.0, &file)], "webhook", vec![hook]).await;
    for _ in 0..3 {
        paid(&stage).await;
    }
    let held = paid(&stage).await;
    sink.clear();
    stage.live(Duration::from_secs(300)).await;
    assert_eq!(sink.count(), 3);
    assert_eq!(count(&stage, MessageStatus::Expired).await, 4);
    assert_eq!(told(&stage, held).await, ["hold provider.open", "drop expired"]);
}

/// Its worker died in the middle of the probe.
#[tokio::test]
async fn a_probe_that_is_not_heard_of_again_is_taken_by_another() {
    let sink = Sink::start().await;
    let stage = opened(&sink).await;
    sink.clear();
    stage.clock.advance(Duration::from_secs(31));
    let (now, until) = (stage.clock.now(), stage.clock.after(Duration::from_secs(15)));
    assert!(stage.store.take_probe(&"hook".into(), "", now, until).await.expect("answers"));
    paid(&stage).await;
    assert_eq!(sink.count(), 3, "another has it");
    stage.live(Duration::from_secs(120)).await;
    assert_eq!(count(&stage, MessageStatus::Sent).await, 4);
}

#[tokio::test]
async fn an_answer_that_is_no_failure_ends_the_row() {
    let sink = Sink::start().await;
    let stage = hooks(vec![short_tempered(hook("hook", Some(sink.url("/"))).await)]).await;
    for status in [500, 500, 400, 500, 500, 200] {
        sink.answer(Answer::status(status));
        paid(&stage).await;
    }
    assert_eq!(sink.count(), 6);
    assert!(stage.store.breakers().await.expect("reads").is_empty());
}

/// The fault is the plugin's: five within a minute, whatever else it did.
#[tokio::test]
async fn a_plugin_that_traps_is_quarantined() {
    let settings = setup(json!({ "url": "http://127.0.0.1:9/" }));
    let channel = provider(&host(Duration::from_secs(20)), &hostile(), settings).await;
    let trap = Installed { channel, ..hook("trap", None).await };
    let files = [
        (BY_OWN_HOOK.0, &*BY_OWN_HOOK.1.replace("send: webhook", "send: webhook, template: paid")),
        ("templates/paid/webhook.hbs", "panic"),
    ];
    let stage = staged(&files, "webhook", vec![trap]).await;
    for place in 0..7 {
        paid_with(&stage, json!({ "url": format!("http://host-{place}.example/") })).await;
    }
    let attempts: usize = messages(&stage).await.iter().map(|one| one.attempts.len()).sum();
    assert_eq!(attempts, 5);
    assert_eq!(stage.store.breakers().await.expect("reads")[0].code, "plugin.quarantined");
}

#[tokio::test]
async fn the_only_message_is_its_own_probe() {
    let sink = Sink::start().await;
    sink.answer_always(Answer::status(503));
    let breaker = Breaker { failures: 1, ..Breaker::default() };
    let hook = hook("hook", Some(sink.url("/"))).await;
    let stage = hooks(vec![Installed { breaker, ..hook }]).await;
    paid(&stage).await;
    sink.clear();
    stage.live(Duration::from_secs(70)).await;
    assert_eq!((sink.count(), only(&stage).await.message.status), (2, MessageStatus::Sent));
}

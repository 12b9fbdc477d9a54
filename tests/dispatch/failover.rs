use std::time::Duration;

use nuncio::config::OnUnknown;
use nuncio::dispatch::Installed;
use nuncio::model::{AttemptOutcome, MessageStatus};

use super::scene::{
    BY_HOOK, hook, hooks, mail, mails, only, paid, short_tempered, sink_pair, staged, told,
    with_rate,
};
use crate::harness::sink::Answer;
use crate::harness::smtp::{Act, Options, SmtpServer};

#[tokio::test]
async fn a_failure_leads_to_the_next_provider_at_once() {
    for status in [500, 503, 429] {
        let (first, second) = sink_pair().await;
        first.answer(Answer::status(status));
        let main = hook("main", Some(first.url("/"))).await;
        let backup = hook("backup", Some(second.url("/"))).await;
        let stage = hooks(vec![main, backup]).await;

        let event = paid(&stage).await;

        assert_eq!((first.count(), second.count()), (1, 1));
        let rows = told(&stage, event).await;
        let failed = if status == 429 { "send main rate_limited" } else { "send main retry" };
        let mut expected = [failed, "send backup accepted", "retry provider.failover"];
        expected.sort_unstable();
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "{rows:?}");
        let record = only(&stage).await;
        let tried: Vec<_> = record.attempts.iter().map(|one| (one.number, one.outcome)).collect();
        let first = if status == 429 { AttemptOutcome::RateLimited } else { AttemptOutcome::Retry };
        assert_eq!(tried, [(1, first), (2, AttemptOutcome::Accepted)]);
        assert_eq!(record.message.attempt - record.message.forgiven, 1, "one round of the budget");
        let ids: Vec<_> = second.by_id().into_keys().collect();
        assert_eq!(ids, [record.message.id.to_string()], "the same id at both");
    }
}

#[tokio::test]
async fn all_of_them_failing_is_one_round_of_the_schedule() {
    let (first, second) = sink_pair().await;
    first.answer_always(Answer::status(503));
    second.answer_always(Answer::status(503));
    let main = hook("main", Some(first.url("/"))).await;
    let backup = hook("backup", Some(second.url("/"))).await;
    let stage = hooks(vec![main, backup]).await;

    let event = paid(&stage).await;
    let waits = only(&stage).await.message.due_at.duration_since(stage.clock.now()).as_secs();
    assert!((54..=66).contains(&waits), "{waits}");
    stage.live(Duration::from_secs(120)).await;

    assert_eq!((first.count(), second.count()), (2, 2));
    let record = only(&stage).await;
    assert_eq!((record.message.status, record.attempts.len()), (MessageStatus::Failed, 4));
    let rows = told(&stage, event).await;
    assert_eq!(rows.last().map(String::as_str), Some("fail attempts.exhausted"), "{rows:?}");
}

#[tokio::test]
async fn a_step_names_its_own_order() {
    let (first, second) = sink_pair().await;
    let main = hook("main", Some(first.url("/"))).await;
    let backup = hook("backup", Some(second.url("/"))).await;
    let file = BY_HOOK.1.replace("send: webhook", "send: webhook, providers: [backup, main]");
    let stage = staged(&[(BY_HOOK.0, &file)], "webhook", vec![main, backup]).await;
    second.answer(Answer::status(500));

    paid(&stage).await;

    let record = only(&stage).await;
    let asked: Vec<_> = record.attempts.iter().map(|one| one.provider.as_str()).collect();
    assert_eq!(asked, ["backup", "main"]);
}

#[tokio::test]
async fn what_is_wrong_everywhere_is_not_asked_elsewhere() {
    let cases =
        [("550 5.1.1 unknown", "recipient.invalid"), ("552 5.3.4 too big", "provider.rejected")];
    for (place, (reply, code)) in cases.into_iter().enumerate() {
        let (one, other) = servers().await;
        one.on(if place == 0 { "RCPT" } else { "." }, Act::Say(reply));
        let stage = mails(vec![mail("smtp", &one).await, mail("backup", &other).await]).await;

        let event = paid(&stage).await;

        assert!(other.mails().is_empty());
        let record = only(&stage).await;
        assert_eq!((record.message.status, record.attempts.len()), (MessageStatus::Failed, 1));
        let rows = told(&stage, event).await;
        assert_eq!(rows.last(), Some(&format!("fail {code}")), "{rows:?}");
    }
}

/// The server takes the mail and says nothing: it may have been sent.
#[tokio::test]
async fn an_unknown_is_followed_only_where_a_repetition_does_no_harm() {
    for rule in [OnUnknown::Hold, OnUnknown::Retry] {
        let (one, other) = servers().await;
        one.on(".", Act::Close);
        let main = Installed { on_unknown: rule, ..mail("smtp", &one).await };
        let stage = mails(vec![main, mail("backup", &other).await]).await;

        paid(&stage).await;

        let record = only(&stage).await;
        let tried: Vec<_> = record.attempts.iter().map(|one| one.outcome).collect();
        match rule {
            OnUnknown::Hold => {
                assert_eq!(record.message.status, MessageStatus::Unknown);
                assert_eq!((tried, other.mails().len()), (vec![AttemptOutcome::Unknown], 0));
            }
            OnUnknown::Retry => {
                let expected = vec![AttemptOutcome::Unknown, AttemptOutcome::Accepted];
                assert_eq!((record.message.status, tried), (MessageStatus::Sent, expected));
                assert_eq!(other.mails().len(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_refused_account_pauses_its_provider_and_harms_no_message() {
    let (one, other) = servers().await;
    one.on("MAIL", Act::Say("530 5.7.0 log in first"));
    let stage = mails(vec![mail("smtp", &one).await, mail("backup", &other).await]).await;

    let first = paid(&stage).await;
    let second = paid(&stage).await;

    assert_eq!((one.mails().len(), other.mails().len()), (0, 2));
    assert!(told(&stage, first).await.contains(&"send smtp misconfigured".to_owned()));
    let mut rows = told(&stage, second).await;
    rows.sort_unstable();
    assert_eq!(rows, ["send backup accepted", "skip provider.failover"]);
    let [breaker] = &stage.store.breakers().await.expect("reads")[..] else { panic!("one") };
    assert_eq!((breaker.provider.as_str(), &*breaker.code), ("smtp", "provider.misconfigured"));
    stage.clock.advance(Duration::from_secs(300));
    paid(&stage).await;
    assert_eq!(one.mails().len(), 1, "it was tried once its time had come, and is well");
    assert!(stage.store.breakers().await.expect("reads").is_empty());
}

#[tokio::test]
async fn without_another_provider_a_refused_account_is_waited_for() {
    let (one, _) = servers().await;
    one.on("MAIL", Act::Say("530 5.7.0 log in first"));
    let stage = mails(vec![mail("smtp", &one).await]).await;
    let first = paid(&stage).await;
    let second = paid(&stage).await;
    assert_eq!(told(&stage, second).await, ["hold provider.misconfigured"]);

    // Mended, and started anew.
    let again = stage.beside(vec![("email", mail("smtp", &one).await)]).await;
    again.live(Duration::from_secs(600)).await;

    assert_eq!(one.mails().len(), 2);
    let rows = told(&stage, first).await;
    let expected =
        ["send smtp misconfigured", "retry provider.misconfigured", "send smtp accepted"];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_rate_used_up_for_long_leads_to_the_next_provider() {
    let (first, second) = sink_pair().await;
    let main = with_rate(hook("main", Some(first.url("/"))).await, "2/m");
    let backup = hook("backup", Some(second.url("/"))).await;
    let stage = hooks(vec![main, backup]).await;
    paid(&stage).await;
    let spilled = paid(&stage).await;
    assert_eq!((first.count(), second.count()), (1, 1));
    assert_eq!(told(&stage, spilled).await, ["skip provider.failover", "send backup accepted"]);
}

#[tokio::test]
async fn an_open_breaker_leads_to_the_next_provider() {
    let (first, second) = sink_pair().await;
    first.answer_always(Answer::status(503));
    let main = short_tempered(hook("main", Some(first.url("/"))).await);
    let backup = hook("backup", Some(second.url("/"))).await;
    let stage = hooks(vec![main, backup]).await;
    for _ in 0..5 {
        paid(&stage).await;
    }
    assert_eq!((first.count(), second.count()), (3, 5));
}

async fn servers() -> (SmtpServer, SmtpServer) {
    (SmtpServer::start(Options::default()).await, SmtpServer::start(Options::default()).await)
}

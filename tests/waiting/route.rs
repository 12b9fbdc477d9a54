//! `route`: one channel after another.

use std::time::Duration;

use nuncio::model::{MessageStatus, RunStatus, Verdict};
use nuncio::store::MessageQuery;
use serde_json::json;

use super::stage::{Stage, everywhere};

fn files(route: &'static str) -> [(&'static str, &'static str); 5] {
    [
        ("workflows/told.yaml", route),
        ("templates/told/in_app.hbs", "---\ntitle: 'A letter'\n---\nfrom {{data.from}}\n"),
        ("templates/told/push.hbs", "---\ntitle: 'x'\n---\nfrom {{data.from}}\n"),
        ("templates/told/sms.hbs", "from {{data.from}}\n"),
        ("templates/told/email.hbs", "---\nsubject: 'x'\n---\n<p>from {{data.from}}</p>\n"),
    ]
}

const ACCEPTED: &str = "workflow: told
on: letter.sent
category: message
recipients: [{ user: event.data.user }]
steps:
  - id: out
    route: { channels: [push, sms, email] }
    template: told
    data: { from: event.data.from }
  - if: steps.out.status == 'failed'
    set: { lost: 'true' }
";

const READ: &str = "workflow: told
on: letter.sent
category: message
recipients: [{ user: event.data.user }]
steps:
  - id: out
    route: { channels: [in_app, sms, email], success: read, within: 10m }
    template: told
    data: { from: event.data.from }
";

#[tokio::test]
async fn a_channel_that_cannot_is_followed_by_the_next_at_once() {
    everywhere(&files(ACCEPTED), |stage| async move {
        stage.user("42", true).await;
        let event = stage.emit("letter.sent", json!({"user": "42", "from": "Ada"})).await;
        // There is no device; a phone there is.
        assert_eq!(stage.left(), ["sms +33612345678"]);
        let step = stage.step(event, "out").await;
        assert_eq!(step, json!({"status": "done", "result": {"channel": "sms"}}));
        let codes = stage.codes(event, Verdict::Wait).await;
        assert_eq!(codes, ["route", "route", "route.succeeded"]);
        assert_eq!(stage.status(event).await, RunStatus::Finished);
    })
    .await;
}

#[tokio::test]
async fn when_none_succeeds_the_run_goes_on_and_knows_it() {
    everywhere(&files(ACCEPTED), |stage| async move {
        stage.user("42", true).await;
        // A template without its data is a dead letter on every channel.
        let event = stage.emit("letter.sent", json!({"user": "42"})).await;
        assert_eq!(stage.left(), Vec::<String>::new());
        assert_eq!(stage.step(event, "out").await, json!({"status": "failed"}));
        assert_eq!(stage.run(event).await.state["vars"]["lost"], true);
        assert_eq!(stage.status(event).await, RunStatus::Finished);
        let failed = stage.codes(event, Verdict::Fail).await;
        assert!(failed.contains(&"route.exhausted".to_owned()), "{failed:?}");
    })
    .await;
}

#[tokio::test]
async fn who_does_not_read_in_time_is_told_by_the_next() {
    everywhere(&files(READ), |stage| async move {
        for user in ["quick", "slow"] {
            stage.user(user, true).await;
        }
        let quick = stage.emit("letter.sent", json!({"user": "quick", "from": "Ada"})).await;
        let slow = stage.emit("letter.sent", json!({"user": "slow", "from": "Ada"})).await;
        stage.pass("9m").await;
        stage.read_all("quick").await;
        stage.settle().await;
        let step = stage.step(quick, "out").await;
        assert_eq!(step["result"]["channel"], "in_app");
        stage.pass("2m").await;
        assert_eq!(stage.left(), ["sms +33612345678"]);
        // Reading it late still counts for the channel that is being tried.
        stage.read_all("slow").await;
        stage.settle().await;
        assert_eq!(stage.step(slow, "out").await["status"], "done");
        stage.pass("1h").await;
        assert_eq!(stage.left().len(), 1);
    })
    .await;
}

async fn statuses(stage: &Stage) -> Vec<(String, MessageStatus)> {
    let query = MessageQuery { limit: 10, ..MessageQuery::default() };
    let records = stage.store.messages(&query).await.expect("the store answers");
    let of = |record: nuncio::store::MessageRecord| {
        (record.message.channel.to_string(), record.message.status)
    };
    let mut all: Vec<_> = records.into_iter().map(of).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

#[tokio::test]
async fn a_message_that_has_not_left_is_called_back_before_the_next() {
    let route = "workflow: told
on: letter.sent
category: message
recipients: [{ user: event.data.user }]
steps:
  - id: out
    route: { channels: [sms, email], success: delivered }
    template: told
    data: { from: event.data.from }
";
    everywhere(&files(route), |stage| async move {
        stage.user("42", true).await;
        let data = json!({"user": "42", "from": "Ada"});
        let event = stage.accept(vec![json!({"name": "letter.sent", "data": data})]).await[0];
        // Nothing leaves for the five minutes that there are by default.
        stage.clock.set(stage.clock.after(Duration::from_secs(5 * 60)));
        stage.settle_runs().await;
        let expected = [
            ("email".to_owned(), MessageStatus::Pending),
            ("sms".to_owned(), MessageStatus::Cancelled),
        ];
        assert_eq!(statuses(&stage).await, expected);
        stage.settle().await;
        assert_eq!(stage.left(), ["email 42@example.org"]);
        assert_eq!(stage.step(event, "out").await["result"]["channel"], "email");
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_leaving_is_waited_for() {
    let route = "workflow: told
on: letter.sent
category: message
recipients: [{ user: event.data.user }]
steps:
  - id: out
    route: { channels: [sms, email], within: 1m }
    template: told
    data: { from: event.data.from }
";
    everywhere(&files(route), |stage| async move {
        stage.user("42", true).await;
        let data = json!({"user": "42", "from": "Ada"});
        let event = stage.accept(vec![json!({"name": "letter.sent", "data": data})]).await[0];
        let claim = nuncio::store::Claim {
            now: stage.clock.now(),
            until: stage.clock.after(Duration::from_secs(3600)),
            limit: 1,
        };
        let due = stage.store.claim_messages(claim).await.expect("claims").remove(0);
        let departure = nuncio::store::Departure {
            message: due.message.id,
            fence: due.fence,
            provider: "capture".into(),
            at: stage.clock.now(),
            once: None,
            spend: None,
        };
        assert_eq!(
            stage.store.depart(vec![departure]).await.expect("departs"),
            [nuncio::store::Departed::Left]
        );
        // In the rough scene every lease ends at once, this one too.
        if stage.rough {
            return;
        }
        stage.clock.set(stage.clock.after(Duration::from_secs(61)));
        stage.settle_runs().await;
        assert_eq!(statuses(&stage).await, [("sms".to_owned(), MessageStatus::Sending)]);
        let settlement = nuncio::store::Settlement {
            message: due.message.id,
            fence: due.fence,
            status: MessageStatus::Sent,
            due_at: None,
            attempt: None,
            entry: None,
            decisions: Vec::new(),
            code: None,
            held: None,
            expected: None,
        };
        stage.store.settle(vec![settlement]).await.expect("settles");
        stage.settle_runs().await;
        assert_eq!(stage.step(event, "out").await["result"]["channel"], "sms");
        assert_eq!(stage.left(), Vec::<String>::new());
    })
    .await;
}

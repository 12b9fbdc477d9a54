//! `wait_for` a state of a message.

use nuncio::model::{RunStatus, UserId};
use serde_json::json;

use super::stage::everywhere;

const ESCALATION: [(&str, &str); 3] = [
    (
        "workflows/told.yaml",
        "workflow: told
on: letter.sent
category: message
recipients: [{ user: event.data.user }]
steps:
  - id: first
    send: in_app
    template: told
  - id: seen
    wait_for: { message: { step: first, state: read }, timeout: 15m, on_match: stop }
  - send: sms
    template: told
",
    ),
    ("templates/told/in_app.hbs", "---\ntitle: 'A letter'\n---\nfrom {{event.data.from}}\n"),
    ("templates/told/sms.hbs", "A letter from {{event.data.from}}\n"),
];

#[tokio::test]
async fn who_reads_in_time_is_not_told_again() {
    everywhere(&ESCALATION, |stage| async move {
        let users = ["one", "all", "many", "never"];
        let mut events = Vec::new();
        for user in users {
            stage.user(user, true).await;
            let data = json!({"user": user, "from": "Ada"});
            events.push(stage.emit("letter.sent", data).await);
        }
        stage.pass("10m").await;
        let entry = |place: usize| {
            let run = stage.run(events[place]);
            async move { run.await.id }
        };
        let (now, id) = (stage.clock.now(), |user: &str| UserId::from(user));
        let marked = stage.store.mark(&id("one"), entry(0).await, Some(now)).await;
        assert!(marked.expect("the store answers").is_some());
        stage.read_all("all").await;
        let many = [entry(2).await];
        stage.store.mark_many(&id("many"), &many, now).await.expect("the store answers");
        stage.settle().await;
        for (place, user) in users.iter().enumerate() {
            let over = stage.status(events[place]).await == RunStatus::Finished;
            assert_eq!(over, *user != "never", "{user}");
        }
        stage.pass("10m").await;
        assert_eq!(stage.left().len(), 1);
        assert_eq!(stage.step(events[3], "seen").await["status"], "timed_out");
        assert_eq!(stage.step(events[0], "seen").await["status"], "matched");
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_delivered_ends_the_wait_at_once() {
    let files = [
        (
            "workflows/told.yaml",
            "workflow: told
on: letter.sent
category: message
recipients: [{ user: event.data.user }]
steps:
  - id: first
    send: sms
    template: told
  - id: gone
    wait_for: { message: { step: first }, timeout: 1h }
  # It is in the inbox by the write that begins the wait.
  - id: second
    send: in_app
    template: told
  - id: there
    wait_for: { message: { step: second, state: delivered }, timeout: 1h, on_timeout: stop }
  - send: email
    template: told
",
        ),
        ESCALATION[1],
        ESCALATION[2],
        ("templates/told/email.hbs", "---\nsubject: 'x'\n---\n<p>x</p>\n"),
    ];
    everywhere(&files, |stage| async move {
        stage.user("42", true).await;
        stage.user("mute", false).await;
        let event = stage.emit("letter.sent", json!({"user": "42", "from": "Ada"})).await;
        assert_eq!(stage.status(event).await, RunStatus::Finished);
        assert_eq!(stage.left(), ["sms +33612345678", "email 42@example.org"]);
        // A message that was dropped is never delivered.
        stage.clear();
        let event = stage.emit("letter.sent", json!({"user": "mute", "from": "Ada"})).await;
        assert_eq!(stage.status(event).await, RunStatus::Waiting);
        stage.pass("1h").await;
        assert_eq!(stage.step(event, "gone").await["status"], "timed_out");
        assert_eq!(stage.left(), ["email mute@example.org"]);
    })
    .await;
}

#[tokio::test]
async fn inside_a_loop_the_message_of_this_round_is_meant() {
    let files = [
        (
            "workflows/told.yaml",
            "workflow: told
on: letter.sent
category: message
recipients: [{ user: event.data.user }]
steps:
  - schedule: { after: event.at, by: [1h, 2h] }
    steps:
      - id: first
        send: sms
        template: told
      - id: gone
        wait_for: { message: { step: first }, timeout: 10m }
",
        ),
        ESCALATION[2],
    ];
    everywhere(&files, |stage| async move {
        stage.user("42", true).await;
        let event = stage.emit("letter.sent", json!({"user": "42", "from": "Ada"})).await;
        stage.pass("1h").await;
        assert_eq!(stage.step(event, "gone").await["status"], "matched");
        // In the second round no message leaves: the first round's does not count.
        stage.clock.set(stage.clock.after(std::time::Duration::from_secs(3600)));
        stage.settle_runs().await;
        stage.clock.set(stage.clock.after(std::time::Duration::from_secs(600)));
        stage.settle_runs().await;
        assert_eq!(stage.step(event, "gone").await["status"], "timed_out");
    })
    .await;
}

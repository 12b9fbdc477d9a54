use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::node::Installation;

const NOTICE: &str = "workflow: notice
on: notice.posted
category: system
recipients:
  - topic: '\"board:\" + event.data.board'
  - user: event.data.author
steps:
  - send: in_app
    template: notice
  - delay: { for: 200ms }
  - branch:
      - if: event.data.urgent
        steps:
          - send: sms
            template: notice
      - else:
          - send: email
            template: notice
";

fn board() -> Installation {
    Installation::empty()
        .file("workflows/notice.yaml", NOTICE)
        .file("templates/notice/in_app.hbs", "---\ntitle: 'Notice'\n---\n{{event.data.text}}\n")
        .file("templates/notice/sms.hbs", "Urgent: {{event.data.text}}\n")
        .file(
            "templates/notice/email.hbs",
            "---\nsubject: 'Notice'\n---\n<p>{{event.data.text}}</p>\n",
        )
}

#[tokio::test]
async fn a_topic_reaches_its_subscribers_after_the_delay_by_the_branch() {
    let node = board().dev().await;
    for (id, phone) in [("ann", "+33612345678"), ("ben", "+33612345679"), ("cem", "+33612345670")] {
        let user = json!({"email": format!("{id}@example.org"), "phone": phone});
        node.put_user(id, user).await;
    }
    for id in ["ann", "ben"] {
        let (status, _) =
            node.call("PUT", &format!("/v1/topics/board:7/subscribers/{id}"), None).await;
        assert_eq!(status, 201);
    }
    let (mut socket, _) = node.connect("ann").await;
    let notice = |urgent: bool, author: &str| json!({"board": "7", "urgent": urgent, "author": author, "text": "<Lift> out of order"});

    let urgent = node.emit("notice.posted", notice(true, "ann")).await;

    assert_eq!(socket.frame().await["data"]["message"], "<Lift> out of order");
    let held = node.outbox(2).await;
    let texts: BTreeSet<_> = held.iter().map(|one| one["to"].as_str().expect("text")).collect();
    assert_eq!(texts, BTreeSet::from(["+33612345678", "+33612345679"]), "each once");
    assert!(held.iter().all(|one| one["channel"] == "sms"), "{held:#?}");
    assert_eq!(held[0]["body"].as_str().expect("text").trim(), "Urgent: <Lift> out of order");
    let rows = node.explained(&urgent, |rows| rows.iter().filter(sent).count() == 4).await;
    for user in ["ann", "ben"] {
        let at = |channel: &str| -> jiff::Timestamp {
            let row = super::row(&rows, user, channel).expect("a row");
            row["at"].as_str().expect("text").parse().expect("a moment")
        };
        let waited = at("sms").duration_since(at("in_app"));
        assert!(waited.as_millis() >= 200, "{waited:?}");
    }

    node.call("DELETE", "/dev/outbox", None).await;
    node.emit("notice.posted", notice(false, "cem")).await;
    let held = node.outbox(3).await;
    assert_eq!(held.len(), 3);
    assert!(held.iter().all(|one| one["channel"] == "email"), "{held:#?}");
    assert!(held[0]["html"].as_str().expect("HTML").contains("<p>&lt;Lift&gt; out of order</p>"));
}

#[tokio::test]
async fn a_delay_outlives_a_restart() {
    let installation = board();
    let node = installation.dev().await;
    node.put_user("ann", json!({"phone": "+33612345678"})).await;
    let data = json!({"board": "7", "urgent": true, "author": "ann", "text": "Fire drill"});
    node.emit("notice.posted", data).await;
    node.kill().await;

    let node = installation.dev().await;

    assert_eq!(node.outbox(1).await[0]["to"], "+33612345678");
}

fn sent(row: &&Value) -> bool {
    row["decision"] == "send"
}

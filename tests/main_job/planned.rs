use serde_json::{Value, json};

use crate::harness::node::Installation;

const VISIT: &str = "workflow: visit
on: visit.planned
key: event.data.visit
recipients: {user: event.data.user}
steps:
  - schedule:
      before: event.data.at
      by: [24h, 2h]
    steps:
      - send: email
        template: visit
";

#[tokio::test]
async fn what_is_planned_is_shown_and_stopped_at_once() {
    let installation = Installation::empty()
        .file("workflows/visit.yaml", VISIT)
        .file("templates/visit/email.hbs", "---\nsubject: 'Soon'\n---\n<p>Soon.</p>\n");
    let node = installation.dev().await;
    node.put_user("ann", json!({"email": "ann@example.org"})).await;
    let at = jiff::Timestamp::from_second(4_000_000_000).expect("a moment far ahead");
    let data = |visit: &str| json!({"visit": visit, "user": "ann", "at": at.to_string()});
    let event = node.emit("visit.planned", data("v-1")).await;
    node.emit("visit.planned", data("v-2")).await;

    let (status, page) = node.call("GET", "/v1/calendar?user=ann&limit=1", None).await;
    assert_eq!(status, 200, "{page}");
    let line = &page["results"][0];
    assert_eq!((&line["kind"], &line["workflow"]), (&json!("run"), &json!("visit")));
    assert_eq!(line["at"], "2096-10-01T07:06:40Z");
    assert_eq!(line["later"], json!(["2096-10-02T05:06:40Z"]));
    let next = page["next"].as_str().expect("there is another page");
    let (_, page) = node.call("GET", &format!("/v1/calendar?limit=5&after={next}"), None).await;
    assert_eq!(page["results"].as_array().map(Vec::len), Some(1), "{page}");

    let order = json!({"workflow": "visit", "key": "v-1"});
    let (status, stopped) = node.call("POST", "/v1/runs/cancel", Some(order.clone())).await;
    assert_eq!(status, 200, "{stopped}");
    assert_eq!(stopped["runs"].as_array().map(Vec::len), Some(1), "{stopped}");
    let (_, again) = node.call("POST", "/v1/runs/cancel", Some(order)).await;
    assert_eq!(again["runs"], json!([]));
    let cancelled = |rows: &[Value]| rows.iter().any(|row| row["code"] == "cancelled");
    node.explained(&event, cancelled).await;
    let (_, page) = node.call("GET", "/v1/calendar?user=ann", None).await;
    assert_eq!(page["results"].as_array().map(Vec::len), Some(1), "{page}");

    for (order, pointer) in [(json!({}), "/key"), (json!({"key": "a", "flow": 1}), "/flow")] {
        let (status, problem) = node.call("POST", "/v1/runs/cancel", Some(order)).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (400, &json!(pointer)));
    }
}

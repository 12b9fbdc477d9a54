use serde_json::{Value, json};

use super::shop;
use crate::harness::node::Node;

async fn posted(node: &Node, body: String) -> (u16, Value) {
    node.send("POST", "/v1/events", &node.api_key, Some(body)).await
}

#[tokio::test]
async fn what_is_no_event_is_refused_with_its_place() {
    let installation = shop().file("nuncio.toml", "[engine]\nstrict_events = true\n");
    let node = installation.dev().await;
    node.put_user("ann", json!({"email": "ann@example.org"})).await;
    let event = |data: Value| json!({"name": "order.placed", "data": data});

    let (status, problem) = posted(&node, "{\"name\": ".into()).await;
    assert_eq!((status, &problem["code"]), (400, &json!("body.not_json")));
    let (status, problem) = posted(&node, json!({"name": 7, "dta": {}}).to_string()).await;
    assert_eq!((status, &problem["code"]), (400, &json!("event.shape")));
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    assert!(pointers.contains(&"/name") && pointers.contains(&"/dta"), "{problem}");
    let (status, problem) = posted(&node, event(json!({})).to_string()).await;
    assert_eq!((status, &problem["code"]), (400, &json!("event.schema")));
    assert_eq!(problem["errors"][0]["pointer"], "/data");
    let unknown = json!({"name": "order.plcaed", "data": {}});
    let (status, problem) = posted(&node, unknown.to_string()).await;
    assert_eq!((status, &problem["code"]), (400, &json!("event.unknown")));
    assert!(problem["detail"].as_str().expect("text").contains("order.plcaed"), "{problem}");

    let large = event(json!({"customer": "ann", "note": "x".repeat(257 << 10)}));
    let (status, problem) = posted(&node, large.to_string()).await;
    assert_eq!(
        (status, &problem["status"], &problem["code"]),
        (413, &json!(413), &json!("event.too_large"))
    );
    let larger = event(json!({"customer": "ann", "note": "x".repeat(3 << 20)}));
    let (status, problem) = posted(&node, larger.to_string()).await;
    assert_eq!((status, &problem["code"]), (413, &json!("body.too_large")));
    let many = vec![event(json!({"customer": "ann"})); 1001];
    let (status, problem) = posted(&node, Value::from(many).to_string()).await;
    assert_eq!((status, &problem["code"]), (413, &json!("body.too_large")));
    assert_eq!(
        node.call("GET", "/dev/outbox", None).await.1,
        json!([]),
        "none of them did a thing"
    );

    // In a list, the others are taken.
    let list = json!([event(json!({"customer": "ann"})), unknown, 7]);
    let (status, answers) = posted(&node, list.to_string()).await;
    assert_eq!(status, 207, "{answers}");
    assert_eq!(answers[0]["status"], "accepted");
    assert!(answers[1].to_string().contains("event.unknown"), "{answers}");
    assert!(answers[2].to_string().contains("event.shape"), "{answers}");
    assert_eq!(node.outbox(1).await.len(), 1);
}

#[tokio::test]
async fn an_unknown_user_is_in_the_record() {
    let node = shop().dev().await;

    let event = node.emit("order.placed", json!({"customer": "nobody"})).await;

    let rows = node.explained(&event, |rows| !rows.is_empty()).await;
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(
        (&rows[0]["code"], &rows[0]["decision"]),
        (&json!("recipient.unknown"), &json!("skip"))
    );
    assert_eq!(rows[0]["recipient"], "nobody");
    assert!(rows[0]["rule"].as_str().expect("a place").starts_with("workflows/order.yaml:"));
}

#[tokio::test]
async fn a_template_that_fails_says_where_and_the_others_go_out() {
    let broken = "---\nsubject: 'Order'\n---\n<p>\n{{date event.data.when}}</p>\n";
    let installation = shop().file("templates/order/email.hbs", broken);
    let node = installation.dev().await;
    node.put_user("ann", json!({"email": "ann@example.org"})).await;
    let (mut socket, _) = node.connect("ann").await;

    let bad = node.emit("order.placed", json!({"customer": "ann", "when": "soon"})).await;
    let good = json!({"customer": "ann", "when": "2027-01-15T09:30:00Z"});
    let good = node.emit("order.placed", good).await;

    for _ in 0..2 {
        assert_eq!(socket.frame().await["type"], "new_notification");
    }
    let failed = |rows: &[Value]| rows.iter().any(|row| row["code"] == "render.failed");
    let rows = node.explained(&bad, failed).await;
    let row = rows.iter().find(|row| row["code"] == "render.failed").expect("a row");
    assert_eq!((&row["decision"], &row["channel"]), (&json!("fail"), &json!("email")));
    assert_eq!(row["rule"], "templates/order/email.hbs:5");
    let reason = row["reason"].as_str().expect("text");
    assert!(reason.contains("templates/order/email.hbs:5:1: "), "{reason}");
    let sent = |rows: &[Value]| rows.iter().filter(|row| row["decision"] == "send").count() == 2;
    node.explained(&good, sent).await;
    assert_eq!(node.outbox(1).await.len(), 1);
}

#[tokio::test]
async fn a_workflow_that_fails_stops_itself_alone() {
    let failing = "workflow: failing
on: order.placed
category: system
recipients:
  - user: event.data.customer
steps:
  - delay: { until: event.data.absent }
  - send: email
    template: order
";
    let node = shop().file("workflows/failing.yaml", failing).dev().await;
    node.put_user("ann", json!({"email": "ann@example.org"})).await;

    let event = node.emit("order.placed", json!({"customer": "ann"})).await;

    let ended = |rows: &[Value]| {
        rows.iter().any(|row| row["code"] == "expression.failed")
            && rows.iter().filter(|row| row["decision"] == "send").count() == 2
    };
    let rows = node.explained(&event, ended).await;
    let row = rows.iter().find(|row| row["code"] == "expression.failed").expect("a row");
    assert_eq!(row["workflow"], "failing");
    assert!(
        row["rule"].as_str().expect("a place").starts_with("workflows/failing.yaml:7"),
        "{row}"
    );
}

#[tokio::test]
async fn no_key_and_no_token_open_nothing() {
    let node = shop().dev().await;
    let (status, problem) = node.send("POST", "/v1/events", "nonsense", Some("{}".into())).await;
    assert_eq!((status, &problem["code"]), (401, &json!("unauthenticated")));
    let (status, refused) = node.send("GET", "/api/notifications/", "nonsense", None).await;
    assert_eq!((status, &refused["error"]["code"]), (401, &json!("UNAUTHENTICATED")));
    let (status, refused) = node.send("GET", "/ws/notifications/ann/", "nonsense", None).await;
    assert!(status == 401 || status == 400 || status == 426, "{status}: {refused}");
}

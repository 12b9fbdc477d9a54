use serde_json::{Value, json};

use super::cluster::Cluster;

#[tokio::test]
async fn nodes_may_share_the_work_by_role() {
    let cluster = Cluster::found().await;
    let (api, worker, relay) =
        tokio::join!(cluster.node_as("api"), cluster.node_as("worker"), cluster.node_as("relay"));
    cluster.person(&api).await;
    let (mut phone, _) = relay.connect("42").await;

    let event = api.emit("order.placed", json!({"user_id": 42, "n": 7})).await;

    let frame = phone.frame().await;
    assert_eq!(
        (&frame["type"], &frame["data"]["message"]),
        (&json!("new_notification"), &json!("7"))
    );
    cluster.sink.reached(1).await;
    let sent = |rows: &[Value]| rows.iter().filter(|row| row["decision"] == "send").count() == 2;
    api.explained(&event, sent).await;
    assert_eq!(cluster.each_once(), 1);
    for (node, serves) in [(&api, "api"), (&worker, "worker"), (&relay, "relay")] {
        let (ready, answer) = node.call("GET", "/readyz", None).await;
        assert_eq!((ready, &answer["status"]), (200, &json!("ok")), "{serves}");
        let (status, _) = node.call("GET", "/v1/workflows", None).await;
        assert_eq!(status, if serves == "api" { 200 } else { 404 }, "{serves}");
        let (status, _) = node.call("GET", "/ws/notifications/42/", None).await;
        assert_eq!(status == 404, serves != "relay", "{serves}: {status}");
    }
}

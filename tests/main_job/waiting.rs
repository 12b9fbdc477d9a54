use serde_json::{Value, json};

use crate::harness::node::Installation;

const SHIPMENT: &str = "workflow: shipment
on: parcel.sent
category: system
key: event.data.parcel
recipients: [{ user: event.data.to }]
steps:
  - publish:
      topic: '\"parcel_\" + event.data.parcel'
      type: parcel_update
      template: shipment
  - id: arrived
    wait_for: { event: parcel.arrived, timeout: 1h, on_timeout: stop }
  - route: { channels: [push, sms] }
    template: shipment
    data: { at: steps.arrived.result.event.data.at }
";

fn post() -> Installation {
    Installation::empty()
        .file("workflows/shipment.yaml", SHIPMENT)
        .file(
            "workflows/routes.yaml",
            "- path: /ws/parcels/{parcel}/{user_id}/\n  topics: parcel_{parcel}\n  who: token.sub == user_id\n",
        )
        .file("templates/shipment/relay.hbs", "{\"message\": \"{{event.data.parcel}} is sent\"}\n")
        .file("templates/shipment/push.hbs", "at {{data.at}}\n")
        .file("templates/shipment/sms.hbs", "Arrived at {{data.at}}\n")
}

#[tokio::test]
async fn a_wait_outlives_the_process_and_the_route_finds_the_phone() {
    let installation = post();
    let node = installation.dev().await;
    node.put_user("ann", json!({"phone": "+33612345678"})).await;
    let (mut socket, first) = node.join("/ws/parcels/p7/ann/", "ann").await;
    assert_eq!(first["data"]["seq"], 0);
    let event = node.emit("parcel.sent", json!({"parcel": "p7", "to": "ann"})).await;
    let frame = socket.frame().await;
    let expected = json!({"type": "parcel_update", "seq": 1, "data": {"message": "p7 is sent"}});
    assert_eq!(frame, expected);
    let waits = |rows: &[Value]| rows.iter().any(|row| row["code"] == "wait_for");
    node.explained(&event, waits).await;
    node.kill().await;

    let node = installation.dev().await;
    node.emit("parcel.arrived", json!({"parcel": "p8", "at": "the door"})).await;
    node.emit("parcel.arrived", json!({"parcel": "p7", "at": "the gate"})).await;
    let held = node.outbox(1).await;
    assert_eq!((&held[0]["to"], &held[0]["channel"]), (&json!("+33612345678"), &json!("sms")));
    assert_eq!(held[0]["body"].as_str().expect("text").trim(), "Arrived at the gate");
    // What was published before the crash is still there for who resumes.
    let (mut socket, first) = node.join("/ws/parcels/p7/ann/", "ann").await;
    socket.send(json!({"type": "resume", "epoch": first["data"]["epoch"], "seq": 0})).await;
    assert_eq!(socket.frame().await, expected);
}

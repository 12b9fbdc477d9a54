use serde_json::{Value, json};

use super::{Clinic, for_the_patient};

#[tokio::test]
async fn the_same_key_is_one_event() {
    let clinic = Clinic::open().await;
    let node = clinic.node().await;
    let event = json!({
        "name": "appointment.booked", "data": for_the_patient(), "idempotency_key": "a-1001",
    });

    let (status, first) = node.call("POST", "/v1/events", Some(event.clone())).await;
    assert_eq!((status, &first["status"]), (202, &json!("accepted")));
    let (status, second) = node.call("POST", "/v1/events", Some(event.clone())).await;
    assert_eq!((status, &second["status"]), (202, &json!("duplicate")));
    assert_eq!(first["id"], second["id"]);
    let mut other = event.clone();
    other["data"]["location"] = json!("Room 13");
    let (status, conflict) = node.call("POST", "/v1/events", Some(other.clone())).await;
    assert_eq!((status, &conflict["code"]), (409, &json!("event.conflict")));

    // In a list, each has its own answer.
    other["idempotency_key"] = json!("a-1002");
    let (status, list) = node.call("POST", "/v1/events", Some(json!([event, other]))).await;
    assert_eq!(status, 202, "{list}");
    let states: Vec<&Value> = (0..2).map(|at| &list[at]["status"]).collect();
    assert_eq!(states, ["duplicate", "accepted"]);
    clinic.smtp.reached(2).await;
    let id = list[1]["id"].as_str().expect("an id");
    let sent = |rows: &[Value]| rows.iter().filter(|row| row["decision"] == "send").count() == 3;
    node.explained(id, sent).await;
    node.explained(first["id"].as_str().expect("an id"), sent).await;
    assert_eq!((clinic.smtp.mails().len(), clinic.sink.count()), (2, 2));

    let data = for_the_patient().to_string();
    let emit = ["emit", "appointment.booked", "--data", &data, "--key", "a-1001"];
    let again = node.command(&emit).await;
    let expected = format!("{} duplicate", first["id"].as_str().expect("an id"));
    assert_eq!(again.stdout.trim(), expected);
    let other = ["emit", "appointment.requested", "--data", &data, "--key", "a-1001"];
    let refused = node.command(&other).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("event.conflict"), "{}", refused.stderr);
}

use std::time::Duration;

use serde_json::{Value, json};

use super::code;
use crate::server::{Server, answer};

const DEVICES: &str = "/api/notifications/devices/";

async fn post(server: &Server, user: &str, body: Value) -> (u16, Value) {
    answer(server.user(user, "POST", DEVICES).json(&body)).await
}

fn phone() -> Value {
    json!({"device_token": "abcdefgh-1234", "device_type": "ios", "device_name": "Ada's phone",
        "app_version": "1.2"})
}

async fn results(request: reqwest::RequestBuilder) -> Vec<Value> {
    let (status, list) = answer(request).await;
    assert_eq!(status, 200, "{list}");
    assert_eq!(list.as_object().map(serde_json::Map::len), Some(1));
    list["results"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_device_is_registered_once_and_updated_by_the_same_token() {
    let server = Server::start().await;
    let (status, device) = post(&server, "42", phone()).await;
    let expected = json!({
        "id": 1, "device_token": "1234", "device_type": "ios", "device_name": "Ada's phone",
        "app_version": "1.2", "is_active": true, "created_at": "2026-01-01T12:00:00Z",
        "updated_at": "2026-01-01T12:00:00Z", "last_used_at": null,
    });
    assert_eq!((status, &device), (201, &expected));
    server.clock.advance(Duration::from_secs(60));
    let again = json!({"device_token": "abcdefgh-1234", "device_type": "android"});
    let (status, device) = post(&server, "42", again).await;
    let expected = json!({
        "id": 1, "device_token": "1234", "device_type": "android", "device_name": "Ada's phone",
        "app_version": "1.2", "is_active": true, "created_at": "2026-01-01T12:00:00Z",
        "updated_at": "2026-01-01T12:01:00Z", "last_used_at": null,
    });
    assert_eq!((status, &device), (200, &expected));
    assert_eq!(results(server.user("42", "GET", DEVICES)).await, [expected]);
}

#[tokio::test]
async fn what_is_no_device_is_refused_with_its_field() {
    let server = Server::start().await;
    let token = |token: Value| json!({"device_token": token, "device_type": "web"});
    let kind = |kind: Value| json!({"device_token": "abcdefgh", "device_type": kind});
    let long = "x".repeat(4097);
    for (body, field) in [
        (json!({"device_type": "web"}), "device_token"),
        (token(json!("")), "device_token"),
        (token(json!("two words")), "device_token"),
        (token(json!("  ")), "device_token"),
        (token(json!("tëst-token")), "device_token"),
        (token(json!(long)), "device_token"),
        (token(json!(null)), "device_token"),
        (token(json!(7)), "device_token"),
        (json!({"device_token": "abcdefgh"}), "device_type"),
        (kind(json!("fridge")), "device_type"),
        (kind(json!(1)), "device_type"),
        (
            json!({"device_token": "abcdefgh", "device_type": "web", "device_name": 1}),
            "device_name",
        ),
    ] {
        let refused = post(&server, "42", body.clone()).await;
        assert!(!refused.1.to_string().contains("two words"), "a token is not told");
        assert_eq!(code(refused), (400, "NOTIF_003".into(), json!(field)), "{body}");
    }
    assert_eq!(code(post(&server, "42", json!([])).await), (400, "INVALID".into(), json!("")));
    assert!(results(server.user("42", "GET", DEVICES)).await.is_empty());
    let (status, short) = post(&server, "42", token(json!("abcd"))).await;
    assert_eq!((status, &short["device_token"]), (201, &json!("")), "no token is shown whole");
}

#[tokio::test]
async fn a_device_is_changed_and_removed_by_its_user_alone() {
    let server = Server::start().await;
    let (_, device) = post(&server, "42", phone()).await;
    let path = format!("{DEVICES}{}/", device["id"]);
    let change = json!({"is_active": false, "device_name": null, "app_version": "1.3"});
    let missing = (404, "NOTIF_001".to_owned(), Value::Null);
    for other in [server.user("43", "PATCH", &path), server.admin("PATCH", &path)] {
        assert_eq!(code(answer(other.json(&change)).await), missing);
    }
    assert_eq!(code(answer(server.user("43", "DELETE", &path)).await), missing);
    for none in ["99", "x", "-1"] {
        let path = format!("{DEVICES}{none}/");
        assert_eq!(code(answer(server.user("42", "PATCH", &path).json(&change)).await), missing);
    }
    let patch = |body: Value| answer(server.user("42", "PATCH", &path).json(&body));
    let (status, changed) = patch(change.clone()).await;
    assert_eq!(status, 200, "{changed}");
    for (field, value) in change.as_object().expect("an object") {
        assert_eq!(changed[field], *value);
    }
    for wrong in ["is_active", "device_name", "app_version"] {
        assert_eq!(code(patch(json!({wrong: 1})).await), (400, "INVALID".into(), json!(wrong)));
    }
    assert_eq!(patch(json!({})).await.1["app_version"], "1.3");
    assert_eq!(answer(server.user("42", "DELETE", &path)).await.0, 204);
    assert_eq!(code(answer(server.user("42", "DELETE", &path)).await), missing);
}

#[tokio::test]
async fn an_admin_lists_all_devices_and_a_user_their_own() {
    let server = Server::start().await;
    post(&server, "42", phone()).await;
    post(&server, "43", json!({"device_token": "another-token", "device_type": "web"})).await;
    let ids = async |request| {
        let results = results(request).await;
        results.iter().map(|device| device["id"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(ids(server.user("42", "GET", DEVICES)).await, [Some(1)]);
    assert_eq!(ids(server.admin("GET", DEVICES)).await, [Some(1), Some(2)]);
    assert_eq!(ids(server.admin("GET", &format!("{DEVICES}?user_id=43"))).await, [Some(2)]);
    let others = answer(server.user("42", "GET", &format!("{DEVICES}?user_id=43"))).await;
    assert_eq!(others.0, 404);
    assert_eq!(answer(server.machine("DELETE", "/v1/users/43")).await.0, 404, "never stored");
    server.put_user("43", json!({})).await;
    assert_eq!(answer(server.machine("DELETE", "/v1/users/43")).await.0, 204);
    assert_eq!(ids(server.admin("GET", DEVICES)).await, [Some(1)]);
}

//! The service API: who may call, events, and what goes wrong (docs/reference/api.md).

mod events;
mod letters;
mod lists;
mod users;

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::server::{Server, answer, body};

/// Every operation of the OpenAPI document: method, path with its parameters filled, and whether
/// it needs credentials.
async fn operations(server: &Server) -> Vec<(String, String, bool)> {
    let (status, document) = answer(server.anonymous("GET", "/openapi.json")).await;
    assert_eq!(status, 200);
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("there are paths") {
        for (method, operation) in item.as_object().expect("a path has operations") {
            let needs = operation["security"][0].as_object().is_some_and(|one| !one.is_empty());
            let path = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            operations.push((method.to_uppercase(), path, needs));
        }
    }
    operations
}

#[tokio::test]
async fn nothing_is_served_without_credentials_but_what_is_meant_to_be() {
    let server = Server::start().await;
    let powerless = server.key(&[]).await;
    let operations = operations(&server).await;
    assert!(operations.len() > 30, "{operations:?}");
    for (method, path, needs) in operations {
        let response = server.anonymous(&method, &path).send().await.expect("the server answers");
        let open = !needs || path == "/metrics";
        assert_eq!(response.status() == 401, !open, "{method} {path}: {}", response.status());
        if open {
            continue;
        }
        assert!(response.headers().contains_key("www-authenticate"), "{method} {path}");
        let inbox = path.starts_with("/api/");
        let kind = if inbox { "application/json" } else { "application/problem+json" };
        assert_eq!(response.headers()["content-type"], kind);
        let request = server.anonymous(&method, &path).bearer_auth(&powerless);
        let (status, refused) = answer(request).await;
        let code = if inbox { &refused["error"]["code"] } else { &refused["code"] };
        let expected = if inbox { (401, "UNAUTHENTICATED") } else { (403, "forbidden") };
        assert_eq!((status, code.as_str()), (expected.0, Some(expected.1)), "{method} {path}");
    }
}

#[tokio::test]
async fn a_key_serves_its_scopes_until_it_is_revoked() {
    use nuncio::store::Keys;

    let server = Server::start().await;
    let key = server.key(&["events:write"]).await;
    let create = || server.anonymous("POST", "/v1/events").bearer_auth(&key);
    assert_eq!(answer(create().json(&json!({"name": "a"}))).await.0, 202);
    let (status, problem) = answer(server.anonymous("GET", "/v1/messages").bearer_auth(&key)).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));

    let name = "key of [\"events:write\"]";
    assert!(server.store.revoke_key(name, server.clock.now()).await.expect("the store answers"));
    server.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(answer(create().json(&json!({"name": "a"}))).await.0, 401);
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_manner_of_its_api() {
    let server = Server::start().await;
    let (status, problem) = answer(server.machine("GET", "/v1/nothing")).await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
    assert_eq!(problem["type"], "urn:nuncio:problem:not_found");
    let (status, error) = answer(server.anonymous("GET", "/api/nothing/")).await;
    assert_eq!((status, &error["error"]["code"]), (404, &json!("NOTIF_001")));

    let response = server.machine("DELETE", "/v1/events").send().await.expect("it answers");
    assert_eq!(response.headers()["allow"], "POST");
    let (status, problem) = body(response).await;
    assert_eq!((status, &problem["code"]), (405, &json!("method_not_allowed")));
    let (status, error) = answer(server.anonymous("PUT", "/api/notifications/unread-count")).await;
    assert_eq!((status, &error["error"]["code"]), (405, &json!("INVALID")));
    assert_eq!(answer(server.machine("GET", "/v1/events/x")).await.0, 404);
    assert_eq!(answer(server.machine("GET", "/v1/users/%ff")).await.0, 404);
}

#[tokio::test]
async fn a_handler_that_panics_answers_and_the_server_goes_on() {
    let server = Server::start().await;
    server.shelf.broken.store(true, Ordering::SeqCst);
    let response = server.machine("GET", "/v1/workflows").send().await.expect("it answers");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let (status, problem) = body(response).await;
    assert_eq!((status, &problem["code"]), (500, &json!("internal")));
    assert!(!problem.to_string().contains("shelf"), "the inside stays inside: {problem}");

    server.shelf.broken.store(false, Ordering::SeqCst);
    let (status, list) = answer(server.machine("GET", "/v1/workflows")).await;
    assert_eq!(status, 200);
    assert_eq!(list["results"][0]["workflow"], "order-paid");
    assert_eq!(list["results"][0]["on"], json!(["order.paid"]));
    let (_, list) = answer(server.machine("GET", "/v1/channels")).await;
    assert_eq!(list["results"][0]["channel"], "webhook");
}

#[tokio::test]
async fn probes_tell_whether_the_node_lives_and_serves() {
    let server = Server::start().await;
    assert_eq!(answer(server.anonymous("GET", "/healthz")).await.0, 200);
    let (status, health) = answer(server.anonymous("GET", "/readyz")).await;
    let checks = json!({"store": true, "queue": true, "plugins": true});
    assert_eq!((status, &health["checks"]), (200, &checks));
    assert_eq!((&health["status"], &health["redis"]), (&json!("ok"), &json!("none")));
    server.shelf.starting.store(true, Ordering::SeqCst);
    let (status, health) = answer(server.anonymous("GET", "/readyz")).await;
    assert_eq!((status, &health["checks"]["queue"]), (503, &json!(false)));

    answer(server.machine("POST", "/v1/events").json(&json!({"name": "a"}))).await;
    let metrics = server.anonymous("GET", "/metrics").send().await.expect("it answers");
    let text = metrics.text().await.expect("it is text");
    assert!(text.contains("nuncio_accepted_events_total"), "{text}");
    assert!(text.contains(r#"route="/v1/events""#), "{text}");
}

#[tokio::test]
async fn the_page_of_the_api_needs_nothing_from_elsewhere() {
    let server = Server::start().await;
    let page = server.anonymous("GET", "/docs").send().await.expect("it answers");
    let policy = page.headers()["content-security-policy"].to_str().expect("it is text").to_owned();
    assert!(policy.contains("default-src 'none'"));
    let text = page.text().await.expect("it is text");
    assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("src="));
}

#[tokio::test]
async fn the_outbox_shows_what_was_captured() {
    let server = Server::start().await;
    let captured = json!({"message_id": "m", "channel": "email", "to": "a@example.com"});
    server.shelf.captured.lock().expect("nobody panicked").push(captured.clone());
    let (_, list) = answer(server.machine("GET", "/dev/outbox")).await;
    assert_eq!(list, json!([captured]));
    assert_eq!(answer(server.machine("DELETE", "/dev/outbox")).await.0, 204);
    assert_eq!(answer(server.machine("GET", "/dev/outbox")).await.1, Value::Array(vec![]));
}

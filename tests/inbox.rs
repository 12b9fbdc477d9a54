//! The inbox API (docs/reference/api.md).

mod devices;
mod entries;
mod preferences;

use serde_json::{Value, json};

use crate::server::{Options, Server, answer, body};

/// Titles of a list's results.
fn titles(page: &Value) -> Vec<&str> {
    let results = page["results"].as_array().expect("it is a list");
    results.iter().map(|one| one["title"].as_str().expect("it is text")).collect()
}

fn code((status, body): (u16, Value)) -> (u16, String, Value) {
    let error = &body["error"];
    (status, error["code"].as_str().unwrap_or_default().into(), error["field"].clone())
}

#[tokio::test]
async fn paths_work_with_and_without_their_slash() {
    let server = Server::start().await;
    let id = server.deliver("42", "billing", "One").await;
    for path in ["", "/unread-count", "/preferences", &format!("/{id}")] {
        for slash in ["", "/"] {
            let path = format!("/api/notifications{path}{slash}");
            assert_eq!(answer(server.user("42", "GET", &path)).await.0, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn a_bad_token_is_refused() {
    let server = Server::start().await;
    let path = "/api/notifications/unread-count/";
    let old = server.token_for("42", None, std::time::Duration::from_secs(60));
    let with = |token: &str| answer(server.anonymous("GET", path).bearer_auth(token));
    assert_eq!(with(&old).await.0, 200);
    // The leeway is 60 s.
    server.clock.advance(std::time::Duration::from_secs(119));
    assert_eq!(with(&old).await.0, 200);
    server.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(code(with(&old).await), (401, "UNAUTHENTICATED".into(), Value::Null));
    let other = server.token("43", None);
    let signature = other.rsplit_once('.').expect("it has parts").1;
    let fresh = server.token("42", None);
    let forged = format!("{}.{signature}", fresh.rsplit_once('.').expect("it has parts").0);
    for bad in ["", "x", "a.b.c", &forged] {
        assert_eq!(with(bad).await.0, 401, "{bad}");
    }
}

#[tokio::test]
async fn a_user_who_calls_too_often_is_told_when_to_come_again() {
    let server = nuncio::config::Server {
        requests_per_second: 1,
        request_burst: 3,
        ..nuncio::config::Server::default()
    };
    let server = Server::with(Options { server, ..Options::default() }).await;
    let call = |user: &str| server.user(user, "GET", "/api/notifications/unread-count/").send();
    for _ in 0..3 {
        assert_eq!(call("42").await.expect("it answers").status(), 200);
    }
    let refused = call("42").await.expect("it answers");
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(code(body(refused).await), (429, "NOTIF_007".into(), Value::Null));
    assert_eq!(call("43").await.expect("it answers").status(), 200);
    server.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(call("42").await.expect("it answers").status(), 200);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call() {
    let allowed_origins = vec!["https://app.example".into()];
    let server = nuncio::config::Server { allowed_origins, ..Default::default() };
    let server = Server::with(Options { server, ..Options::default() }).await;
    let ask = |origin: &str| {
        let request = server.anonymous("OPTIONS", "/api/notifications/");
        request
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization")
            .send()
    };
    let allowed = ask("https://app.example").await.expect("it answers");
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.example");
    let refused = ask("https://evil.example").await.expect("it answers");
    assert!(!refused.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_body_that_cannot_be_taken_is_told_in_the_envelope() {
    let server = Server::start().await;
    let post = |path: &str| server.user("42", "POST", &format!("/api/notifications/{path}"));
    let text = post("mark-multiple-read/").header("content-type", "application/json").body("{nope");
    assert_eq!(code(answer(text).await), (400, "INVALID".into(), json!("")));
    let large = post("mark-all-read/").json(&json!({"x": "y".repeat(3 << 20)}));
    assert_eq!(code(answer(large).await), (413, "TOO_LARGE".into(), Value::Null));
    let form = post("mark-all-read/").header("content-type", "text/plain").body("x");
    assert_eq!(code(answer(form).await).0, 415);
}

use nuncio::config;
use nuncio::store::{Events, Queue, QueueName};
use serde_json::{Value, json};

use crate::server::{GATE, Options, Server, answer, answer_with_headers, body};

fn post(server: &Server, content: &Value) -> reqwest::RequestBuilder {
    server.machine("POST", "/v1/events").json(content)
}

/// Pointers of a problem's errors.
fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().expect("there are errors");
    errors.iter().map(|error| error["pointer"].as_str().expect("it is text")).collect()
}

#[tokio::test]
async fn an_event_is_stored_before_it_is_answered() {
    let server = Server::start().await;
    let event = json!({"name": "order.paid", "data": {"order": 1}, "actor": 42, "tenant": "t",
        "at": "2026-01-01T13:00:00+01:00"});
    let (status, taken) = answer(post(&server, &event)).await;
    assert_eq!((status, &taken["status"]), (202, &json!("accepted")));
    assert_eq!(taken.as_object().map(|fields| fields.len()), Some(2), "{taken}");

    let id = taken["id"].as_str().expect("it is text");
    let stored = server.store.event(id.parse().expect("it is an id")).await;
    assert!(stored.expect("the store answers").is_some());
    let (status, view) = answer(server.machine("GET", &format!("/v1/events/{id}"))).await;
    let expected = json!({
        "id": id, "name": "order.paid", "tenant": "t", "actor": "42", "data": {"order": 1},
        "at": "2026-01-01T12:00:00Z", "received_at": "2026-01-01T12:00:00Z",
        "idempotency_key": null, "status": view["status"], "run_count": 0, "runs": [],
    });
    assert_eq!((status, view), (200, expected));
    let (status, explained) =
        answer(server.machine("GET", &format!("/v1/events/{id}/explain"))).await;
    assert_eq!((status, &explained["event"]["id"]), (200, &json!(id)));
    assert_eq!(explained["rows"], json!([]));
}

#[tokio::test]
async fn a_key_gives_the_first_answer_again_or_a_conflict() {
    let server = Server::start().await;
    let event = json!({"name": "a", "data": {"x": 1, "y": 2}, "idempotency_key": "k"});
    let first = answer(post(&server, &event)).await.1;
    let same = r#"{"idempotency_key": "k", "data": {"y": 2, "x": 1}, "name": "a"}"#;
    let request = server.machine("POST", "/v1/events").body(same);
    let (status, again) = answer(request).await;
    assert_eq!((status, &again), (202, &json!({"id": first["id"], "status": "duplicate"})));
    let other = json!({"name": "a", "data": {"x": 2}, "idempotency_key": "k"});
    let (status, problem) = answer(post(&server, &other)).await;
    assert_eq!((status, &problem["code"]), (409, &json!("event.conflict")));
    assert_eq!(pointers(&problem), ["/idempotency_key"]);
}

#[tokio::test]
async fn items_of_an_array_fail_one_by_one() {
    let server = Server::start().await;
    let (status, all) = answer(post(&server, &json!([{"name": "a"}, {"name": "b"}]))).await;
    assert_eq!((status, all[1]["status"].as_str()), (202, Some("accepted")));
    assert_eq!(answer(post(&server, &json!([]))).await, (202, json!([])));

    let some = json!([{"name": "a"}, {"data": 3}, 7, {"name": "b"}]);
    let (status, answers) = answer(post(&server, &some)).await;
    assert_eq!(status, 207);
    let words: Vec<_> = (0..4).map(|place| answers[place]["status"].as_str()).collect();
    assert_eq!(words, ["accepted", "refused", "refused", "accepted"].map(Some));
    assert_eq!(answers[1]["error"]["code"], "event.shape");
    assert_eq!(pointers(&answers[1]["error"]), ["/name", "/data"]);

    let many = vec![json!({"name": "a"}); 1001];
    let (status, problem) = answer(post(&server, &json!(many))).await;
    assert_eq!((status, &problem["code"]), (413, &json!("body.too_large")));
}

#[tokio::test]
async fn lines_are_stored_as_they_come() {
    let server = Server::start().await;
    let mut lines: Vec<String> =
        (0..2500).map(|order| json!({"name": "a", "data": {"order": order}}).to_string()).collect();
    lines[7] = "{nope".into();
    lines[8] = String::new();
    lines[9] = json!({"name": "a", "data": {"x": "y".repeat(2 << 20)}}).to_string();
    lines[10] = "\r".into();
    let request = server.machine("POST", "/v1/events");
    let request = request.header("content-type", "application/x-ndjson").body(lines.join("\n"));
    let (status, answers) = answer(request).await;
    assert_eq!(status, 207);
    let answers = answers.as_array().expect("it is an array");
    assert_eq!(answers.len(), 2498, "blank lines do not count");
    let code = |place: usize| answers[place]["error"]["code"].as_str();
    assert_eq!((code(7), code(8)), (Some("body.not_json"), Some("body.too_large")));
    let taken = answers.iter().filter(|answer| answer["status"] == "accepted").count();
    assert_eq!(taken, 2496);

    let request = server.machine("POST", "/v1/events");
    let request = request.header("content-type", "application/x-ndjson");
    assert_eq!(answer(request.body("")).await, (202, json!([])));
}

#[tokio::test]
async fn a_body_that_cannot_be_taken_is_told_why() {
    let server = Server::start().await;
    let raw = |content: &str| server.machine("POST", "/v1/events").body(content.to_owned());
    let (status, problem) = answer(raw("{\n  \"name\": nope}")).await;
    assert_eq!((status, &problem["code"]), (400, &json!("body.not_json")));
    let detail = problem["detail"].as_str().expect("it is text");
    assert!(detail.ends_with("at line 2, column 12"), "{detail}");

    let deep = format!("{{\"name\":\"a\",\"data\":{}1{}}}", "{\"a\":".repeat(200), "}".repeat(200));
    assert_eq!(answer(raw(&deep)).await.1["code"], "body.not_json");
    let form = raw("name=a").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(answer(form).await.0, 415);
    let (status, problem) = answer(post(&server, &json!({"nmae": "a"}))).await;
    assert_eq!((status, &problem["code"]), (400, &json!("event.shape")));
    assert_eq!(pointers(&problem), ["/name", "/nmae"]);
    assert!(problem["errors"][1]["detail"].to_string().contains("did you mean `name`?"));
}

#[tokio::test]
async fn what_is_too_large_is_read_to_its_end_and_refused() {
    let server = Server::start().await;
    let event = |size: usize| json!({"name": "a", "data": {"x": "y".repeat(size)}});
    let (status, problem) = answer(post(&server, &event(300 << 10))).await;
    assert_eq!((status, &problem["code"]), (413, &json!("event.too_large")));
    assert_eq!(pointers(&problem), ["/data"]);
    for size in [3 << 20, 9 << 20] {
        let response = post(&server, &event(size)).send().await.expect("the answer is seen");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let (status, problem) = body(response).await;
        assert_eq!((status, &problem["code"]), (413, &json!("body.too_large")));
    }
}

#[tokio::test]
async fn overload_is_told_at_once_and_nothing_is_stored() {
    let server = config::Server { max_body: 80 << 20, ..config::Server::default() };
    let server = Server::with(Options { server, ..Options::default() }).await;
    let held = server.gate.acquire_many(GATE).await.expect("it is open");
    // White space: quickly read, and counted.
    let large = format!("[{}{{\"name\":\"a\"}}]", " ".repeat(40 << 20));
    let send =
        || Box::pin(answer_with_headers(server.machine("POST", "/v1/events").body(large.clone())));
    let (first, other) = futures_util::future::select(send(), send()).await.factor_first();
    let (status, headers, problem) = first;
    assert_eq!((status, &problem["code"]), (429, &json!("overloaded")));
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(server.store.next_due(QueueName::Events).await.expect("it answers"), None);
    drop(held);
    assert_eq!(other.await.0, 202);
    assert_eq!(answer(post(&server, &json!({"name": "a"}))).await.0, 202);
}

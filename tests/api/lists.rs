use nuncio::model::MessageStatus;
use serde_json::{Value, json};

use crate::server::{Server, answer, nobody};

/// All results of a list, page by page, and how many pages it took.
pub async fn pages(server: &Server, path: &str, limit: usize) -> (Vec<Value>, usize) {
    let (mut all, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let join = if path.contains('?') { '&' } else { '?' };
        let (status, page) =
            answer(server.machine("GET", &format!("{path}{join}limit={limit}{after}"))).await;
        assert_eq!(status, 200, "{page}");
        all.extend(page["results"].as_array().expect("it is a list").clone());
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return (all, pages),
        }
    }
}

#[tokio::test]
async fn topics_have_subscribers() {
    let server = Server::start().await;
    let path = |user: &str| format!("/v1/topics/shop%3A12/subscribers/{user}");
    assert_eq!(answer(server.machine("PUT", &path("1"))).await.0, 201);
    let (status, subscription) = answer(server.machine("PUT", &path("1"))).await;
    assert_eq!((status, subscription), (200, json!({"topic": "shop:12", "user": "1"})));
    for user in 2..=5 {
        answer(server.machine("PUT", &path(&user.to_string()))).await;
    }
    assert_eq!(answer(server.machine("DELETE", &path("3"))).await.0, 204);
    assert_eq!(answer(server.machine("DELETE", &path("3"))).await.0, 204);
    let (all, count) = pages(&server, "/v1/topics/shop%3A12/subscribers", 3).await;
    assert_eq!((all, count), (vec![json!("1"), json!("2"), json!("4"), json!("5")], 2));
    assert_eq!(pages(&server, "/v1/topics/none/subscribers", 3).await.0, Vec::<Value>::new());
    let long = "x".repeat(256);
    assert_eq!(answer(server.machine("PUT", &path(&long))).await.0, 400);
}

#[tokio::test]
async fn messages_are_filtered_and_paged() {
    let server = Server::start().await;
    for user in ["1", "2", "1", "1"] {
        server.store_message(user, "email", MessageStatus::Pending).await;
    }
    server.store_message("1", "webhook", MessageStatus::Failed).await;
    let (all, count) = pages(&server, "/v1/messages", 2).await;
    assert_eq!((all.len(), count), (5, 3));
    assert_eq!(all[0]["channel"], "webhook", "the newest comes first");
    assert_eq!(pages(&server, "/v1/messages?user=1&channel=email", 2).await.0.len(), 3);
    assert_eq!(pages(&server, "/v1/messages?status=failed", 2).await.0.len(), 1);
    let later = pages(&server, "/v1/messages?since=2027-01-01T00:00:00Z", 2).await;
    assert_eq!(later.0.len(), 0);
    for wrong in ["limit=0", "limit=1001", "status=lost", "since=soon", "after=x", "chanel=email"] {
        let (status, problem) =
            answer(server.machine("GET", &format!("/v1/messages?{wrong}"))).await;
        assert_eq!((status, &problem["code"]), (400, &json!("query.invalid")), "{wrong}");
    }
}

#[tokio::test]
async fn a_message_is_shown_retried_and_cancelled_where_its_state_allows() {
    let server = Server::start().await;
    let failed = server.store_message("1", "email", MessageStatus::Failed).await.id;
    let pending = server.store_message("1", "email", MessageStatus::Pending).await.id;
    let call = |method, id: &dyn std::fmt::Display, verb: &str| {
        answer(server.machine(method, &format!("/v1/messages/{id}{verb}")))
    };
    let (status, message) = call("GET", &failed, "").await;
    assert_eq!((status, &message["status"]), (200, &json!("failed")));
    assert_eq!(message["attempts"], json!([]));
    let (status, message) = call("POST", &failed, "/retry").await;
    assert_eq!((status, &message["status"]), (202, &json!("pending")));
    let (status, problem) = call("POST", &failed, "/retry").await;
    assert_eq!((status, &problem["code"]), (409, &json!("message.not_retryable")));

    let (status, message) = call("POST", &pending, "/cancel").await;
    assert_eq!((status, &message["status"]), (200, &json!("cancelled")));
    let (status, problem) = call("POST", &pending, "/cancel").await;
    assert_eq!((status, &problem["code"]), (409, &json!("message.not_cancellable")));

    let nobody = nobody(&server.clock);
    for (method, verb) in
        [("GET", ""), ("GET", "/explain"), ("POST", "/retry"), ("POST", "/cancel")]
    {
        assert_eq!(call(method, &nobody, verb).await.0, 404, "{verb}");
    }
}

#[tokio::test]
async fn a_message_is_explained_by_its_own_rows() {
    let server = Server::start().await;
    let run = server.deliver("42", "billing", "An invoice").await;
    let (_, list) = answer(server.machine("GET", "/v1/messages?user=42")).await;
    let id = list["results"][0]["id"].as_str().expect("it is text").to_owned();
    let (status, explained) =
        answer(server.machine("GET", &format!("/v1/messages/{id}/explain"))).await;
    assert_eq!(status, 200);
    let row = &explained["rows"][0];
    assert_eq!((&row["decision"], &row["channel"]), (&json!("send"), &json!("in_app")));
    assert_eq!((&row["recipient"], &row["at"]), (&json!("42"), &json!("2026-01-01T12:00:00.000Z")));
    // A run's id, and a message's, lead to the event's time line too.
    for any in [run.to_string(), id] {
        let (status, whole) =
            answer(server.machine("GET", &format!("/v1/events/{any}/explain"))).await;
        assert_eq!((status, &whole["rows"]), (200, &explained["rows"]));
    }
}

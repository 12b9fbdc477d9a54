use serde_json::{Value, json};

use crate::server::{Server, answer};

#[tokio::test]
async fn a_user_is_put_changed_shown_and_erased() {
    let server = Server::start().await;
    let path = "/v1/users/42";
    let whole = json!({"id": 42, "email": "ada@example.com", "locale": "fr",
        "time_zone": "Africa/Tunis", "data": {"plan": "gold", "seats": {"a": 1, "b": 2}}});
    let (status, user) = answer(server.machine("PUT", path).json(&whole)).await;
    assert_eq!((status, &user["id"]), (201, &json!("42")));
    assert_eq!(answer(server.machine("PUT", path).json(&whole)).await.0, 200);

    let patch = json!({"email": null, "data": {"seats": {"a": null, "c": 3}}, "role": "member"});
    let (status, user) = answer(server.machine("PATCH", path).json(&patch)).await;
    assert_eq!((status, &user["email"], &user["locale"]), (200, &Value::Null, &json!("fr")));
    assert_eq!(user["data"], json!({"plan": "gold", "seats": {"b": 2, "c": 3}}));
    assert_eq!(answer(server.machine("GET", path)).await, (200, user.clone()));
    // What GET gave can be put.
    assert_eq!(answer(server.machine("PUT", path).json(&user)).await.0, 200);

    assert_eq!(answer(server.machine("DELETE", path)).await.0, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(answer(server.machine(method, path)).await.0, 404);
    }
    assert_eq!(answer(server.machine("PATCH", path).json(&json!({}))).await.0, 404);
}

#[tokio::test]
async fn a_user_that_does_not_fit_is_refused_with_every_reason() {
    let server = Server::start().await;
    let wrong = json!({"email": "nope", "time_zone": "Mars/Olympus", "data": 3, "emial": "x"});
    let (status, problem) = answer(server.machine("PUT", "/v1/users/42").json(&wrong)).await;
    assert_eq!((status, &problem["code"]), (400, &json!("user.invalid")));
    let errors = problem["errors"].as_array().expect("there are errors");
    let pointers: Vec<_> = errors.iter().map(|error| error["pointer"].as_str()).collect();
    assert_eq!(pointers, ["/email", "/time_zone", "/data", "/emial"].map(Some));
    assert_eq!(answer(server.machine("GET", "/v1/users/42")).await.0, 404);

    server.put_user("42", json!({"email": "ada@example.com"})).await;
    let patch = server.machine("PATCH", "/v1/users/42").json(&json!({"phone": "call me"}));
    assert_eq!(answer(patch).await.0, 400);
}

#[tokio::test]
async fn changes_of_one_user_do_not_overwrite_one_another() {
    let server = Server::start().await;
    server.put_user("42", json!({})).await;
    let change = |field: usize| {
        let patch = json!({"data": {(field.to_string()): true}});
        answer(server.machine("PATCH", "/v1/users/42").json(&patch))
    };
    let changed = futures_util::future::join_all((0..50).map(change)).await;
    assert!(changed.iter().all(|(status, _)| *status == 200));
    let (_, user) = answer(server.machine("GET", "/v1/users/42")).await;
    assert_eq!(user["data"].as_object().map(|data| data.len()), Some(50));
}

#[tokio::test]
async fn many_users_fail_one_by_one() {
    let server = Server::start().await;
    server.put_user("2", json!({})).await;
    let users = json!([{"id": 1}, {"id": "2", "email": "b@example.com"}, {"email": "c"}]);
    let (status, answers) = answer(server.machine("POST", "/v1/users/bulk").json(&users)).await;
    assert_eq!(status, 207);
    assert_eq!(answers[0], json!({"id": "1", "status": "created"}));
    assert_eq!(answers[1], json!({"id": "2", "status": "updated"}));
    assert_eq!(answers[2]["status"], "refused");
    assert_eq!(answers[2]["error"]["errors"].as_array().map(Vec::len), Some(2));
    let (_, user) = answer(server.machine("GET", "/v1/users/2")).await;
    assert_eq!(user["email"], "b@example.com");

    let many = vec![json!({"id": 1}); 1001];
    assert_eq!(answer(server.machine("POST", "/v1/users/bulk").json(&many)).await.0, 413);
    assert_eq!(answer(server.machine("POST", "/v1/users/bulk").json(&json!({}))).await.0, 400);
}

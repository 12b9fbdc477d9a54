use nuncio::model::MessageStatus;
use serde_json::{Value, json};

use super::lists::pages;
use crate::server::{Server, answer};

async fn redrive(server: &Server, order: Value) -> (u16, Value) {
    answer(server.machine("POST", "/v1/dead-letters/redrive").json(&order)).await
}

#[tokio::test]
async fn dead_letters_are_listed_with_their_reason() {
    let server = Server::start().await;
    for (user, channel, status) in [
        ("1", "email", MessageStatus::Failed),
        ("1", "email", MessageStatus::Sent),
        ("2", "sms", MessageStatus::Unknown),
        ("1", "email", MessageStatus::Expired),
        ("1", "webhook", MessageStatus::Failed),
    ] {
        server.store_message(user, channel, status).await;
    }
    let (all, count) = pages(&server, "/v1/dead-letters", 2).await;
    let statuses: Vec<_> = all.iter().map(|letter| &letter["status"]).collect();
    assert_eq!(
        (statuses, count),
        ([&json!("failed"), &json!("unknown"), &json!("failed")].to_vec(), 2)
    );
    assert!(all.iter().all(|letter| letter["reason"].as_str().is_some_and(|why| !why.is_empty())));
    for (filter, expected) in [
        ("user=1", 2),
        ("user=1&channel=webhook", 1),
        ("status=unknown", 1),
        ("status=expired", 1),
        ("provider=smtp", 0),
        ("code=attempts.exhausted", 0),
        ("workflow=order-paid", 3),
        ("since=2027-01-01T00:00:00Z", 0),
        ("until=2026-01-01T12:00:00Z", 0),
    ] {
        let found = pages(&server, &format!("/v1/dead-letters?{filter}"), 10).await.0;
        assert_eq!(found.len(), expected, "{filter}");
    }
    for wrong in ["status=sent", "status=lost", "until=soon", "chanel=email"] {
        let (status, problem) =
            answer(server.machine("GET", &format!("/v1/dead-letters?{wrong}"))).await;
        assert_eq!((status, &problem["code"]), (400, &json!("query.invalid")), "{wrong}");
    }
}

#[tokio::test]
async fn a_redrive_is_counted_first_and_then_done() {
    let server = Server::start().await;
    for user in ["1", "1", "2"] {
        server.store_message(user, "email", MessageStatus::Failed).await;
    }
    let expired = server.store_message("1", "email", MessageStatus::Expired).await.id;

    let (status, dry) = redrive(&server, json!({"user": "1", "dry_run": true})).await;
    assert_eq!((status, &dry["dry_run"], &dry["count"]), (200, &json!(true), &json!(2)));
    assert_eq!(dry["sample"].as_array().map(Vec::len), Some(2));
    assert_eq!(pages(&server, "/v1/dead-letters", 10).await.0.len(), 3, "nothing was changed");

    let (status, done) = redrive(&server, json!({"user": "1"})).await;
    assert_eq!((status, &done["dry_run"], &done["count"]), (200, &json!(false), &json!(2)));
    assert_eq!(done["next"], Value::Null);
    assert_eq!(redrive(&server, json!({"user": "1"})).await.1["count"], 0, "they are on their way");
    let (left, _) = pages(&server, "/v1/dead-letters", 10).await;
    assert_eq!(left.iter().map(|letter| &letter["recipient"]).collect::<Vec<_>>(), [&json!("2")]);

    let call = |path: String| answer(server.machine("GET", &path));
    assert_eq!(call(format!("/v1/messages/{expired}")).await.1["status"], "expired");
    let asked = json!({"status": "expired", "dry_run": true});
    assert_eq!(redrive(&server, asked).await.1["count"], 1);
    assert_eq!(redrive(&server, json!({"status": "expired"})).await.1["count"], 1);

    let (_, audit) = call("/v1/audit?what=letters.redrive".into()).await;
    let records = audit["results"].as_array().expect("a list");
    assert_eq!(records.len(), 3, "a dry run is not on record");
    assert_eq!(
        (&records[2]["who"], &records[2]["detail"]),
        (&json!("key test"), &json!({"filter": {"user": "1"}, "count": 2}))
    );
}

#[tokio::test]
async fn a_redrive_goes_on_where_it_stopped() {
    let server = Server::start().await;
    for _ in 0..5 {
        server.store_message("1", "email", MessageStatus::Failed).await;
    }
    let (mut counts, mut after) = (Vec::new(), Value::Null);
    loop {
        let (_, done) = redrive(&server, json!({"limit": 2, "after": after})).await;
        counts.push(done["count"].as_u64().expect("a number"));
        after = done["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(counts, [2, 2, 1]);
}

#[tokio::test]
async fn what_no_redrive_can_be_is_refused_with_its_place() {
    let server = Server::start().await;
    for (order, place) in [
        (json!({"chanel": "email"}), "/chanel"),
        (json!({"dry_run": "yes"}), "/dry_run"),
        (json!({"limit": 10_001}), "/limit"),
        (json!({"user": ["1"]}), "/user"),
        (json!([]), ""),
    ] {
        let (status, problem) = redrive(&server, order.clone()).await;
        assert_eq!((status, &problem["code"]), (400, &json!("redrive.shape")), "{order}");
        assert_eq!(problem["errors"][0]["pointer"], place, "{order}");
    }
    let reader = server.key(&["messages:*", "admin:read"]).await;
    let path = "/v1/dead-letters/redrive";
    let refused = server.anonymous("POST", path).bearer_auth(&reader).json(&json!({}));
    assert_eq!(answer(refused).await.0, 403);
}

#[tokio::test]
async fn who_changed_what_is_on_record() {
    let server = Server::start().await;
    server.put_user("42", json!({"email": "ana@example.com"})).await;
    let failed = server.store_message("42", "email", MessageStatus::Failed).await.id.to_string();
    let pending = server.store_message("42", "email", MessageStatus::Pending).await.id.to_string();
    let preferences = json!({"notification_types": {"billing": {"email": false}}});
    let path = "/api/notifications/preferences/";
    for request in [
        server.machine("POST", &format!("/v1/messages/{failed}/retry")),
        server.machine("POST", &format!("/v1/messages/{pending}/cancel")),
        server.machine("POST", "/v1/runs/cancel").json(&json!({"key": "order-7"})),
        server.user("42", "PATCH", path).json(&preferences),
        server.admin("PATCH", &format!("{path}?user_id=42")).json(&preferences),
        server.machine("DELETE", "/v1/users/42"),
    ] {
        let (status, body) = answer(request).await;
        assert!(status < 300, "{status}: {body}");
    }
    let refused = server.machine("POST", &format!("/v1/messages/{pending}/cancel"));
    assert_eq!(answer(refused).await.0, 409);

    let (records, count) = pages(&server, "/v1/audit", 2).await;
    let told: Vec<_> = records
        .iter()
        .map(|one| ["what", "who", "about"].map(|field| one[field].as_str().expect("text")))
        .collect();
    let expected = [
        ["user.erase", "key test", "42"],
        ["preferences.change", "user 1", "42"],
        ["runs.cancel", "key test", "order-7"],
        ["message.cancel", "key test", &pending],
        ["message.retry", "key test", &failed],
    ];
    assert_eq!((told, count), (expected.to_vec(), 3), "newest first, and one's own is one's own");
    assert!(!json!(records).to_string().contains("ana@"), "nobody's address is in it");
    for (filter, expected) in [("who=user%201", 1), ("about=42", 2), ("what=user.erase", 1)] {
        assert_eq!(pages(&server, &format!("/v1/audit?{filter}"), 10).await.0.len(), expected);
    }
    let (status, problem) = answer(server.machine("GET", "/v1/audit?what=everything")).await;
    assert_eq!((status, &problem["code"]), (400, &json!("query.invalid")));
}

use std::time::Duration;

use nuncio::model::Priority;
use serde_json::{Value, json};

use super::{code, titles};
use crate::server::{Server, answer, nobody};

const LIST: &str = "/api/notifications/";

async fn list(server: &Server, query: &str) -> Value {
    let (status, page) = answer(server.user("42", "GET", &format!("{LIST}?{query}"))).await;
    assert_eq!(status, 200, "{page}");
    page
}

#[tokio::test]
async fn the_list_is_filtered_ordered_and_paged() {
    let server = Server::start().await;
    let kinds = [
        ("An invoice", "billing", Priority::Low),
        ("A warning", "system", Priority::Critical),
        ("Another invoice", "billing", Priority::High),
    ];
    for (title, category, priority) in kinds {
        server.deliver_with("42", category, title, priority).await;
        server.clock.advance(Duration::from_secs(24 * 3600));
    }
    server.deliver("43", "billing", "Not yours").await;

    let page = list(&server, "").await;
    assert_eq!(page["count"], 3);
    assert_eq!((&page["next"], &page["previous"]), (&Value::Null, &Value::Null));
    assert_eq!(titles(&page), ["Another invoice", "A warning", "An invoice"]);
    let short = &page["results"][0];
    let fields: Vec<_> = short.as_object().expect("it is an object").keys().collect();
    let expected =
        "created_at id is_read message metadata notification_type priority title".split(' ');
    assert_eq!(fields, expected.collect::<Vec<_>>());
    assert_eq!(short["metadata"]["action_url"], "/orders/1");

    let of = async |query: &str| titles(&list(&server, query).await).join(", ");
    assert_eq!(of("ordering=created_at").await, "An invoice, A warning, Another invoice");
    assert_eq!(of("ordering=-priority").await, "A warning, Another invoice, An invoice");
    assert_eq!(of("ordering=priority").await, "An invoice, Another invoice, A warning");
    assert_eq!(
        of("notification_type=BILLING&ordering=created_at").await,
        "An invoice, Another invoice"
    );
    assert_eq!(of("priority=critical").await, "A warning");
    assert_eq!(of("search=another").await, "Another invoice");
    assert_eq!(of("from_date=2026-01-02&to_date=2026-01-02").await, "A warning");
    assert_eq!(of("from_date=2026-01-03T12:00:00Z").await, "Another invoice");
    assert_eq!(of("is_read=true").await, "");
    assert_eq!(of("page=9").await, "");

    let page = list(&server, "page=2&page_size=1&search=a").await;
    assert_eq!((&page["count"], titles(&page)), (&json!(3), vec!["A warning"]));
    let link =
        |page: u8| format!("http://{}{LIST}?page_size=1&search=a&page={page}", server.address);
    assert_eq!((&page["previous"], &page["next"]), (&json!(link(1)), &json!(link(3))));
    assert_eq!(list(&server, "page_size=1000").await["count"], 3);
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_is_named() {
    let server = Server::start().await;
    let wrong = [
        "page=0",
        "page_size=x",
        "is_read=maybe",
        "priority=urgent",
        "ordering=name",
        "from_date=2026-02-30",
        "to_date=tomorrow",
    ];
    for query in wrong {
        let refused = answer(server.user("42", "GET", &format!("{LIST}?{query}"))).await;
        let name = query.split('=').next().expect("it has a name");
        assert_eq!(code(refused), (400, "INVALID".into(), json!(name)), "{query}");
    }
    let refused = answer(server.user("42", "GET", &format!("{LIST}?notification_type=x"))).await;
    assert_eq!(code(refused), (400, "NOTIF_002".into(), json!("notification_type")));
}

#[tokio::test]
async fn the_detail_tells_all() {
    let server = Server::start().await;
    let person = json!({"username": "ada", "email": "ada@example.com", "first_name": "Ada"});
    server.put_user("42", person).await;
    let id = server.deliver("42", "billing", "An invoice").await;
    let (status, detail) = answer(server.user("42", "GET", &format!("{LIST}{id}/"))).await;
    let nobody = json!({"id": 7, "username": null, "email": null, "first_name": null,
        "last_name": null});
    let expected = json!({
        "id": id, "notification_type": "billing", "title": "An invoice",
        "message": "about An invoice", "priority": "medium", "is_read": false,
        "created_at": "2026-01-01T12:00:00Z", "metadata": {"action_url": "/orders/1"},
        "recipient": {"id": 42, "username": "ada", "email": "ada@example.com",
            "first_name": "Ada", "last_name": null},
        "sender": nobody, "read_at": null, "scheduled_for": null, "delivery_status": "sent",
        "channels": ["in_app"], "delivery_attempts": 1,
        "last_delivery_attempt": "2026-01-01T12:00:00Z", "delivery_errors": [],
    });
    assert_eq!((status, detail), (200, expected));
}

#[tokio::test]
async fn anothers_notification_is_not_found() {
    let server = Server::start().await;
    let id = server.deliver("42", "billing", "Private").await;
    let none = nobody(&server.clock);
    let calls =
        [("GET", json!(null)), ("PATCH", json!({"is_read": true})), ("DELETE", json!(null))];
    for (method, content) in calls {
        for path in [format!("{LIST}{id}/"), format!("{LIST}{none}/"), format!("{LIST}x/")] {
            let refused = answer(server.user("43", method, &path).json(&content)).await;
            assert_eq!(code(refused), (404, "NOTIF_001".into(), Value::Null), "{method} {path}");
        }
    }
    let refused = answer(server.user("43", "GET", &format!("{LIST}?user_id=42"))).await;
    assert_eq!(code(refused).0, 404);

    let (_, all) = answer(server.admin("GET", LIST)).await;
    assert_eq!(titles(&all), ["Private"]);
    let (_, theirs) = answer(server.admin("GET", &format!("{LIST}?user_id=42"))).await;
    assert_eq!(theirs["count"], 1);
    assert_eq!(answer(server.admin("GET", &format!("{LIST}?user_id=43"))).await.1["count"], 0);
    let mark = server.admin("PATCH", &format!("{LIST}{id}/")).json(&json!({"is_read": true}));
    assert_eq!(answer(mark).await.1["is_read"], true);
}

#[tokio::test]
async fn reading_and_unreading() {
    let server = Server::start().await;
    let id = server.deliver("42", "billing", "One").await;
    server.deliver("42", "system", "Two").await;
    let unread =
        async || answer(server.user("42", "GET", "/api/notifications/unread-count/")).await.1;
    assert_eq!(unread().await, json!({"unread_count": 2}));
    let path = format!("{LIST}{id}/");
    let patch = |content: Value| answer(server.user("42", "PATCH", &path).json(&content));
    let (status, read) = patch(json!({"is_read": true})).await;
    assert_eq!((status, &read["read_at"]), (200, &json!("2026-01-01T12:00:00Z")));
    assert_eq!(unread().await, json!({"unread_count": 1}));
    let (_, back) = patch(json!({"is_read": false})).await;
    assert_eq!((&back["is_read"], &back["read_at"]), (&json!(false), &Value::Null));
    for wrong in [json!({}), json!({"is_read": "yes"}), json!([])] {
        assert_eq!(code(patch(wrong).await), (400, "INVALID".into(), json!("is_read")));
    }
    assert_eq!(answer(server.user("42", "DELETE", &path)).await.0, 204);
    assert_eq!(answer(server.user("42", "DELETE", &path)).await.0, 404);
    assert_eq!(unread().await, json!({"unread_count": 1}));
}

#[tokio::test]
async fn many_at_once() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for title in ["One", "Two", "Three"] {
        ids.push(server.deliver("42", "billing", title).await);
    }
    server.deliver("42", "system", "Four").await;
    let others = server.deliver("43", "billing", "Not yours").await;
    let call = |method, path: &str, content: Value| {
        answer(server.user("42", method, &format!("{LIST}{path}/")).json(&content))
    };
    let marked = call("POST", "mark-multiple-read", json!({"notification_ids": [ids[0]]})).await;
    assert_eq!(marked, (200, json!({"affected_count": 1})));
    let some = json!({"notification_ids": [ids[0], ids[1], others]});
    let (status, marked) = call("POST", "mark-multiple-read", some).await;
    assert_eq!((status, &marked["affected_count"]), (207, &json!(1)));
    assert_eq!(marked["error"]["code"], "NOTIF_009");
    let details = json!([{"notification_id": others, "code": "NOTIF_001"}]);
    assert_eq!(marked["error"]["details"], details);

    let of_type = json!({"notification_type": "system"});
    assert_eq!(call("POST", "mark-all-read", of_type).await.1, json!({"affected_count": 1}));
    let unknown = call("POST", "mark-all-read", json!({"notification_type": "x"})).await;
    assert_eq!(code(unknown), (400, "NOTIF_002".into(), json!("notification_type")));
    let bare = server.user("42", "POST", &format!("{LIST}mark-all-read/"));
    assert_eq!(answer(bare).await, (200, json!({"affected_count": 1})));

    let two = json!({"notification_ids": [ids[0], ids[1]]});
    assert_eq!(
        call("DELETE", "bulk-delete", two.clone()).await,
        (200, json!({"affected_count": 2}))
    );
    let (status, again) = call("DELETE", "bulk-delete", two).await;
    assert_eq!((status, &again["affected_count"]), (207, &json!(0)));
    assert_eq!(list(&server, "").await["count"], 2);
    for wrong in [json!({}), json!({"notification_ids": "x"})] {
        let refused = call("POST", "mark-multiple-read", wrong).await;
        assert_eq!(code(refused), (400, "INVALID".into(), json!("notification_ids")));
    }
    let refused =
        call("POST", "mark-multiple-read", json!({"notification_ids": [ids[2], 3]})).await;
    assert_eq!(code(refused), (400, "INVALID".into(), json!("notification_ids.1")));
}

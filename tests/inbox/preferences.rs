use nuncio::config::{Config, QuietHours};
use nuncio::gate::Defaults;
use nuncio::model::Row;
use nuncio::store::Users;
use serde_json::{Value, json};

use super::code;
use crate::server::{Options, Server, answer};

const PATH: &str = "/api/notifications/preferences/";

fn all_on() -> Value {
    json!({"in_app": true, "push": true, "email": true, "sms": true, "webhook": true})
}

async fn call(server: &Server, method: &str, content: &Value) -> (u16, Value) {
    answer(server.user("42", method, PATH).json(content)).await
}

#[tokio::test]
async fn what_was_never_said_is_filled_from_the_defaults() {
    let server = Server::start().await;
    server.put_user("42", json!({"time_zone": "Africa/Tunis"})).await;
    let (status, whole) = answer(server.user("42", "GET", PATH)).await;
    let expected = json!({
        "id": whole["id"], "user": 42,
        "notification_types": {"billing": all_on(), "system": all_on()},
        "quiet_hours": {"enabled": false, "start_time": "22:00:00", "end_time": "08:00:00",
            "timezone": "Africa/Tunis"},
        "frequency_limits": {"max_per_hour": null, "max_per_day": null},
        "workflows": {}, "topics": {},
    });
    assert_eq!((status, &whole), (200, &expected));
    assert!(whole["id"].as_str().is_some_and(|id| id.parse::<uuid::Uuid>().is_ok()));
    let (_, unknown) = answer(server.user("ada", "GET", PATH)).await;
    assert_eq!(
        (&unknown["user"], &unknown["quiet_hours"]["timezone"]),
        (&json!("ada"), &json!("UTC"))
    );
}

#[tokio::test]
async fn put_takes_what_get_gave_and_replaces() {
    let server = Server::start().await;
    let said = json!({
        "notification_types": {"Billing": {"email": false}},
        "quiet_hours": {"enabled": true, "start_time": "21:30", "timezone": "Europe/Paris"},
        "frequency_limits": {"max_per_hour": 0, "max_per_day": null},
        "workflows": {"order-paid": {"email": false}, "other": false}, "topics": {"shop:1": true},
    });
    let (status, whole) = call(&server, "PUT", &said).await;
    assert_eq!(status, 200, "{whole}");
    assert_eq!(whole["notification_types"]["billing"]["email"], false);
    assert_eq!(whole["notification_types"]["billing"]["push"], true);
    let quiet = json!({"enabled": true, "start_time": "21:30:00", "end_time": "08:00:00",
        "timezone": "Europe/Paris"});
    assert_eq!(whole["quiet_hours"], quiet);
    assert_eq!(whole["frequency_limits"], json!({"max_per_hour": 0, "max_per_day": null}));
    assert_eq!(whole["workflows"], json!({"order-paid": {"email": false}, "other": false}));

    let (_, shown) = answer(server.user("42", "GET", PATH)).await;
    assert_eq!(shown, whole);
    assert_eq!(call(&server, "PUT", &shown).await, (200, whole));
    let stored = server.store.preferences(&"42".into()).await.expect("the store answers");
    assert_eq!(stored.notification_types["billing"].of(&"email".into()), Some(false));

    let (_, empty) = call(&server, "PUT", &json!({})).await;
    assert_eq!(empty["notification_types"]["billing"]["email"], true);
    assert_eq!(empty["quiet_hours"]["enabled"], false);
}

#[tokio::test]
async fn patch_merges_deeply() {
    let server = Server::start().await;
    call(&server, "PATCH", &json!({"notification_types": {"billing": {"email": false}}})).await;
    call(&server, "PATCH", &json!({"notification_types": {"BILLING": {"sms": false}}})).await;
    let (status, whole) =
        call(&server, "PATCH", &json!({"quiet_hours": {"enabled": true, "end_time": "07:00"}}))
            .await;
    assert_eq!(status, 200);
    let row = &whole["notification_types"]["billing"];
    assert_eq!(
        (&row["email"], &row["sms"], &row["push"]),
        (&json!(false), &json!(false), &json!(true))
    );
    let quiet = &whole["quiet_hours"];
    assert_eq!(
        (&quiet["start_time"], &quiet["end_time"]),
        (&json!("22:00:00"), &json!("07:00:00"))
    );
    let gone = json!({"notification_types": {"billing": {"email": null}}, "quiet_hours": null});
    let (_, whole) = call(&server, "PATCH", &gone).await;
    assert_eq!(whole["notification_types"]["billing"]["email"], true);
    assert_eq!(whole["notification_types"]["billing"]["sms"], false);
    assert_eq!(whole["quiet_hours"]["enabled"], false);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_path() {
    let server = Server::start().await;
    let quiet = |field: &str, value: Value| json!({"quiet_hours": {(field): value}});
    let rows = [
        (quiet("timezone", json!("Mars/Olympus")), "quiet_hours.timezone"),
        (quiet("timezone", json!(3)), "quiet_hours.timezone"),
        (quiet("start_time", json!("25:00")), "quiet_hours.start_time"),
        (quiet("start_time", json!("8:00")), "quiet_hours.start_time"),
        (quiet("end_time", json!("08:00:00.5")), "quiet_hours.end_time"),
        (quiet("end_time", json!("22:00")), "quiet_hours.end_time"),
        (quiet("enabled", json!("yes")), "quiet_hours.enabled"),
        (quiet("until", json!("08:00")), "quiet_hours.until"),
        (json!({"quiet_hours": []}), "quiet_hours"),
        (json!({"notification_types": {"gossip": {}}}), "notification_types.gossip"),
        (
            json!({"notification_types": {"billing": {"fax": true}}}),
            "notification_types.billing.fax",
        ),
        (
            json!({"notification_types": {"billing": {"email": 1}}}),
            "notification_types.billing.email",
        ),
        (json!({"notification_types": {"billing": true}}), "notification_types.billing"),
        (json!({"frequency_limits": {"max_per_hour": -1}}), "frequency_limits.max_per_hour"),
        (json!({"frequency_limits": {"max_per_week": 1}}), "frequency_limits.max_per_week"),
        (json!({"workflows": {"a": {"email": "no"}}}), "workflows.a.email"),
        (json!({"topics": {"a": "no"}}), "topics.a"),
        (json!({"colour": "red"}), "colour"),
        (json!([]), ""),
    ];
    for (content, field) in rows {
        for method in ["PUT", "PATCH"] {
            let refused = call(&server, method, &content).await;
            assert_eq!(
                code(refused),
                (400, "NOTIF_006".into(), json!(field)),
                "{method} {content}"
            );
        }
    }
}

#[tokio::test]
async fn an_admin_speaks_for_others_and_nobody_else_does() {
    let server = Server::start().await;
    let path = format!("{PATH}?user_id=42");
    let off = json!({"notification_types": {"billing": {"email": false}}});
    let (status, whole) = answer(server.admin("PATCH", &path).json(&off)).await;
    assert_eq!((status, &whole["user"]), (200, &json!(42)));
    let (_, own) = answer(server.user("42", "GET", PATH)).await;
    assert_eq!(own["notification_types"]["billing"]["email"], false);
    for method in ["GET", "PUT", "PATCH"] {
        let refused = answer(server.user("43", method, &path).json(&json!({}))).await;
        assert_eq!(code(refused), (404, "NOTIF_001".into(), Value::Null));
    }
}

#[tokio::test]
async fn a_whole_category_is_switched_by_one_word_and_single_channels_beside_it() {
    let server = Server::start().await;
    let types = |row: Value| json!({"notification_types": {"billing": row}});
    let (status, whole) = call(&server, "PATCH", &types(json!(false))).await;
    assert_eq!(status, 200, "{whole}");
    let row = &whole["notification_types"]["billing"];
    assert!(row.as_object().is_some_and(|row| row.values().all(|on| on == false)), "{row}");
    let (_, whole) = call(&server, "PATCH", &types(json!({"email": true}))).await;
    let row = &whole["notification_types"]["billing"];
    assert_eq!((&row["email"], &row["push"]), (&json!(true), &json!(false)), "{row}");
    let stored = server.store.preferences(&"42".into()).await.unwrap();
    assert_eq!(stored.notification_types["billing"].every(), Some(false));
    let (_, whole) = call(&server, "PATCH", &types(Value::Null)).await;
    assert_eq!(whole["notification_types"]["billing"], all_on());
    for bad in [
        types(json!("no")),
        types(json!(true)),
        types(json!({"*": 1})),
        types(json!({"fax": true})),
    ] {
        let refused = code(call(&server, "PATCH", &bad).await);
        assert_eq!((refused.0, refused.1.as_str()), (400, "NOTIF_006"), "{bad}");
    }
}

#[tokio::test]
async fn who_unsubscribed_is_shown_it() {
    let server = Server::start().await;
    let (status, whole) = call(&server, "PATCH", &json!({"unsubscribed": ["Billing"]})).await;
    assert_eq!((status, &whole["unsubscribed"]), (200, &json!(["billing"])));
    assert_eq!(call(&server, "PUT", &whole).await, (200, whole));
    let (_, none) = call(&server, "PATCH", &json!({"unsubscribed": []})).await;
    assert!(none.get("unsubscribed").is_none(), "{none}");
    for bad in [json!({"unsubscribed": ["fax"]}), json!({"unsubscribed": true})] {
        let refused = code(call(&server, "PATCH", &bad).await);
        assert_eq!((refused.0, refused.1.as_str()), (400, "NOTIF_006"), "{bad}");
    }
}

#[tokio::test]
async fn what_the_operator_decided_is_shown_where_nothing_was_said() {
    let mut config = Config::default();
    let off: Row = serde_json::from_value(json!({"push": false})).expect("a row");
    config.engine.preferences.insert("billing".into(), off);
    config.engine.budgets.max_per_day = Some(9);
    config.engine.quiet_hours = Some(QuietHours {
        start_time: "23:00".parse().expect("a time"),
        end_time: "06:00".parse().expect("a time"),
        timezone: None,
    });
    let gates = std::sync::Arc::new(Defaults::of(&config));
    let server = Server::with(Options { gates, ..Options::default() }).await;
    let (_, whole) = answer(server.user("42", "GET", PATH)).await;
    let billing = &whole["notification_types"]["billing"];
    assert_eq!((&billing["push"], &billing["email"]), (&json!(false), &json!(true)));
    assert_eq!(whole["notification_types"]["system"], all_on());
    let quiet = json!({"enabled": true, "start_time": "23:00:00", "end_time": "06:00:00",
        "timezone": "UTC"});
    assert_eq!(whole["quiet_hours"], quiet);
    assert_eq!(whole["frequency_limits"], json!({"max_per_hour": null, "max_per_day": 9}));
    let said = json!({"notification_types": {"billing": {"push": true}}});
    let (_, whole) = call(&server, "PATCH", &said).await;
    assert_eq!(whole["notification_types"]["billing"], all_on());
}

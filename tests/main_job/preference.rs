use serde_json::{Value, json};

use super::{Clinic, for_the_patient, row};

#[tokio::test]
async fn who_turned_mail_off_gets_none_and_explain_says_why() {
    let clinic = Clinic::open().await;
    let node = clinic.node().await;
    let token = node.token("42").await;
    let path = "/api/notifications/preferences/";
    let off = json!({"notification_types": {"appointment": {"email": false}}});
    let (status, whole) = node.send("PATCH", path, &token, Some(off.to_string())).await;
    assert_eq!(status, 200, "{whole}");
    assert_eq!(whole["notification_types"]["appointment"]["email"], false);
    assert_eq!(whole["notification_types"]["appointment"]["in_app"], true);
    let (status, again) = node.send("PUT", path, &token, Some(whole.to_string())).await;
    assert_eq!((status, &again), (200, &whole), "PUT takes what GET gave");

    let event = node.emit("appointment.booked", for_the_patient()).await;
    clinic.sink.reached(1).await;
    let decided = |rows: &[Value]| {
        ["in_app", "email", "webhook"].iter().all(|channel| row(rows, "42", channel).is_some())
    };
    let rows = node.explained(&event, decided).await;

    let mail = row(&rows, "42", "email").expect("a row");
    assert_eq!(
        (&mail["decision"], &mail["code"]),
        (&json!("drop"), &json!("preference.channel_off"))
    );
    let rule = mail["rule"].as_str().expect("the preference that decided");
    assert!(rule.contains("appointment") && rule.contains("email"), "{rule}");
    let hook = row(&rows, "42", "webhook").expect("a row");
    assert_eq!((&hook["decision"], &hook["provider"]), (&json!("send"), &json!("hook")));
    assert_eq!(hook["outcome"], "accepted");
    let text = node.command(&["explain", &event]).await;
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(text.stdout.contains("preference.channel_off"), "{}", text.stdout);
    assert!(text.stdout.contains(rule), "{}", text.stdout);
    assert!(text.stdout.contains("by hook: accepted"), "{}", text.stdout);
    let as_json = node.command(&["explain", &event, "--format", "json"]).await;
    let printed: Vec<Value> = serde_json::from_str(&as_json.stdout).expect("rows");
    assert_eq!(printed, rows);
    assert_eq!(clinic.smtp.mails(), []);

    let on = json!({"notification_types": {"appointment": {"email": true}}});
    node.send("PATCH", path, &token, Some(on.to_string())).await;
    let event = node.emit("appointment.booked", for_the_patient()).await;
    clinic.smtp.reached(1).await;
    let sent = |rows: &[Value]| row(rows, "42", "email").is_some();
    let rows = node.explained(&event, sent).await;
    let mail = row(&rows, "42", "email").expect("a row");
    assert_eq!((&mail["provider"], &mail["outcome"]), (&json!("smtp"), &json!("accepted")));
    assert!(mail["reason"].as_str().expect("text").contains("queued as 7"), "{mail}");
}

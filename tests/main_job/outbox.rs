use serde_json::json;

use super::{SAMPLE, people};
use crate::harness::node::Installation;

#[tokio::test]
async fn without_a_provider_everything_is_in_the_outbox() {
    let installation = Installation::of_project();
    let node = installation.dev().await;
    people(&node).await;
    let patch = json!({"data": {"webhook_url": "https://hooks.example/42"}});
    let (status, _) = node.call("PATCH", "/v1/users/42", Some(patch)).await;
    assert_eq!(status, 200);
    let emitted = installation.command(&["emit", "appointment.booked", "--data", SAMPLE]).await;
    assert_eq!(emitted.code, Some(0), "dev.env is found: {emitted:?}");

    let held = node.outbox(3).await;

    assert_eq!(held.len(), 3, "two mails and a hook");
    let to = |to: &str| held.iter().find(|one| one["to"] == to).expect("is held");
    let mail = to("amira@example.org");
    assert_eq!((&mail["channel"], &mail["provider"]), (&json!("email"), &json!("capture")));
    assert_eq!(mail["subject"], "Votre rendez-vous du 15 janvier 2027");
    assert!(mail["html"].as_str().expect("HTML").contains("Bonjour Amélie"));
    assert!(mail["text"].as_str().expect("text").starts_with("Bonjour Amélie"));
    assert_eq!(to("haddad@example.org")["subject"], "Your appointment on January 15, 2027");
    let hook = to("https://hooks.example/42");
    assert_eq!(hook["channel"], "webhook");

    let url = format!("{}/dev/outbox", node.url);
    let browser = reqwest::Client::new().get(&url).header("accept", "text/html,*/*");
    let page = browser.send().await.expect("an answer");
    assert!(page.headers().contains_key("content-security-policy"));
    let page = page.text().await.expect("a page");
    let frames: Vec<_> = page.match_indices("<iframe sandbox srcdoc=\"").collect();
    assert_eq!(frames.len(), 2, "each mail as it looks, and it runs no script");
    assert!(page.contains("Bonjour Amélie") && page.contains("amira@example.org"));
    let script = reqwest::Client::new().get(&url).send().await.expect("an answer");
    assert_eq!(script.status(), 401, "as JSON it takes the key");
    let elsewhere = reqwest::Client::new().get(&url).header("accept", "text/html");
    let elsewhere = elsewhere.header("host", "evil.example").send().await.expect("an answer");
    assert_eq!(elsewhere.status(), 401, "a name that was made to lead here is not ours");

    let (status, _) = node.call("DELETE", "/dev/outbox", None).await;
    assert_eq!(status, 204);
    let (_, empty) = node.call("GET", "/dev/outbox", None).await;
    assert_eq!(empty, json!([]));

    // Credentials stay the same from start to start.
    let key = node.api_key.clone();
    assert_eq!(node.stop().await, Some(0));
    assert_eq!(installation.dev().await.api_key, key);
}

//! What providers report of their own accord (docs/reference/api.md, "Callbacks").

use hmac::{Hmac, Mac};
use reqwest::Response;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::node::{Installation, Node};
use crate::harness::sink::Sink;
use crate::plugins::hosting;

const SECRET: &str = "what the provider signs with";

const WELCOME: &str = "workflow: welcome
on: user.joined
category: account
recipients: [{ user: event.data.user }]
steps:
  - id: mail
    send: email
    template: welcome
  - wait_for: { message: { step: mail, state: delivered }, timeout: 1h, on_timeout: stop }
  - send: webhook
    template: welcome
";

const OFFER: &str = "workflow: offer
on: offer.made
category: offer
recipients: [{ user: event.data.user }]
steps:
  - route: { channels: [email, webhook], success: delivered, within: 1h }
    template: welcome
";

/// A node whose mails go to a provider that reports.
struct Scene {
    node: Node,
    provider: Sink,
    hook: Sink,
}

impl Scene {
    async fn open() -> Self {
        let (provider, hook) = (Sink::start().await, Sink::start().await);
        let config = format!(
            "[channels.email]\nproviders = [\"reporter\"]\n\
             [providers.reporter]\nplugin = \"{}\"\nsettings = {{ url = \"{}\" }}\n\
             secrets = {{ callback = \"{SECRET}\" }}\n\
             [providers.hook]\nplugin = \"webhook\"\nsettings = {{ url = \"{}\" }}\n",
            hosting::guest("reporter"),
            provider.url("/send"),
            hook.url("/hook"),
        );
        let installation = Installation::empty()
            .file("nuncio.toml", &config)
            .file("workflows/welcome.yaml", WELCOME)
            .file("workflows/offer.yaml", OFFER)
            .file("workflows/types.yaml", "- { name: offer, marketing: true }\n- account\n")
            .file("templates/welcome/email.hbs", "---\nsubject: Hello\n---\nHello\n")
            .file("templates/welcome/webhook.hbs", "{\"hello\": true}\n");
        let node = installation.dev().await;
        node.put_user("42", json!({"email": "ana@example.com"})).await;
        Self { node, provider, hook }
    }

    /// The id of the message of an event of that name, once its provider took it.
    async fn sent(&self, event: &str) -> (String, String) {
        let event = self.node.emit(event, json!({"user": "42"})).await;
        let taken = |rows: &[Value]| rows.iter().any(|row| row["outcome"] == "accepted");
        let rows = self.node.explained(&event, taken).await;
        let row = rows.iter().find(|row| row["outcome"] == "accepted").expect("a row");
        (event, row["message"].as_str().expect("an id").to_owned())
    }

    async fn post(&self, body: &str, signature: &str, test: &str) -> Response {
        let url = format!("{}/v1/callbacks/reporter", self.node.url);
        let request = reqwest::Client::new().post(url).body(body.to_owned());
        let request = request.header("x-signature", signature).header("x-test", test);
        request.send().await.expect("an answer")
    }

    /// A signed report of one message; the status.
    async fn report(&self, message: &str, state: &str) -> u16 {
        self.report_of(json!([{"id": format!("p-{message}"), "state": state, "code": "c.1"}])).await
    }

    async fn report_of(&self, lines: Value) -> u16 {
        let body = lines.to_string();
        self.post(&body, &signed(&body), "").await.status().as_u16()
    }

    async fn status(&self, message: &str) -> String {
        let (_, found) = self.node.call("GET", &format!("/v1/messages/{message}"), None).await;
        found["status"].as_str().expect("text").to_owned()
    }
}

fn signed(body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    let mac = mac.chain_update(body).finalize().into_bytes();
    mac.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_report_moves_its_message_and_what_waits_for_it() {
    let scene = Scene::open().await;
    let (event, message) = scene.sent("user.joined").await;
    assert_eq!(scene.status(&message).await, "sent", "nobody knows of its delivery yet");
    assert_eq!(scene.hook.count(), 0, "the run waits");

    assert_eq!(scene.report(&message, "delivered").await, 200);
    assert_eq!(scene.status(&message).await, "delivered");
    scene.hook.reached(1).await;
    assert_eq!(scene.report(&message, "delivered").await, 200, "heard, and nothing is changed");

    let told = |rows: &[Value]| rows.iter().any(|row| row["code"] == "report.delivered");
    let rows = scene.node.explained(&event, told).await;
    let reports: Vec<_> = rows.iter().filter(|row| row["code"] == "report.delivered").collect();
    assert_eq!((reports.len(), &reports[0]["decision"]), (1, &json!("deliver")));
    assert_eq!(reports[0]["reason"], "reporter reports: delivered (c.1)");
    assert_eq!(reports[0]["message"], json!(message));
}

#[tokio::test]
async fn a_bounce_prunes_the_address_and_a_route_goes_on() {
    let scene = Scene::open().await;
    let (_, first) = scene.sent("offer.made").await;
    let soft = json!([{"id": format!("p-{first}"), "state": "bounced", "soft": true}]);
    assert_eq!(scene.report_of(soft).await, 200);
    assert_eq!(scene.status(&first).await, "bounced");
    scene.hook.reached(1).await;

    let (_, second) = scene.sent("offer.made").await;
    assert_eq!(scene.report(&second, "bounced").await, 200);
    assert_eq!(scene.report(&second, "delivered").await, 200);
    assert_eq!(scene.status(&second).await, "bounced", "late reports move nothing back");
    scene.hook.reached(2).await;
    let third = scene.node.emit("offer.made", json!({"user": "42"})).await;
    let dropped = |rows: &[Value]| rows.iter().any(|row| row["code"] == "reachable.bounced");
    scene.node.explained(&third, dropped).await;
    assert_eq!(scene.provider.count(), 2, "the address is left alone");
}

#[tokio::test]
async fn who_complains_hears_no_more_advertising() {
    let scene = Scene::open().await;
    let (_, message) = scene.sent("user.joined").await;
    assert_eq!(scene.report(&message, "complained").await, 200);
    assert_eq!(scene.status(&message).await, "complained");
    let offer = scene.node.emit("offer.made", json!({"user": "42"})).await;
    let dropped = |rows: &[Value]| rows.iter().any(|row| row["code"] == "preference.unsubscribed");
    scene.node.explained(&offer, dropped).await;
    scene.sent("user.joined").await;
    assert_eq!(scene.provider.count(), 2, "what is no advertising still comes");
}

#[tokio::test]
async fn only_the_provider_is_believed() {
    let scene = Scene::open().await;
    let (_, message) = scene.sent("user.joined").await;
    let body = json!([{"id": format!("p-{message}"), "state": "delivered"}]).to_string();
    let right = signed(&body);
    for (body, signature) in [
        (body.as_str(), signed("another body").as_str()),
        (body.as_str(), ""),
        (body.as_str(), "zz"),
        ("[]", right.as_str()),
    ] {
        let refused = scene.post(body, signature, "").await;
        assert_eq!(refused.status(), 401, "{signature}");
        let problem: Value = refused.json().await.expect("JSON");
        assert_eq!(problem["code"], "callback.refused");
    }
    assert_eq!(scene.status(&message).await, "sent");
    let heard = scene.post(&body, &right, "").await;
    assert_eq!(heard.status(), 200);
    assert_eq!(heard.headers()["content-type"], "application/json");
    assert_eq!(heard.text().await.expect("text"), "{\"heard\":true}");
}

#[tokio::test]
async fn what_is_about_nothing_we_know_is_counted() {
    let scene = Scene::open().await;
    assert_eq!(scene.report("nothing", "delivered").await, 202);
    let metrics = reqwest::get(format!("{}/metrics", scene.node.url)).await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    let counted = "nuncio_reported_messages_total{provider=\"reporter\",state=\"delivered\",outcome=\"unknown\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    for provider in ["hook", "nobody"] {
        let url = format!("{}/v1/callbacks/{provider}", scene.node.url);
        let answer = reqwest::Client::new().post(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 404, "{provider}");
    }
}

#[tokio::test]
async fn a_request_has_bounds() {
    let scene = Scene::open().await;
    let large = "x".repeat((256 << 10) + 1);
    assert_eq!(scene.post(&large, &signed(&large), "").await.status(), 413);
    for test in ["loop", "panic"] {
        let refused = scene.post("[]", &signed("[]"), test).await;
        assert_eq!(refused.status(), 503, "{test}");
        assert!(refused.headers().contains_key("retry-after"));
    }
    assert_eq!(scene.report_of(json!([])).await, 200, "the next is heard");
}

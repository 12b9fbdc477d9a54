use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use nuncio::channel::wasm::Setup;
use nuncio::channel::{Address, ContentKind, Outcome};
use nuncio::egress::{AllowPrivate, Policy};
use serde_json::json;
use sha2::Sha256;
use tokio::sync::Notify;

use super::hosting::{DEADLINE, code, host, host_with, parcel, provider, secret, setup};
use crate::harness::sink::{Answer, Sink};

const KEY: &[u8] = b"a key of some thirty bytes or so";

#[tokio::test]
async fn a_webhook_is_signed_and_byte_for_byte() {
    let sink = Sink::start().await;
    let settings = json!({"url": sink.url("/hook"), "headers": {"x-team": "blue"}});
    let signing = format!("whsec_{}", STANDARD.encode(KEY));
    let webhook = provider(&host(), "webhook", secret(setup(settings), "signing", &signing)).await;
    let body = "{ \"price\": 1.50,\n  \"näme\": \"🎉\" }";
    let parcel = parcel("webhook", "", body);

    let outcome = webhook.send(&parcel, DEADLINE).await;

    assert_eq!(outcome, Outcome::Accepted { receipt: None, detail: None });
    let [request] = &sink.requests()[..] else { panic!("one request") };
    let header = |name: &str| request.headers.get(name).expect(name).to_str().unwrap().to_owned();
    assert_eq!(request.method, "POST");
    assert_eq!(request.body, body);
    assert_eq!(request.uri.path(), "/hook");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("x-team"), "blue");
    assert_eq!(header("webhook-id"), parcel.idempotency_key);
    // As a receiver would: Standard Webhooks, "Verifying webhooks".
    let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let mac = STANDARD.decode(header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    let verifier = Hmac::<Sha256>::new_from_slice(KEY).unwrap().chain_update(signed);
    verifier.verify_slice(&mac).expect("the signature verifies");
    let age = parcel.at.as_second() - header("webhook-timestamp").parse::<i64>().unwrap();
    assert!(age.abs() < 60, "the timestamp is of now");
}

#[tokio::test]
async fn without_a_secret_it_goes_unsigned() {
    let sink = Sink::start().await;
    let webhook = provider(&host(), "webhook", setup(json!({"url": sink.url("/")}))).await;

    assert_eq!(code(&webhook.send(&parcel("webhook", "", "{}"), DEADLINE).await), "accepted");

    assert!(!sink.requests()[0].headers.contains_key("webhook-signature"));
}

#[tokio::test]
async fn the_parcels_address_comes_before_the_settings() {
    let (sink, own) = (Sink::start().await, Sink::start().await);
    let policy = Policy { allow_private: AllowPrivate::All, ..Policy::default() };
    let host = host_with(policy, Default::default());
    let webhook = provider(&host, "webhook", setup(json!({"url": sink.url("/")}))).await;

    let to = own.url("/own?x=1");
    assert_eq!(code(&webhook.send(&parcel("webhook", &to, "{}"), DEADLINE).await), "accepted");

    assert_eq!((sink.count(), own.count()), (0, 1));
    assert_eq!(own.requests()[0].uri.to_string(), "/own?x=1");
}

#[tokio::test]
async fn a_private_address_from_data_needs_the_operators_leave() {
    let (sink, own) = (Sink::start().await, Sink::start().await);
    let host = host();
    let webhook = provider(&host, "webhook", setup(json!({"url": sink.url("/")}))).await;
    let localhost = format!("http://localhost:{}/", own.address.port());

    for to in [own.url("/"), localhost, "http://169.254.169.254/latest/meta-data".into()] {
        let outcome = webhook.send(&parcel("webhook", &to, "{}"), DEADLINE).await;
        assert!(matches!(outcome, Outcome::Rejected { .. }), "{to}: {outcome:?}");
        assert_eq!(code(&outcome), "egress.private", "{to}");
    }
    // The operator's own is open to data as well: it is the same receiver.
    let to = sink.url("/elsewhere");
    assert_eq!(code(&webhook.send(&parcel("webhook", &to, "{}"), DEADLINE).await), "accepted");
    assert_eq!(own.count(), 0);
}

/// More at once than there are places: they wait for one, and none is lost or doubled.
#[tokio::test]
async fn hundreds_at_once_arrive_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let (counting, writing) =
        (Sink::counting().await, Sink::writing_ids(&folder.path().join("ids")).await);
    for sink in [&counting, &writing] {
        let setup = Setup { concurrency: 8, ..setup(json!({"url": sink.url("/")})) };
        let webhook = provider(&host(), "webhook", setup).await;
        let parcels: Vec<_> = (0..300).map(|_| parcel("webhook", "", "{}")).collect();
        let sending = parcels.iter().map(|parcel| webhook.send(parcel, DEADLINE));
        for outcome in futures_util::future::join_all(sending).await {
            assert_eq!(code(&outcome), "accepted");
        }
        assert_eq!(sink.count(), 300);
        let arrived = sink.by_id();
        assert!(parcels.iter().all(|parcel| arrived.get(&parcel.idempotency_key) == Some(&1)));
    }
    let written = std::fs::read_to_string(folder.path().join("ids")).unwrap();
    assert_eq!(written.lines().count(), 300);
}

#[tokio::test]
async fn a_receiver_that_is_down_is_tried_again_each_time() {
    let sink = Sink::start().await;
    let webhook = provider(&host(), "webhook", setup(json!({"url": sink.url("/")}))).await;
    sink.answer_always(Answer::status(503));
    for _ in 0..3 {
        let outcome = webhook.send(&parcel("webhook", "", "{}"), DEADLINE).await;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    }
    assert_eq!(sink.count(), 3);
}

#[tokio::test]
async fn each_answer_has_its_outcome() {
    let sink = Sink::start().await;
    let webhook = provider(&host(), "webhook", setup(json!({"url": sink.url("/")}))).await;
    let mut seen = Vec::new();
    for status in [204, 302, 400, 401, 404, 408, 410, 425, 429, 500, 503] {
        sink.answer(Answer::status(status));
        let outcome = webhook.send(&parcel("webhook", "", "{}"), DEADLINE).await;
        let class = match &outcome {
            Outcome::Accepted { .. } => "accepted",
            Outcome::Retry { .. } => "retry",
            Outcome::RateLimited { .. } => "rate limited",
            Outcome::InvalidRecipient { .. } => "invalid recipient",
            Outcome::Rejected { .. } => "rejected",
            other => panic!("{status}: {other:?}"),
        };
        seen.push(format!("{status} {class} {}", code(&outcome)));
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    204 accepted accepted
    302 rejected webhook.redirect
    400 rejected http.400
    401 rejected http.401
    404 rejected http.404
    408 retry http.408
    410 invalid recipient http.410
    425 retry http.425
    429 rate limited http.429
    500 retry http.500
    503 retry http.503
    ");
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let sink = Sink::start().await;
    let webhook = provider(&host(), "webhook", setup(json!({"url": sink.url("/")}))).await;

    sink.answer(Answer::status(429).header("retry-after", "7"));
    let outcome = webhook.send(&parcel("webhook", "", "{}"), DEADLINE).await;
    let Outcome::RateLimited { after, failure } = outcome else { panic!("{outcome:?}") };
    assert_eq!(after, Some(Duration::from_secs(7)));
    assert_eq!(failure.provider_status, Some(429));

    sink.answer(Answer::status(503).header("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"));
    let outcome = webhook.send(&parcel("webhook", "", "{}"), DEADLINE).await;
    assert!(matches!(outcome, Outcome::Retry { after: Some(Duration::ZERO), .. }), "{outcome:?}");
}

#[tokio::test]
async fn silence_after_the_request_leaves_the_outcome_open() {
    let sink = Sink::start().await;
    let webhook = provider(&host(), "webhook", setup(json!({"url": sink.url("/")}))).await;
    sink.answer(Answer::status(200).after(&Arc::new(Notify::new())));

    let outcome = webhook.send(&parcel("webhook", "", "{}"), Duration::from_secs(1)).await;

    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(code(&outcome), "http.timeout");
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn a_closed_port_is_worth_another_try() {
    let sink = Sink::start().await;
    let url = sink.url("/");
    drop(sink);
    let webhook = provider(&host(), "webhook", setup(json!({"url": url}))).await;

    // The socket closes when the server's task has been dropped, which is soon.
    let outcome = loop {
        let outcome = webhook.send(&parcel("webhook", "", "{}"), DEADLINE).await;
        if code(&outcome) != "accepted" {
            break outcome;
        }
    };

    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert_eq!(code(&outcome), "http.connect");
}

#[tokio::test]
async fn its_traits_come_from_the_manifest() {
    let host = host();
    let open = provider(&host, "webhook", setup(json!({}))).await;
    assert!(!open.traits().interrupts);
    assert!(open.traits().idempotent);
    assert_eq!(open.traits().kind, ContentKind::Json);
    assert_eq!(open.traits().address, Address::Data("webhook_url".into()));
    assert!(!open.traits().fixed_address);
    assert_eq!(code(&open.send(&parcel("webhook", "", "{}"), DEADLINE).await), "webhook.address");

    let fixed = provider(&host, "webhook", setup(json!({"url": "https://example.com/"}))).await;
    assert!(fixed.traits().fixed_address);
}

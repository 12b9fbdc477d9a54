//! Standard Webhooks (<https://www.standardwebhooks.com>): a POST of the rendered body, byte for
//! byte, with an id that stays the same over all attempts, and a signature.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nuncio_sdk::http::{self, Auth, Part, Request, Response};
use nuncio_sdk::{Channel, Failure, Field, Message, Receipt, SendError, runtime, secrets};
use serde::Deserialize;

struct Webhook;

#[derive(Deserialize)]
struct Settings {
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

nuncio_sdk::channel!(Webhook, manifest: "../manifest.toml");

/// Ours to set: an operator's header of such a name would break the protocol.
const OWN_HEADERS: [&str; 4] =
    ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"];

impl Channel for Webhook {
    type Settings = Settings;

    fn check(settings: &Settings) -> Vec<String> {
        settings
            .headers
            .keys()
            .filter(|name| OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)))
            .map(|name| format!("`headers.{name}` is set by the channel itself"))
            .collect()
    }

    fn send(message: Message, settings: Settings) -> Result<Receipt, SendError> {
        let url = match (message.recipient, settings.url) {
            (to, _) if !to.is_empty() => to,
            (_, Some(url)) => url,
            _ => return Err(SendError::invalid_recipient("webhook.address", "there is no URL")),
        };
        let mut headers = Vec::with_capacity(4 + settings.headers.len());
        let mut add = |name: &str, value: String| headers.push(Field { name: name.into(), value });
        let timestamp = (runtime::now_ms() / 1000).to_string();
        if let Some(mac) = sign(&message.idempotency_key, &timestamp, &message.body)? {
            add("webhook-signature", format!("v1,{}", STANDARD.encode(mac)));
        }
        add("content-type", "application/json".into());
        add("webhook-id", message.idempotency_key);
        add("webhook-timestamp", timestamp);
        for (name, value) in settings.headers {
            add(&name, value);
        }
        let answer = http::send(&Request {
            method: "POST".into(),
            url,
            headers,
            auth: Auth::None,
            body: vec![Part::Bytes(message.body.into())],
            timeout_ms: 0,
        })?;
        receipt(&answer)
    }
}

/// The MAC over `id.timestamp.body`; `None` where the operator gave no secret.
fn sign(id: &str, timestamp: &str, body: &str) -> Result<Option<Vec<u8>>, SendError> {
    let signed = [id, timestamp, body].join(".");
    match secrets::sign("signing", "hmac-sha256", signed.as_bytes()) {
        Ok(mac) => Ok(Some(mac)),
        Err(why) if why == "absent" => Ok(None),
        Err(why) => Err(SendError::misconfigured("webhook.signing", why)),
    }
}

/// The receiver is not our provider: that it refuses us (401, 403) says nothing of the next one,
/// and 410 says that it wants no more.
fn receipt(answer: &Response) -> Result<Receipt, SendError> {
    let refused = |code: &str, message: &str| {
        let mut failure = Failure::new(code, message);
        failure.provider_status = Some(answer.status);
        failure
    };
    match answer.status {
        200..=299 => Ok(Receipt::new(None)),
        300..=399 => Err(SendError::Rejected(refused(
            "webhook.redirect",
            "the address answers with a redirect, which is not followed",
        ))),
        410 => Err(SendError::InvalidRecipient(refused(
            "http.410",
            "the receiver is gone and wants no more",
        ))),
        401 | 403 | 407 => Err(SendError::Rejected(refused(
            &format!("http.{}", answer.status),
            "the receiver does not let us in",
        ))),
        _ => Err(http::failure(answer)),
    }
}

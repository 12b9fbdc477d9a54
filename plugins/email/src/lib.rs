//! Mail: an HTML part with its text beside it, through the host's SMTP transport.

mod compose;

use nuncio_sdk::{Channel, Message, Receipt, SendError, mail, runtime};
use serde::Deserialize;

struct Email;

/// The server's name, port and log-in are the host's business: they make the transport.
#[derive(Deserialize)]
struct Settings {
    from: String,
}

nuncio_sdk::channel!(Email, manifest: "../manifest.toml");

impl Channel for Email {
    type Settings = Settings;

    fn check(settings: &Settings) -> Vec<String> {
        match compose::mailbox(&settings.from) {
            Ok(_) => Vec::new(),
            Err(why) => vec![format!("`from`: {why}")],
        }
    }

    fn send(message: Message, settings: Settings) -> Result<Receipt, SendError> {
        let from = compose::mailbox(&settings.from)
            .map_err(|why| SendError::misconfigured("email.from", why))?;
        let to = compose::mailbox(&message.recipient)
            .map_err(|why| SendError::invalid_recipient("email.address", why))?;
        let (sender, recipient) = (from.email.to_string(), to.email.to_string());
        let bytes = compose::mail(message, from, to, runtime::now_ms())?;
        let answer = mail::submit("smtp", &sender, &[recipient], &bytes)?;
        // SMTP has no other: servers name the mail in their last words ("queued as …").
        Ok(Receipt::new((!answer.is_empty()).then_some(answer)))
    }
}

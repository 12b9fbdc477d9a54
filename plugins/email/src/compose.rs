use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use nuncio_sdk::{Message, SendError};

/// A mailbox with or without a display name. The error never repeats it.
pub fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    if breaks(text) {
        return Err("it holds a line break");
    }
    text.trim().parse().map_err(|_| "it is no mailbox")
}

/// The message as it goes over the wire. The same input gives the same bytes, so that every
/// attempt looks alike to who compares them.
pub fn mail(
    message: Message,
    from: Mailbox,
    to: Mailbox,
    now_ms: u64,
) -> Result<Vec<u8>, SendError> {
    let key = &message.idempotency_key;
    let subject = message.subject.unwrap_or_default();
    if breaks(&subject) || breaks(key) {
        return Err(SendError::rejected("email.header", "a header would hold a line break"));
    }
    let builder = lettre::Message::builder()
        .message_id(Some(format!("<{key}@{}>", from.email.domain())))
        .date(UNIX_EPOCH + Duration::from_millis(now_ms))
        .from(from)
        .to(to)
        .subject(subject);
    let text = message.parts.into_iter().find(|part| part.name == "text").map(|part| part.value);
    let composed = match (message.kind.as_str(), text) {
        ("html", Some(text)) => builder.multipart(
            MultiPart::alternative()
                .boundary(format!("nuncio-{}", key.replace(|c| !is_boundary(c), "-")))
                .singlepart(part(ContentType::TEXT_PLAIN, text))
                .singlepart(part(ContentType::TEXT_HTML, message.body)),
        ),
        ("html", None) => builder.singlepart(part(ContentType::TEXT_HTML, message.body)),
        _ => builder.singlepart(part(ContentType::TEXT_PLAIN, message.body)),
    };
    composed
        .map(|mail| mail.formatted())
        .map_err(|why| SendError::rejected("email.compose", why.to_string()))
}

/// Quoted-printable whatever the text: then no line of it can be too long, end in the wrong way,
/// or be taken for a command.
fn part(kind: ContentType, text: String) -> SinglePart {
    let encoding = ContentTransferEncoding::QuotedPrintable;
    // The encoder refuses nothing for this encoding; what it would refuse comes back as bytes.
    let body = Body::new_with_encoding(text, encoding).unwrap_or_else(Body::new);
    SinglePart::builder().header(kind).body(body)
}

fn breaks(text: &str) -> bool {
    text.contains(['\r', '\n', '\0'])
}

/// RFC 2046 §5.1.1, without those that need quoting.
fn is_boundary(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

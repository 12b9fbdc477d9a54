//! Texts that fit where they go.

use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

use super::Arguments;
use super::gsm::Encoding;
use super::text::shown;
use crate::template::part::Kind;

/// `{{truncate text 80}}`: as much as the channel's room of 80 holds, the end an ellipsis where it
/// was cut. Never cuts within what a reader sees as one character.
pub(super) fn truncate(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let text = shown(arguments.value(0, "a text")?)?;
    if let Some(segments) = arguments.option("segments") {
        let encoding = Encoding::of(&text);
        let room = encoding.room_of_segments(length(segments)?);
        return Ok(short_message(&text, encoding, room).into());
    }
    let limit = length(arguments.value(1, "a length")?)?;
    Ok(match arguments.kind {
        Kind::Sms => {
            let encoding = Encoding::of(&text);
            short_message(&text, encoding, encoding.room(limit))
        }
        Kind::Push => cut(&text, limit, "…", str::len),
        Kind::Html | Kind::Json | Kind::Text => cut(&text, limit, "…", |_| 1),
    }
    .into())
}

fn length(value: &Value) -> Result<usize, String> {
    let length = value.as_u64().and_then(|length| usize::try_from(length).ok());
    length
        .filter(|length| *length > 0)
        .ok_or("the length must be a whole number above 0".to_owned())
}

fn short_message(text: &str, encoding: Encoding, room: usize) -> String {
    cut(text, room, encoding.ellipsis(), |piece| encoding.cost(piece))
}

/// `cost` is what a character takes of the room. Where not even the ellipsis fits, there is none.
fn cut(text: &str, room: usize, ellipsis: &str, cost: impl Fn(&str) -> usize) -> String {
    let of_ellipsis: usize = ellipsis.graphemes(true).map(&cost).sum();
    let (ellipsis, of_ellipsis) =
        if of_ellipsis <= room { (ellipsis, of_ellipsis) } else { ("", 0) };
    let (mut used, mut kept) = (0, 0);
    for (at, character) in text.grapheme_indices(true) {
        used += cost(character);
        if used > room {
            return format!("{}{ellipsis}", text[..kept].trim_end());
        }
        if used + of_ellipsis <= room {
            kept = at + character.len();
        }
    }
    text.to_owned()
}

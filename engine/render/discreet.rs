//! What a lock screen may show of a sensitive message: that there is something new.

use crate::model::{Content, Planned};
use crate::template::Set;

/// A language's words, the first for those that are not here.
const WORDS: [(&str, Words); 2] = [
    ("en", Words { title: "New notification", text: "You have a new notification." }),
    ("fr", Words { title: "Nouvelle notification", text: "Vous avez une nouvelle notification." }),
];

struct Words {
    title: &'static str,
    text: &'static str,
}

/// The template's own public words, which can hold nothing of the event, else a language's.
pub(super) fn content(planned: &Planned, template: Option<&str>, templates: &Set) -> Content {
    let (channel, locale) = (planned.message.channel.as_str(), planned.recipient.locale());
    let own = template.map(|path| templates.public_words(path, channel, locale));
    let own = own.unwrap_or_default();
    let words = words(locale);
    Content {
        kind: "text",
        subject: Some(own.title.unwrap_or_else(|| words.title.to_owned())),
        body: own.text.unwrap_or_else(|| words.text.to_owned()),
        ..Content::default()
    }
}

fn words(locale: Option<&str>) -> &'static Words {
    let language = locale.and_then(|locale| locale.split(['-', '_']).next()).unwrap_or_default();
    let known = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(language));
    &known.unwrap_or(&WORDS[0]).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_in_the_recipients_language_or_in_english() {
        let text = |locale| words(locale).text;
        assert_eq!(text(Some("fr-CA")), "Vous avez une nouvelle notification.");
        assert_eq!(text(Some("FR")), text(Some("fr_FR")));
        for other in [None, Some("ar"), Some("en-GB"), Some("")] {
            assert_eq!(text(other), "You have a new notification.", "{other:?}");
        }
    }
}

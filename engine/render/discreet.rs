//! What a lock screen may show of a sensitive message: that there is something new.

use crate::model::Content;

/// A language's words, the first for those that are not here.
const WORDS: [(&str, Words); 2] = [
    ("en", Words { title: "New notification", body: "You have a new notification." }),
    ("fr", Words { title: "Nouvelle notification", body: "Vous avez une nouvelle notification." }),
];

struct Words {
    title: &'static str,
    body: &'static str,
}

/// The same for every message of a language; nothing of the event, the workflow or the template.
pub(super) fn content(locale: Option<&str>) -> Content {
    let language = locale.and_then(|locale| locale.split(['-', '_']).next()).unwrap_or_default();
    let known = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(language));
    let (_, words) = known.unwrap_or(&WORDS[0]);
    Content {
        kind: "text",
        subject: Some(words.title.to_owned()),
        body: words.body.to_owned(),
        ..Content::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_in_the_recipients_language_or_in_english() {
        let body = |locale| content(locale).body;
        assert_eq!(body(Some("fr-CA")), "Vous avez une nouvelle notification.");
        assert_eq!(body(Some("FR")), body(Some("fr_FR")));
        for other in [None, Some("ar"), Some("en-GB"), Some("")] {
            assert_eq!(body(other), "You have a new notification.", "{other:?}");
        }
    }
}

//! What a template says where anybody may read it.

use serde_json::{Map, Value};

use super::part::Kind;
use super::{Context, Set, one_line};

/// The words of a front matter for a lock screen, as far as it has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicWords {
    pub title: Option<String>,
    pub text: Option<String>,
}

impl Set {
    /// The `public_title` and `public_text` of a channel's file in the language nearest to
    /// `locale`. They are given nothing to read: one that reads a field has no words.
    pub fn public_words(&self, path: &str, channel: &str, locale: Option<&str>) -> PublicWords {
        let Some(channel) = self.channel(path, channel) else { return PublicWords::default() };
        let fields = &channel.nearest(locale).fields;
        let nothing = Context::from(Value::Object(Map::new()));
        let words = |field: &str| {
            let (_, part) = fields.iter().find(|(name, _)| name == field)?;
            let words = one_line(self.engines.render(Kind::Text, part, &nothing).ok()?);
            (!words.is_empty()).then_some(words)
        };
        PublicWords { title: words("public_title"), text: words("public_text") }
    }
}

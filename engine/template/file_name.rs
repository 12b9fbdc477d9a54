//! What a file is, by its name.

/// A template file's place in the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileName {
    Template { path: String, channel: String, locale: Option<String>, text: bool },
    Layout { name: String, locale: Option<String>, text: bool },
    Partial { name: String },
}

impl FileName {
    /// `Ok(None)`: no template file (`sample.json`, a README).
    pub(super) fn parse(path: &str) -> Result<Option<Self>, String> {
        let Some(stem) = path.strip_suffix(".hbs") else {
            return Ok(None);
        };
        let stem = stem.strip_prefix("templates/").unwrap_or(stem);
        if let Some(name) = stem.strip_prefix("_partials/") {
            return Ok(Some(Self::Partial { name: name.to_owned() }));
        }
        let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
        let mut pieces = name.split('.');
        let first = pieces.next().unwrap_or_default();
        let rest: Vec<&str> = pieces.collect();
        let (locale, text) = suffixes(&rest).ok_or_else(|| {
            "a name is `<channel>.hbs`, `<channel>.<locale>.hbs` or, for a text part, \
             `<channel>[.<locale>].txt.hbs`"
                .to_owned()
        })?;
        if let Some(name) = format!("{folder}/{first}").strip_prefix("_layouts/") {
            return Ok(Some(Self::Layout { name: name.to_owned(), locale, text }));
        }
        if folder.is_empty() {
            return Err("a template lies in a folder of its own: `<path>/<channel>.hbs`".to_owned());
        }
        if !is_channel(first) {
            return Err(format!("`{first}` is no name of a channel"));
        }
        if text && first != "email" {
            return Err("only `email` has a text part".to_owned());
        }
        let (path, channel) = (folder.to_owned(), first.to_owned());
        Ok(Some(Self::Template { path, channel, locale, text }))
    }
}

fn suffixes(rest: &[&str]) -> Option<(Option<String>, bool)> {
    match rest {
        [] => Some((None, false)),
        ["txt"] => Some((None, true)),
        [locale] if is_locale(locale) => Some((Some((*locale).to_owned()), false)),
        [locale, "txt"] if is_locale(locale) => Some((Some((*locale).to_owned()), true)),
        _ => None,
    }
}

fn is_channel(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// BCP 47 in shape: a language of two or three letters and subtags of up to eight characters.
fn is_locale(text: &str) -> bool {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    matches!(language.len(), 2..=3)
        && language.bytes().all(|b| b.is_ascii_alphabetic())
        && subtags
            .all(|tag| matches!(tag.len(), 1..=8) && tag.bytes().all(|b| b.is_ascii_alphanumeric()))
}

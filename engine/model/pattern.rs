use std::fmt;

/// An event's name, or a glob: `*` stands for any letters, dots too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// `None` for what no event can be called: nothing, or white space.
    pub fn parse(text: &str) -> Option<Self> {
        let sound =
            !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        sound.then(|| Self(text.to_owned()))
    }

    pub fn is_glob(&self) -> bool {
        self.0.contains('*')
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some(found) = rest.find(part) else {
                return false;
            };
            rest = &rest[found + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn globs_match_by_their_parts_in_order() {
        let matches = |pattern: &str, name: &str| Pattern::parse(pattern).unwrap().matches(name);
        assert!(matches("order.paid", "order.paid"));
        assert!(!matches("order.paid", "order.paid.twice"));
        assert!(matches("order.*", "order.paid.twice"));
        assert!(!matches("order.*", "order"));
        assert!(matches("*.paid", "order.paid"));
        assert!(matches("order.*.twice", "order.paid.twice"));
        assert!(!matches("aa*aa", "aaa"));
        assert!(matches("*", "anything.at.all"));
        assert!(Pattern::parse("order paid").is_none());
    }
}

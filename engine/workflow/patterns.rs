use std::collections::HashMap;

use super::Pattern;

/// Values by patterns of event names, found without asking every pattern.
///
/// A name is looked up as it is; for globs, its beginnings and endings are, of such lengths as any
/// glob has before its first and behind its last `*`.
#[derive(Clone, Debug)]
pub(super) struct Patterns<T> {
    exact: HashMap<String, Vec<T>>,
    globs: Affixes<Affixes<Vec<(Pattern, T)>>>,
}

/// Values by texts, and the lengths that the texts have.
#[derive(Clone, Debug)]
struct Affixes<V> {
    lengths: Vec<usize>,
    by_text: HashMap<String, V>,
}

impl<T: Copy> Patterns<T> {
    pub fn insert(&mut self, pattern: &Pattern, value: T) {
        let text = pattern.as_str();
        match (text.split_once('*'), text.rsplit_once('*')) {
            (Some((before, _)), Some((_, behind))) => {
                let found = self.globs.entry(before).entry(behind);
                found.push((pattern.clone(), value));
            }
            _ => self.exact.entry(text.to_owned()).or_default().push(value),
        }
    }

    /// Of the patterns that are this name.
    pub fn named(&self, name: &str) -> &[T] {
        self.exact.get(name).map_or(&[], Vec::as_slice)
    }

    /// Of the globs that match it, in no order; one that was put in twice is found twice.
    pub fn globs(&self, name: &str) -> Vec<T> {
        let mut found = Vec::new();
        for &before in &self.globs.lengths {
            let Some(endings) = name.get(..before).and_then(|text| self.globs.by_text.get(text))
            else {
                continue;
            };
            for &behind in &endings.lengths {
                let start = name.len().checked_sub(behind);
                let text = start.and_then(|start| name.get(start..));
                let globs = text.and_then(|text| endings.by_text.get(text)).into_iter().flatten();
                let matching = globs.filter(|(pattern, _)| pattern.matches(name));
                found.extend(matching.map(|(_, value)| *value));
            }
        }
        found
    }
}

impl<V: Default> Affixes<V> {
    fn entry(&mut self, text: &str) -> &mut V {
        if let Err(place) = self.lengths.binary_search(&text.len()) {
            self.lengths.insert(place, text.len());
        }
        self.by_text.entry(text.to_owned()).or_default()
    }
}

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), globs: Affixes::default() }
    }
}

impl<V> Default for Affixes<V> {
    fn default() -> Self {
        Self { lengths: Vec::new(), by_text: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Pattern, Patterns};

    proptest! {
        #[test]
        fn what_matches_is_found_and_nothing_else(
            patterns in prop::collection::vec("[a.*é]{1,5}", 0..20),
            name in "[a.é]{0,6}",
        ) {
            let parsed: Vec<Pattern> = patterns.iter().filter_map(|text| Pattern::parse(text)).collect();
            let mut set = Patterns::default();
            for (index, pattern) in parsed.iter().enumerate() {
                set.insert(pattern, index);
            }
            let mut found = set.globs(&name);
            found.extend(set.named(&name));
            found.sort_unstable();
            let matching = parsed.iter().enumerate().filter(|(_, pattern)| pattern.matches(&name));
            prop_assert_eq!(found, matching.map(|(index, _)| index).collect::<Vec<_>>());
        }
    }
}

//! Statements over many rows at once: a column is one array, and `unnest` makes rows of them.
//!
//! The statements are fixed texts, so each is prepared once for whatever number of rows.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// A column of `rows`.
pub(super) fn each<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// What people and templates wrote, as PostgreSQL can hold it: it has no NUL in its texts.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

/// Bytes of a key that is kept as it is.
const LONGEST_KEY: usize = 1000;

/// A key as an index can hold it: a long one is its beginning and a hash of the whole. The same at
/// every write and look-up.
pub(super) fn key(whole: &str) -> Cow<'_, str> {
    let whole = text(whole);
    if whole.len() <= LONGEST_KEY {
        return whole;
    }
    let hash = hex(&Sha256::digest(whole.as_bytes()));
    let kept = whole.floor_char_boundary(LONGEST_KEY - hash.len());
    format!("{}{hash}", &whole[..kept]).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_KEY, key, text};

    #[test]
    fn a_nul_is_replaced_and_all_else_stays() {
        assert_eq!(text("a\0b"), "a\u{FFFD}b");
        assert!(matches!(text("Grüße"), std::borrow::Cow::Borrowed("Grüße")));
    }

    #[test]
    fn long_keys_stay_apart() {
        let long = "ä".repeat(LONGEST_KEY);
        let other = format!("{long}b");
        assert!(key(&long).len() <= LONGEST_KEY);
        assert_eq!(key(&long), key(&long));
        assert_ne!(key(&long), key(&other));
        assert_eq!(key("order-7"), "order-7");
    }
}

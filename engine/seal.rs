//! Values that are on the disk only as ciphertext: sealed with the operator's first key, opened
//! with any of them.
//!
//! A sealed value is text, `sealed:1:<key id>:<base64 of nonce and ciphertext>`. It is bound to a
//! place (a table's column and a row's id): moved to another, it does not open. The cipher is
//! XChaCha20-Poly1305 (docs/decisions/0030).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use crate::clock::Clock;

/// A key's shortest text: less is guessed.
pub const SHORTEST_KEY: usize = 32;

const PREFIX: &str = "sealed:1:";
const NONCE: usize = 24;

/// The keys in force. Cheap to clone; shows none of them.
#[derive(Clone)]
pub struct Sealer {
    keys: Arc<[Key]>,
    clock: Clock,
}

/// Why something cannot be sealed or opened. Holds neither key nor value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    #[error("there is no key in `encryption.keys`")]
    NoKey,
    #[error("key {place} of `encryption.keys` has fewer than {SHORTEST_KEY} characters")]
    ShortKey {
        /// From 1.
        place: usize,
    },
    #[error("it was sealed with key `{id}`, which is not in `encryption.keys`")]
    LostKey { id: String },
    #[error("it is not as it was sealed, or not where it was")]
    Damaged,
}

struct Key {
    /// Follows from the key, so that the same text has the same id in any order of keys.
    id: String,
    cipher: XChaCha20Poly1305,
}

impl Sealer {
    /// `texts` are the keys, the one that seals first; none: nothing can be sealed or opened.
    /// `clock` gives the nonces.
    ///
    /// # Errors
    /// A text is shorter than [`SHORTEST_KEY`].
    pub fn new(texts: &[String], clock: Clock) -> Result<Self, SealError> {
        let key = |(place, text): (usize, &String)| match text.len() {
            short if short < SHORTEST_KEY => Err(SealError::ShortKey { place: place + 1 }),
            _ => Ok(Key::of(text)),
        };
        let keys = texts.iter().enumerate().map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys, clock })
    }

    /// Without a key.
    pub fn none(clock: Clock) -> Self {
        Self { keys: Arc::default(), clock }
    }

    pub fn has_key(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Seals `clear` for `place`.
    ///
    /// # Errors
    /// [`SealError::NoKey`].
    pub fn seal(&self, place: &str, clear: &[u8]) -> Result<String, SealError> {
        let key = self.keys.first().ok_or(SealError::NoKey)?;
        let mut sealed = vec![0; NONCE];
        self.clock.fill_random(&mut sealed);
        let payload = Payload { msg: clear, aad: place.as_bytes() };
        let nonce = nonce(&sealed)?;
        let ciphertext = key.cipher.encrypt(&nonce, payload).map_err(|_| SealError::Damaged)?;
        sealed.extend(ciphertext);
        Ok(format!("{PREFIX}{}:{}", key.id, BASE64_STANDARD_NO_PAD.encode(sealed)))
    }

    /// What was sealed for `place`.
    ///
    /// # Errors
    /// Its key is not there, or the value is not the one that was sealed there.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let rest = sealed.strip_prefix(PREFIX).ok_or(SealError::Damaged)?;
        let (id, text) = rest.split_once(':').ok_or(SealError::Damaged)?;
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| SealError::LostKey { id: id.to_owned() })?;
        let bytes = BASE64_STANDARD_NO_PAD.decode(text).map_err(|_| SealError::Damaged)?;
        let (head, ciphertext) = bytes.split_at_checked(NONCE).ok_or(SealError::Damaged)?;
        let payload = Payload { msg: ciphertext, aad: place.as_bytes() };
        key.cipher.decrypt(&nonce(head)?, payload).map_err(|_| SealError::Damaged)
    }
}

impl Key {
    fn of(text: &str) -> Self {
        let digest = |what: &str| Sha256::new().chain_update(what).chain_update(text).finalize();
        let id = digest("nuncio key id:")[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let secret: [u8; 32] = digest("nuncio key:").into();
        Self { id, cipher: XChaCha20Poly1305::new(&secret.into()) }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

fn nonce(bytes: &[u8]) -> Result<XNonce, SealError> {
    let bytes: [u8; NONCE] = bytes.try_into().map_err(|_| SealError::Damaged)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old key of more than thirty-two characters";
    const NEW: &str = "a new key of more than thirty-two characters";

    fn sealer(keys: &[&str]) -> Sealer {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH, 7);
        Sealer::new(&keys, clock).expect("the keys are long enough")
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_alone() {
        let sealer = sealer(&[OLD]);
        let sealed = sealer.seal("event.data:1", b"a diagnosis").expect("there is a key");
        assert!(!sealed.contains("diagnosis"), "{sealed}");
        assert_eq!(sealer.open("event.data:1", &sealed), Ok(b"a diagnosis".to_vec()));
        assert_eq!(sealer.open("event.data:2", &sealed), Err(SealError::Damaged));
        assert_ne!(sealer.seal("event.data:1", b"a diagnosis"), Ok(sealed));
    }

    #[test]
    fn a_changed_value_does_not_open() {
        let sealer = sealer(&[OLD]);
        let sealed = sealer.seal("here", b"0 euros").expect("there is a key");
        let at = sealed.len() - 3;
        let other = if &sealed[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &sealed[..at], &sealed[at + 1..]);
        for wrong in [changed.as_str(), &sealed[..at], "sealed:1:", "sealed:2:x:y", "", "{}"] {
            assert!(sealer.open("here", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let before = sealer(&[OLD]).seal("here", b"old").expect("there is a key");
        let rotated = sealer(&[NEW, OLD]);
        assert_eq!(rotated.open("here", &before), Ok(b"old".to_vec()));
        let after = rotated.seal("here", b"new").expect("there is a key");
        assert_eq!(sealer(&[NEW]).open("here", &after), Ok(b"new".to_vec()));
        let lost = sealer(&[OLD]).open("here", &after);
        let id = after.split(':').nth(2).expect("the key's id");
        assert_eq!(lost, Err(SealError::LostKey { id: id.to_owned() }));
    }

    #[test]
    fn without_a_key_nothing_is_sealed_and_a_short_one_is_refused() {
        assert_eq!(sealer(&[]).seal("here", b"x"), Err(SealError::NoKey));
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH, 7);
        let short = Sealer::new(&[OLD.to_owned(), "short".to_owned()], clock);
        assert_eq!(short.err(), Some(SealError::ShortKey { place: 2 }));
    }
}

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, EncodingKey};
use sha2::Sha256;

use super::manifest::{Encoding, SecretRule};
use crate::channel::SecretText;

/// A provider's secrets: used in the plugin's name, and never seen by it.
#[derive(Default)]
pub(super) struct Vault(BTreeMap<String, Secret>);

struct Secret {
    text: SecretText,
    rule: SecretRule,
    /// Keyed once: each MAC starts from a copy.
    mac: Hmac<Sha256>,
    /// The manifest asks to see it, and the operator grants it.
    revealed: bool,
}

/// Why a secret is not used; the words of channel.wit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    Absent,
    Denied,
    Unsupported,
}

/// Shorter ones would strike out half of every text.
const SCRUBBED_BYTES: usize = 4;

impl Vault {
    /// Puts one in. The error says what its text should have been, and never the text.
    pub(super) fn put(
        &mut self,
        rule: &SecretRule,
        text: SecretText,
        granted: bool,
    ) -> Result<(), &'static str> {
        let key = match (rule.encoding, text.expose().strip_prefix("whsec_")) {
            (Some(Encoding::Whsec), Some(encoded)) => {
                STANDARD.decode(encoded.trim()).map_err(|_| "after `whsec_` comes base64")?
            }
            _ => text.expose().as_bytes().to_vec(),
        };
        if key.is_empty() {
            return Err("it is empty");
        }
        let mac = Hmac::new_from_slice(&key).map_err(|_| "it cannot be a key")?;
        let revealed = rule.reveal && granted;
        self.0.insert(rule.name.clone(), Secret { text, rule: rule.clone(), mac, revealed });
        Ok(())
    }

    pub(super) fn sign(
        &self,
        name: &str,
        algorithm: &str,
        data: &[u8],
    ) -> Result<Vec<u8>, Unusable> {
        let secret = self.placed(name, &format!("sign:{algorithm}"))?;
        match algorithm {
            "hmac-sha256" => {
                Ok(secret.mac.clone().chain_update(data).finalize().into_bytes().to_vec())
            }
            "rs256" => secret.sign_with(EncodingKey::from_rsa_pem, Algorithm::RS256, data),
            "es256" => secret.sign_with(EncodingKey::from_ec_pem, Algorithm::ES256, data),
            _ => Err(Unusable::Unsupported),
        }
    }

    /// In constant time.
    pub(super) fn verify(
        &self,
        name: &str,
        algorithm: &str,
        data: &[u8],
        mac: &[u8],
    ) -> Result<bool, Unusable> {
        let secret = self.placed(name, &format!("sign:{algorithm}"))?;
        if algorithm != "hmac-sha256" {
            return Err(Unusable::Unsupported);
        }
        Ok(secret.mac.clone().chain_update(data).verify_slice(mac).is_ok())
    }

    pub(super) fn reveal(&self, name: &str) -> Result<&str, Unusable> {
        let secret = self.0.get(name).ok_or(Unusable::Absent)?;
        if secret.revealed { Ok(secret.text.expose()) } else { Err(Unusable::Denied) }
    }

    /// The text, for the host to put into `placement` of a request to `host`.
    pub(super) fn place(&self, name: &str, placement: &str, host: &str) -> Result<&str, Unusable> {
        let secret = self.placed(name, placement)?;
        let hosts = &secret.rule.hosts;
        if !hosts.is_empty() && !hosts.iter().any(|bound| bound.eq_ignore_ascii_case(host)) {
            return Err(Unusable::Denied);
        }
        Ok(secret.text.expose())
    }

    fn placed(&self, name: &str, placement: &str) -> Result<&Secret, Unusable> {
        let secret = self.0.get(name).ok_or(Unusable::Absent)?;
        match secret.rule.placement.iter().any(|allowed| allowed == placement) {
            true => Ok(secret),
            false => Err(Unusable::Denied),
        }
    }

    /// Strikes known secrets out of what a plugin wants written.
    pub(super) fn scrub(&self, text: String) -> String {
        let mut text = text;
        for secret in self.0.values() {
            let secret = secret.text.expose();
            // A signing secret is known with and without its prefix.
            for form in [secret, secret.strip_prefix("whsec_").unwrap_or(secret)] {
                if form.len() >= SCRUBBED_BYTES && text.contains(form) {
                    text = text.replace(form, "***");
                }
            }
        }
        text
    }
}

impl Secret {
    fn sign_with(
        &self,
        read: impl Fn(&[u8]) -> jsonwebtoken::errors::Result<EncodingKey>,
        algorithm: Algorithm,
        data: &[u8],
    ) -> Result<Vec<u8>, Unusable> {
        let key = read(self.text.expose().as_bytes()).map_err(|_| Unusable::Unsupported)?;
        let signature =
            jsonwebtoken::crypto::sign(data, &key, algorithm).map_err(|_| Unusable::Unsupported)?;
        URL_SAFE_NO_PAD.decode(signature).map_err(|_| Unusable::Unsupported)
    }
}

impl Unusable {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(placement: &str) -> SecretRule {
        SecretRule {
            name: "token".into(),
            reason: "test".into(),
            placement: vec![placement.into()],
            hosts: vec!["api.example.com".into()],
            required: false,
            absent: None,
            encoding: Some(Encoding::Whsec),
            reveal: true,
        }
    }

    fn vault(placement: &str, text: &str, granted: bool) -> Vault {
        let mut vault = Vault::default();
        vault.put(&rule(placement), SecretText::new(text), granted).unwrap();
        vault
    }

    #[test]
    fn a_secret_goes_where_both_sides_say() {
        let vault = vault("bearer", "hunter2!", false);
        assert_eq!(vault.place("token", "bearer", "api.example.com"), Ok("hunter2!"));
        assert_eq!(vault.place("token", "bearer", "evil.example"), Err(Unusable::Denied));
        assert_eq!(vault.place("token", "query", "api.example.com"), Err(Unusable::Denied));
        assert_eq!(vault.place("other", "bearer", "api.example.com"), Err(Unusable::Absent));
        assert_eq!(vault.sign("token", "hmac-sha256", b"x"), Err(Unusable::Denied));
    }

    #[test]
    fn revealing_takes_two() {
        assert_eq!(vault("bearer", "hunter2!", false).reveal("token"), Err(Unusable::Denied));
        assert_eq!(vault("bearer", "hunter2!", true).reveal("token"), Ok("hunter2!"));
    }

    #[test]
    fn a_whsec_is_base64_and_scrubbed_in_both_forms() {
        let coded = vault("sign:hmac-sha256", "whsec_c2VjcmV0IQ==", false);
        let plain = vault("sign:hmac-sha256", "secret!", false);
        let mac = coded.sign("token", "hmac-sha256", b"data").unwrap();
        assert_eq!(plain.sign("token", "hmac-sha256", b"data").unwrap(), mac);
        assert_eq!(plain.verify("token", "hmac-sha256", b"data", &mac), Ok(true));
        assert_eq!(plain.verify("token", "hmac-sha256", b"other", &mac), Ok(false));
        let text = "got whsec_c2VjcmV0IQ== and c2VjcmV0IQ==".to_owned();
        assert_eq!(coded.scrub(text), "got *** and ***");
    }
}

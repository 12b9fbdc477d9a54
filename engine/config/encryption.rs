use serde::{Deserialize, Serialize};

use super::{Environment, Secret, SecretError};

/// What is on the disk only as ciphertext, and by whose keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Encryption {
    /// The first seals, every one opens. Default none: then sensitive workflows and devices are
    /// refused. A key is any text of at least 32 characters.
    pub keys: EncryptionKeys,
}

/// One key may stand without a list around it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "OneOrMore")]
pub struct EncryptionKeys(pub Vec<Secret>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Secret),
    More(Vec<Secret>),
}

impl EncryptionKeys {
    /// The keys' texts.
    ///
    /// # Errors
    /// The first that is not there.
    pub fn resolve(&self, environment: &Environment) -> Result<Vec<String>, SecretError> {
        self.0.iter().map(|key| key.resolve(environment)).collect()
    }
}

impl From<OneOrMore> for EncryptionKeys {
    fn from(keys: OneOrMore) -> Self {
        match keys {
            OneOrMore::One(key) => Self(vec![key]),
            OneOrMore::More(keys) => Self(keys),
        }
    }
}

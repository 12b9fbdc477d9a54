use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::config;
use crate::model::UserId;

/// Bytes of a token: more is no token of anybody's.
const MAX_TOKEN: usize = 16 << 10;

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub sub: UserId,
    /// Empty where the token names none.
    pub role: String,
    /// As text, whatever the token held.
    pub orgs: Vec<String>,
    pub expires_at: Timestamp,
}

/// What tokens are verified with, already fetched from where the configuration says.
pub enum KeyMaterial {
    /// HS256: the secret's text.
    Secret(String),
    /// The others: a public key in PEM.
    PublicKey(Vec<u8>),
    /// Nothing is configured: every token is refused.
    Absent,
}

/// Verifies end users' tokens.
pub struct Verifier {
    key: Option<DecodingKey>,
    validation: Validation,
    leeway: Duration,
    claims: config::Claims,
    clock: Clock,
}

/// Why the operator's settings cannot verify anything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    #[error("auth.algorithm: `{0}` is none of HS256, RS256, ES256 and EdDSA")]
    Algorithm(String),
    #[error("auth: {algorithm} is verified with a {needed}")]
    WrongMaterial { algorithm: String, needed: &'static str },
    #[error("auth: the secret is empty")]
    EmptySecret,
    #[error("auth.public_key is no public key for {algorithm} in PEM")]
    PublicKey { algorithm: String, source: jsonwebtoken::errors::Error },
}

/// Why a token is refused. Tells its holder no more than they could know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    #[error("the token is malformed, or its signature is not valid")]
    Invalid,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    Early,
    #[error("the token has no valid `exp`")]
    NoExpiry,
    #[error("the token names no user")]
    NoSubject,
    #[error("tokens cannot be verified: no key is configured")]
    NoKey,
}

/// What a development token is to say.
#[derive(Clone, Debug)]
pub struct Grant {
    pub sub: String,
    pub role: Option<String>,
    pub orgs: Vec<String>,
    pub lifetime: Duration,
}

/// Makes an HS256 token, for development: `nuncio token`.
pub fn mint(grant: &Grant, secret: &str, auth: &config::Auth, clock: &Clock) -> Option<String> {
    let mut claims = Map::new();
    claims.insert(auth.claims.sub.clone(), json!(grant.sub));
    if let Some(role) = &grant.role {
        claims.insert(auth.claims.role.clone(), json!(role));
    }
    if !grant.orgs.is_empty() {
        claims.insert(auth.claims.orgs.clone(), json!(grant.orgs));
    }
    claims.insert("iat".into(), json!(clock.now().as_second()));
    claims.insert("exp".into(), json!(clock.after(grant.lifetime).as_second()));
    for (name, value) in [("iss", &auth.issuer), ("aud", &auth.audience)] {
        if let Some(value) = value {
            claims.insert(name.into(), json!(value));
        }
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).ok()
}

impl Verifier {
    pub fn new(
        auth: &config::Auth,
        material: KeyMaterial,
        clock: Clock,
    ) -> Result<Self, AuthError> {
        let algorithm = algorithm(&auth.algorithm)?;
        let key = decoding_key(algorithm, &auth.algorithm, material)?;
        let mut validation = Validation::new(algorithm);
        // Time comes from our clock: `current` looks at `exp` and `nbf`.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        validation.validate_aud = auth.audience.is_some();
        if let Some(audience) = &auth.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".into());
        }
        if let Some(issuer) = &auth.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".into());
        }
        let leeway = auth.leeway.0;
        Ok(Self { key, validation, leeway, claims: auth.claims.clone(), clock })
    }

    /// What the token says, if it is ours, whole, and of now (give or take the leeway).
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let key = self.key.as_ref().ok_or(TokenError::NoKey)?;
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Invalid);
        }
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, key, &self.validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        let expires_at = self.current(&claims)?;
        let sub = claims
            .get(&self.claims.sub)
            .and_then(UserId::from_json)
            .ok_or(TokenError::NoSubject)?;
        let role = claims.get(&self.claims.role).and_then(Value::as_str).unwrap_or_default();
        let orgs = claims.get(&self.claims.orgs).map(texts).unwrap_or_default();
        Ok(Claims { sub, role: role.into(), orgs, expires_at })
    }

    fn current(&self, claims: &Map<String, Value>) -> Result<Timestamp, TokenError> {
        let now = self.clock.now();
        let expires_at = claims.get("exp").and_then(instant).ok_or(TokenError::NoExpiry)?;
        if expires_at.saturating_add(self.leeway).unwrap_or(Timestamp::MAX) <= now {
            return Err(TokenError::Expired);
        }
        let starts_at = claims.get("nbf").map(|nbf| instant(nbf).ok_or(TokenError::Early));
        let latest = now.saturating_add(self.leeway).unwrap_or(Timestamp::MAX);
        match starts_at.transpose()? {
            Some(starts_at) if starts_at > latest => Err(TokenError::Early),
            _ => Ok(expires_at),
        }
    }
}

impl Claims {
    /// The only role that the engine knows.
    pub fn is_admin(&self) -> bool {
        self.role == "admin"
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(***)",
            Self::PublicKey(_) => "PublicKey",
            Self::Absent => "Absent",
        })
    }
}

fn algorithm(name: &str) -> Result<Algorithm, AuthError> {
    match name {
        "HS256" => Ok(Algorithm::HS256),
        "RS256" => Ok(Algorithm::RS256),
        "ES256" => Ok(Algorithm::ES256),
        "EdDSA" => Ok(Algorithm::EdDSA),
        other => Err(AuthError::Algorithm(other.into())),
    }
}

fn decoding_key(
    algorithm: Algorithm,
    name: &str,
    material: KeyMaterial,
) -> Result<Option<DecodingKey>, AuthError> {
    let wrong = |needed| AuthError::WrongMaterial { algorithm: name.into(), needed };
    let made = match (algorithm, material) {
        (_, KeyMaterial::Absent) => return Ok(None),
        (Algorithm::HS256, KeyMaterial::Secret(secret)) if secret.is_empty() => {
            return Err(AuthError::EmptySecret);
        }
        (Algorithm::HS256, KeyMaterial::Secret(secret)) => {
            return Ok(Some(DecodingKey::from_secret(secret.as_bytes())));
        }
        (Algorithm::HS256, KeyMaterial::PublicKey(_)) => return Err(wrong("secret")),
        (_, KeyMaterial::Secret(_)) => return Err(wrong("public key")),
        (Algorithm::RS256, KeyMaterial::PublicKey(pem)) => DecodingKey::from_rsa_pem(&pem),
        (Algorithm::ES256, KeyMaterial::PublicKey(pem)) => DecodingKey::from_ec_pem(&pem),
        (_, KeyMaterial::PublicKey(pem)) => DecodingKey::from_ed_pem(&pem),
    };
    made.map(Some).map_err(|source| AuthError::PublicKey { algorithm: name.into(), source })
}

/// RFC 7519's NumericDate: seconds, with or without a fraction.
fn instant(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_i64() {
        return Timestamp::from_second(seconds).ok();
    }
    let seconds = jiff::SignedDuration::try_from_secs_f64(value.as_f64()?).ok()?;
    Timestamp::from_duration(seconds).ok()
}

fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}

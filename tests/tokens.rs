//! End users' tokens: every algorithm, and every reason to refuse one.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use nuncio::auth::{AuthError, Claims, Grant, KeyMaterial, TokenError, Verifier, mint};
use nuncio::clock::Clock;
use nuncio::config;
use serde_json::{Value, json};

const SECRET: &str = "sécret";

fn clock() -> Clock {
    Clock::manual(Timestamp::from_second(1_000_000).expect("it is in range"), 1)
}

fn verifier(auth: &config::Auth) -> Verifier {
    Verifier::new(auth, KeyMaterial::Secret(SECRET.into()), clock()).expect("the secret serves")
}

fn signed(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).expect("it is signed")
}

fn verify(claims: Value) -> Result<Claims, TokenError> {
    verifier(&config::Auth::default()).verify(&signed(&claims))
}

#[test]
fn every_algorithm_is_verified_and_no_other_passes() {
    let claims = json!({"sub": "42", "exp": 1_000_060});
    let kinds = [
        ("RS256", Algorithm::RS256, EncodingKey::from_rsa_pem as fn(&[u8]) -> _),
        ("ES256", Algorithm::ES256, EncodingKey::from_ec_pem),
        ("EdDSA", Algorithm::EdDSA, EncodingKey::from_ed_pem),
    ];
    let pem = |name: &str, part: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens");
        std::fs::read(format!("{folder}/{name}.{part}.pem")).expect("the fixture is there")
    };
    for (name, algorithm, private) in kinds {
        let auth = config::Auth { algorithm: name.into(), ..config::Auth::default() };
        let material = || KeyMaterial::PublicKey(pem(name, "public"));
        let verifier = Verifier::new(&auth, material(), clock()).expect("the key serves");
        let key = private(&pem(name, "private")).expect("the fixture is a key");
        let token = jsonwebtoken::encode(&Header::new(algorithm), &claims, &key);
        assert_eq!(verifier.verify(&token.expect("it is signed")).expect(name).sub, "42".into());

        // The public key is no secret: signing with it as one must not pass.
        let key = EncodingKey::from_secret(&pem(name, "public"));
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key);
        let token = token.expect("it is signed");
        assert_eq!(verifier.verify(&token), Err(TokenError::Invalid), "{name}");
        assert_eq!(verifier.verify(&signed(&claims)), Err(TokenError::Invalid), "{name}");
        let secret = KeyMaterial::Secret(SECRET.into());
        assert!(matches!(
            Verifier::new(&auth, secret, clock()),
            Err(AuthError::WrongMaterial { .. })
        ));
    }
    // "alg": "none", without a signature.
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiIsImV4cCI6MTAwMDA2MH0.";
    assert_eq!(verifier(&config::Auth::default()).verify(none), Err(TokenError::Invalid));
}

#[test]
fn claims_are_read_whatever_their_spelling() {
    let claims = verify(json!({"sub": 42, "role": "admin", "orgs": [1, "b"], "exp": 1_000_000.5}));
    let claims = claims.expect("it is valid");
    assert_eq!((claims.sub.as_str(), claims.is_admin()), ("42", true));
    assert_eq!(claims.orgs, ["1", "b"]);
    assert_eq!(claims.expires_at.as_millisecond(), 1_000_000_500);
    let bare = verify(json!({"sub": "ada", "exp": 1_000_060, "orgs": 7})).expect("it is valid");
    assert_eq!((bare.role.as_str(), bare.orgs), ("", vec!["7".to_owned()]));
}

#[test]
fn claims_have_the_names_that_are_configured() {
    let claims = config::Claims { sub: "uid".into(), role: "kind".into(), orgs: "teams".into() };
    let auth = config::Auth { claims, ..config::Auth::default() };
    let token =
        signed(&json!({"uid": 1, "sub": "2", "kind": "x", "teams": ["t"], "exp": 1_000_060}));
    let claims = verifier(&auth).verify(&token).expect("it is valid");
    assert_eq!((claims.sub.as_str(), claims.role.as_str()), ("1", "x"));
    assert_eq!(claims.orgs, ["t"]);
}

#[test]
fn time_is_ours_with_some_leeway() {
    let sub = |exp: Value| verify(json!({"sub": "42", "exp": exp})).map(|claims| claims.sub);
    assert_eq!(sub(json!(999_941)), Ok("42".into()));
    assert_eq!(sub(json!(999_940)), Err(TokenError::Expired));
    assert_eq!(sub(json!("1000060")), Err(TokenError::NoExpiry));
    assert_eq!(verify(json!({"sub": "42"})), Err(TokenError::NoExpiry));
    let from = |nbf: Value| verify(json!({"sub": "42", "exp": 2_000_000, "nbf": nbf})).err();
    assert_eq!(from(json!(1_000_060)), None);
    assert_eq!(from(json!(1_000_061)), Some(TokenError::Early));
    assert_eq!(from(json!("now")), Some(TokenError::Early));
    for nobody in [json!(""), json!(1.5), json!(null)] {
        let refused = verify(json!({"sub": nobody, "exp": 1_000_060}));
        assert_eq!(refused, Err(TokenError::NoSubject));
    }
}

#[test]
fn issuer_and_audience_are_asked_for_where_configured() {
    let claims = |iss: Value, aud: Value| {
        signed(&json!({"sub": "42", "exp": 1_000_060, "iss": iss, "aud": aud}))
    };
    let strict = config::Auth {
        issuer: Some("us".into()),
        audience: Some("nuncio".into()),
        ..config::Auth::default()
    };
    let strict = verifier(&strict);
    assert!(strict.verify(&claims(json!("us"), json!(["nuncio", "other"]))).is_ok());
    for (iss, aud) in [("them", "nuncio"), ("us", "other")] {
        let token = claims(json!(iss), json!(aud));
        assert_eq!(strict.verify(&token), Err(TokenError::Invalid));
    }
    let without = signed(&json!({"sub": "42", "exp": 1_000_060}));
    assert_eq!(strict.verify(&without), Err(TokenError::Invalid));
    let any = verifier(&config::Auth::default());
    assert!(any.verify(&claims(json!("them"), json!("other"))).is_ok());
}

#[test]
fn a_minted_token_is_one_that_passes() {
    let auth = config::Auth {
        issuer: Some("us".into()),
        audience: Some("nuncio".into()),
        ..config::Auth::default()
    };
    let grant = Grant {
        sub: "42".into(),
        role: Some("member".into()),
        orgs: vec!["7".into()],
        lifetime: Duration::from_secs(60),
    };
    let token = mint(&grant, SECRET, &auth, &clock()).expect("it is signed");
    let claims = verifier(&auth).verify(&token).expect("it is valid");
    assert_eq!((claims.sub.as_str(), claims.role.as_str()), ("42", "member"));
    assert_eq!(claims.expires_at.as_second(), 1_000_060);

    let absent = Verifier::new(&auth, KeyMaterial::Absent, clock()).expect("nothing is needed");
    assert_eq!(absent.verify(&token), Err(TokenError::NoKey));
    let empty = KeyMaterial::Secret(String::new());
    assert!(matches!(Verifier::new(&auth, empty, clock()), Err(AuthError::EmptySecret)));
}

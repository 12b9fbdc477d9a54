use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::ingest::{FieldError, Incoming, Refusal};

/// Characters of a reason that are kept.
const LONGEST_REASON: usize = 1000;

/// An event as it stands in its source: texts by field.
#[derive(Clone, Debug)]
pub struct Told {
    /// Names it in its source: its key, where it brings none.
    pub id: String,
    /// `name`, `data` (JSON), `key`, `actor`, `tenant`, `at`. An empty text is none: a stream
    /// cannot say it otherwise.
    pub fields: Vec<(String, String)>,
    /// When it was told: its moment, where it names none.
    pub at: Timestamp,
    /// Why it cannot be read.
    pub flaw: Option<Rejection>,
}

/// Why an event was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// A refusal's (docs/reference/sources.md), or `event.unstorable`.
    pub code: &'static str,
    /// For whoever mends it; may quote the event.
    pub reason: String,
}

impl Told {
    /// As HTTP would bring it.
    ///
    /// # Errors
    /// It does not fit the shape of an event, or its data are longer than `max_event` bytes.
    pub fn read(&self, max_event: usize) -> Result<Incoming, Rejection> {
        if let Some(flaw) = &self.flaw {
            return Err(flaw.clone());
        }
        let mut event = Map::new();
        for (field, text) in &self.fields {
            let value = match field.as_str() {
                "name" => Value::String(text.clone()),
                _ if text.is_empty() => continue,
                "data" => serde_json::from_str(text).map_err(|error| no_json(&error))?,
                _ => Value::String(text.clone()),
            };
            let field = if field == "key" { "idempotency_key" } else { field };
            event.insert(field.to_owned(), value);
        }
        event.entry("idempotency_key").or_insert_with(|| self.id.clone().into());
        let mut incoming = Incoming::parse(event.into(), max_event)?;
        // After the hash was made: the same key told twice is the same event, told twice.
        incoming.at.get_or_insert(self.at);
        Ok(incoming)
    }
}

impl Rejection {
    pub(super) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        let errors =
            refusal.errors.iter().map(|error| format!("{} {}", error.pointer, error.message));
        let reason = errors.collect::<Vec<_>>().join("; ").replace("idempotency_key", "key");
        Self { code: refusal.code, reason: reason.trim().chars().take(LONGEST_REASON).collect() }
    }
}

fn no_json(error: &serde_json::Error) -> Rejection {
    let errors = vec![FieldError::new("/data", format!("`data` is no JSON: {error}"))];
    Refusal { code: "event.shape", errors }.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(fields: &[(&str, &str)]) -> Told {
        let fields = fields.iter().map(|(name, text)| (name.to_string(), text.to_string()));
        let at = "2026-03-01T09:00:00Z".parse().expect("an instant");
        Told { id: "7-0".into(), fields: fields.collect(), at, flaw: None }
    }

    #[test]
    fn a_source_gives_the_key_and_the_moment_where_the_service_gave_none() {
        let event = told(&[("name", "a"), ("data", r#"{"x": 1}"#), ("key", ""), ("tenant", "")]);
        let event = event.read(100).expect("it fits");
        assert_eq!((event.data, event.tenant.as_str()), (json!({"x": 1}), ""));
        assert_eq!(event.idempotency_key.as_deref(), Some("7-0"));
        assert_eq!(event.at.map(|at| at.to_string()).as_deref(), Some("2026-03-01T09:00:00Z"));
        let event = told(&[("name", "a"), ("key", "k"), ("at", "2026-01-01T00:00:00Z")]);
        let event = event.read(100).expect("it fits");
        assert_eq!(event.idempotency_key.as_deref(), Some("k"));
        assert_eq!(event.at.map(|at| at.to_string()).as_deref(), Some("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn one_key_told_at_two_moments_has_one_body() {
        let first = told(&[("name", "a"), ("key", "k")]);
        let later = Told { at: Timestamp::MAX, ..first.clone() };
        let hash = |told: &Told| told.read(100).expect("it fits").body_hash;
        assert_eq!(hash(&first), hash(&later));
    }

    #[test]
    fn what_does_not_fit_says_why() {
        let reason = |fields: &[(&str, &str)]| told(fields).read(9).expect_err("it does not fit");
        let rejection = reason(&[("nmae", "a"), ("key", &"k".repeat(256))]);
        assert_eq!(rejection.code, "event.shape");
        assert!(rejection.reason.contains("did you mean `name`?"), "{}", rejection.reason);
        assert!(rejection.reason.contains("/key `key` is longer"), "{}", rejection.reason);
        let rejection = reason(&[("name", "a"), ("data", "{")]);
        assert!(rejection.reason.starts_with("/data `data` is no JSON"), "{}", rejection.reason);
        assert_eq!(reason(&[("name", "a"), ("data", r#"{"a":"0123"}"#)]).code, "event.too_large");
        assert_eq!(reason(&[("name", "")]).reason, "/name `name` is empty");
    }
}

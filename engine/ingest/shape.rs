use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{FieldError, Incoming, Refusal, canonical};
use crate::diagnostic::did_you_mean;
use crate::model::UserId;

const FIELDS: [&str; 6] = ["name", "data", "actor", "tenant", "idempotency_key", "at"];

/// Characters of a name, a tenant or a key.
const MAX_NAME: usize = 255;

pub(super) fn parse(value: Value, max_event: usize) -> Result<Incoming, Refusal> {
    let Value::Object(mut fields) = value else {
        let error = FieldError::new("", format!("an event is an object, not {}", kind(&value)));
        return Err(Refusal { code: "event.shape", errors: vec![error] });
    };
    let mut errors = Vec::new();
    let name = name(&mut fields, &mut errors);
    let data = data(&mut fields, &mut errors);
    let actor = actor(&mut fields, &mut errors);
    let tenant = text(&mut fields, "tenant", 0, &mut errors).unwrap_or_default();
    let idempotency_key = text(&mut fields, "idempotency_key", 1, &mut errors);
    let at = at(&mut fields, &mut errors);
    errors.extend(fields.keys().map(|field| unknown(field)));
    if !errors.is_empty() {
        return Err(Refusal { code: "event.shape", errors });
    }
    if max_event < usize::MAX {
        measure(&data, max_event)?;
    }
    let mut event = Incoming { name, data, actor, tenant, idempotency_key, at, body_hash: [0; 32] };
    if event.idempotency_key.is_some() {
        event.body_hash = canonical::hash(&event);
    }
    Ok(event)
}

fn name(fields: &mut Map<String, Value>, errors: &mut Vec<FieldError>) -> String {
    if !fields.contains_key("name") {
        errors.push(FieldError::new("/name", "an event needs a `name`"));
    }
    text(fields, "name", 1, errors).unwrap_or_default()
}

/// An optional text of `shortest` to 255 characters; `null` is absence.
fn text(
    fields: &mut Map<String, Value>,
    field: &str,
    shortest: usize,
    errors: &mut Vec<FieldError>,
) -> Option<String> {
    let message = match fields.remove(field)? {
        Value::Null if field != "name" => return None,
        Value::String(text) if text.len() < shortest => format!("`{field}` is empty"),
        // Bytes first: the common case needs no counting.
        Value::String(text) if text.len() > MAX_NAME && text.chars().count() > MAX_NAME => {
            format!("`{field}` is longer than {MAX_NAME} characters")
        }
        Value::String(text) => return Some(text),
        other => format!("`{field}` is text, not {}", kind(&other)),
    };
    errors.push(FieldError::new(format!("/{field}"), message));
    None
}

fn data(fields: &mut Map<String, Value>, errors: &mut Vec<FieldError>) -> Value {
    match fields.remove("data") {
        None => Value::Object(Map::new()),
        Some(data @ Value::Object(_)) => data,
        Some(other) => {
            let message = format!("`data` is an object, not {}", kind(&other));
            errors.push(FieldError::new("/data", message));
            Value::Null
        }
    }
}

fn actor(fields: &mut Map<String, Value>, errors: &mut Vec<FieldError>) -> Option<UserId> {
    let value = fields.remove("actor").filter(|value| !value.is_null())?;
    let actor = UserId::from_json(&value);
    if actor.is_none() {
        let message = "`actor` is a user's id: text of 1 to 255 bytes, or an integer";
        errors.push(FieldError::new("/actor", message));
    }
    actor
}

fn at(fields: &mut Map<String, Value>, errors: &mut Vec<FieldError>) -> Option<Timestamp> {
    let text = text(fields, "at", 1, errors)?;
    let at = text.parse().ok();
    if at.is_none() {
        let message = "`at` is an RFC 3339 instant, such as 2026-01-31T09:00:00Z";
        errors.push(FieldError::new("/at", message));
    }
    at
}

fn measure(data: &Value, max_event: usize) -> Result<(), Refusal> {
    let size = canonical::size(data);
    if size <= max_event {
        return Ok(());
    }
    let message = format!("`data` takes {size} bytes, and at most {max_event} are taken");
    Err(Refusal { code: "event.too_large", errors: vec![FieldError::new("/data", message)] })
}

fn unknown(field: &str) -> FieldError {
    let pointer = format!("/{}", field.replace('~', "~0").replace('/', "~1"));
    let message = match did_you_mean(field, FIELDS) {
        Some(known) => format!("an event has no field `{field}`: did you mean `{known}`?"),
        None => format!("an event has no field `{field}`: its own fields go into `data`"),
    };
    FieldError::new(pointer, message)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(value: Value) -> Vec<String> {
        let refusal = parse(value, usize::MAX).expect_err("it does not fit");
        assert_eq!(refusal.code, "event.shape");
        refusal.errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn an_event_needs_a_name_alone() {
        let event = parse(json!({"name": "order.paid"}), usize::MAX).expect("it fits");
        assert_eq!(event.data, json!({}));
        assert_eq!(event.body_hash, [0; 32]);
        assert_eq!((event.actor, event.at, event.tenant.as_str()), (None, None, ""));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let wrong = json!({
            "name": 3, "data": [], "actor": 1.5, "at": "soon", "idempotency_key": "", "nmae": "x",
        });
        assert_eq!(
            pointers(wrong),
            ["/name", "/data", "/actor", "/idempotency_key", "/at", "/nmae"]
        );
        assert_eq!(pointers(json!({})), ["/name"]);
        assert_eq!(pointers(json!({"name": null})), ["/name"]);
        assert_eq!(pointers(json!({"name": "x".repeat(256)})), ["/name"]);
        assert_eq!(pointers(json!("order.paid")), [""]);
    }

    #[test]
    fn a_misspelt_field_gets_a_hint() {
        let refusal = parse(json!({"name": "a", "idempotencykey": "k"}), usize::MAX)
            .expect_err("it does not fit");
        assert!(refusal.errors[0].message.contains("did you mean `idempotency_key`?"));
    }

    #[test]
    fn one_meaning_has_one_hash() {
        let hash = |value: Value| parse(value, usize::MAX).expect("it fits").body_hash;
        let first = hash(json!({
            "name": "a", "data": {"x": 1, "y": [{"p": 1, "q": 2}]}, "actor": 42,
            "at": "2026-01-01T01:00:00+01:00", "idempotency_key": "k",
        }));
        let text = r#"{"idempotency_key":"k","at":"2026-01-01T00:00:00Z","actor":"42",
            "data":{"y":[{"q":2,"p":1}],"x":1},"name":"a"}"#;
        assert_eq!(first, hash(serde_json::from_str(text).expect("it is JSON")));
        let other = json!({"name": "a", "data": {"x": 2}, "idempotency_key": "k"});
        assert_ne!(first, hash(other));
    }

    #[test]
    fn large_data_is_refused_by_its_compact_size() {
        let event = json!({"name": "a", "data": {"x": "0123456789"}});
        assert!(parse(event.clone(), 18).is_ok());
        assert_eq!(parse(event, 17).expect_err("it is too large").code, "event.too_large");
    }
}

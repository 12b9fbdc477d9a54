//! A user's shape, made sure of.

use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::FieldError;
use crate::diagnostic::did_you_mean;
use crate::model::{User, UserId};

/// Characters of a text field.
const MAX_TEXT: usize = 255;

/// Bytes of `data`, written compactly.
const MAX_DATA: usize = 64 << 10;

const FIELDS: [&str; 12] = [
    "id",
    "username",
    "email",
    "phone",
    "first_name",
    "last_name",
    "locale",
    "time_zone",
    "role",
    "data",
    "created_at",
    "updated_at",
];

/// Reads a user; all that is wrong is said at once. `id` is the path's: the body may repeat it,
/// and must name it where there is none. What GET adds (`created_at`, `updated_at`) is passed over.
pub fn parse(value: Value, id: Option<&str>, now: Timestamp) -> Result<User, Vec<FieldError>> {
    let Value::Object(fields) = value else {
        return Err(vec![FieldError::new("", "a user is an object")]);
    };
    let mut reader = Reader { fields, errors: Vec::new() };
    let user = User {
        id: reader.id(id),
        username: reader.text("username", |_| None),
        email: reader.text("email", email),
        phone: reader.text("phone", phone),
        first_name: reader.text("first_name", |_| None),
        last_name: reader.text("last_name", |_| None),
        locale: reader.text("locale", locale),
        time_zone: reader.text("time_zone", time_zone),
        role: reader.text("role", |_| None),
        data: reader.data(),
        created_at: now,
        updated_at: now,
    };
    reader.unknown();
    if reader.errors.is_empty() { Ok(user) } else { Err(reader.errors) }
}

struct Reader {
    fields: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Reader {
    fn id(&mut self, path: Option<&str>) -> UserId {
        let given = self.fields.remove("id").filter(|value| !value.is_null());
        let id = match (&given, path) {
            (Some(value), _) => UserId::from_json(value),
            (None, Some(path)) => UserId::from_json(&Value::from(path)),
            (None, None) => None,
        };
        let Some(id) = id else {
            self.wrong("id", "is text of 1 to 255 bytes, or an integer");
            return UserId::from("");
        };
        if path.is_some_and(|path| path != id.as_str()) {
            self.wrong("id", "is not the path's");
        }
        id
    }

    /// An optional text; `check` answers what is wrong with it.
    fn text(&mut self, name: &str, check: fn(&str) -> Option<&'static str>) -> Option<String> {
        match self.fields.remove(name)? {
            Value::Null => None,
            Value::String(text) => {
                if text.chars().count() > MAX_TEXT {
                    self.wrong(name, "is longer than 255 characters");
                } else if text.contains(char::is_control) {
                    self.wrong(name, "holds a control character");
                } else if let Some(message) = check(&text) {
                    self.wrong(name, message);
                }
                Some(text)
            }
            _ => {
                self.wrong(name, "is text or null");
                None
            }
        }
    }

    fn data(&mut self) -> Map<String, Value> {
        match self.fields.remove("data") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(data)) => {
                if serde_json::to_vec(&data).is_ok_and(|text| text.len() > MAX_DATA) {
                    self.wrong("data", "takes more than 64 KiB");
                }
                data
            }
            Some(_) => {
                self.wrong("data", "is an object");
                Map::new()
            }
        }
    }

    fn unknown(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        for field in fields.keys().filter(|field| !FIELDS.contains(&field.as_str())) {
            let message = match did_you_mean(field, FIELDS) {
                Some(known) => {
                    format!("a user has no field `{field}`: did you mean `{known}`?")
                }
                None => format!("a user has no field `{field}`: its own fields go into `data`"),
            };
            let pointer = format!("/{}", field.replace('~', "~0").replace('/', "~1"));
            self.errors.push(FieldError::new(pointer, message));
        }
    }

    fn wrong(&mut self, name: &str, message: &str) {
        self.errors.push(FieldError::new(format!("/{name}"), format!("`{name}` {message}")));
    }
}

fn email(text: &str) -> Option<&'static str> {
    lettre::Address::from_str(text).err().map(|_| "is no e-mail address")
}

/// As people write them: digits with a leading `+`, spaces, dots, dashes and brackets.
fn phone(text: &str) -> Option<&'static str> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('+').unwrap_or(text);
    let clean = rest.chars().all(|c| c.is_ascii_digit() || " .-()".contains(c));
    (!clean || !(3..=15).contains(&digits)).then_some("is no phone number")
}

fn locale(text: &str) -> Option<&'static str> {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    let is_language =
        (2..=8).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_alphabetic());
    let is_subtag =
        |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric());
    (!is_language || !subtags.all(is_subtag)).then_some("is no BCP 47 tag, such as `fr-CA`")
}

fn time_zone(text: &str) -> Option<&'static str> {
    (!is_zone(text)).then_some("is no IANA time zone, such as `Africa/Tunis`")
}

/// Whether the bundled database knows the zone.
pub fn is_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok_and(|zone| !zone.is_unknown())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(value: Value, id: Option<&str>) -> Vec<String> {
        let errors = parse(value, id, Timestamp::UNIX_EPOCH).expect_err("it does not fit");
        errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn a_whole_user_fits() {
        let value = json!({
            "id": 42, "username": "ada", "email": "ada@example.com", "phone": "+216 (22) 123-456",
            "first_name": "Ada", "last_name": null, "locale": "fr-CA",
            "time_zone": "Africa/Tunis", "role": "member", "data": {"plan": "gold"},
            "created_at": "2026-01-01T00:00:00Z",
        });
        let user = parse(value, Some("42"), Timestamp::UNIX_EPOCH).expect("it fits");
        assert_eq!((user.id.as_str(), user.last_name), ("42", None));
        assert_eq!(user.data["plan"], "gold");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let value = json!({
            "id": 43, "username": "x".repeat(256), "email": "ada at example", "phone": "call me",
            "first_name": 1, "last_name": "a\nb", "locale": "fr_CA", "time_zone": "Mars/Olympus",
            "data": [], "emial": "",
        });
        let expected = [
            "/id",
            "/username",
            "/email",
            "/phone",
            "/first_name",
            "/last_name",
            "/locale",
            "/time_zone",
            "/data",
            "/emial",
        ];
        assert_eq!(pointers(value, Some("42")), expected);
    }

    #[test]
    fn a_user_needs_an_id_from_somewhere() {
        assert!(parse(json!({}), Some("42"), Timestamp::UNIX_EPOCH).is_ok());
        assert_eq!(pointers(json!({}), None), ["/id"]);
        assert_eq!(pointers(json!([]), Some("42")), [""]);
    }
}

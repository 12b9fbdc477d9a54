//! Somebody as a file describes them: a user with what is known of them beside, in one object.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::preferences::{self, Known};
use super::{FieldError, user};
use crate::model::{
    DeviceToken, DeviceType, Person, Preferences, Presence, Registration, TopicName,
};

/// Topics of one person.
const MAX_TOPICS: usize = 1000;
/// Devices of one person.
const MAX_DEVICES: usize = 100;

/// A person, and whether they have the app open.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// Without their devices, which a store registers.
    pub person: Person,
    pub devices: Vec<Registration>,
    pub presence: Presence,
}

/// Reads a user as PUT /v1/users takes it, with `preferences` (as the inbox API takes them),
/// `topics` (names), `devices` (as POST /api/notifications/devices takes them), and `online`
/// and `last_seen`, which the relay would know. All that is wrong is said at once.
pub fn parse(value: Value, known: &Known, now: Timestamp) -> Result<Described, Vec<FieldError>> {
    let Value::Object(mut fields) = value else {
        return Err(vec![FieldError::new("", "a user is an object")]);
    };
    let mut errors = Vec::new();
    let preferences = said(&mut fields, known, &mut errors);
    let topics = topics(&mut fields, &mut errors);
    let devices = devices(&mut fields, &mut errors);
    let presence = presence(&mut fields, now, &mut errors);
    match user::parse(Value::Object(fields), None, now) {
        Ok(user) if errors.is_empty() => {
            let (own, bounces) = (Vec::new(), Vec::new());
            let person = Person { user, preferences, topics, devices: own, bounces };
            Ok(Described { person, devices, presence })
        }
        Ok(_) => Err(errors),
        Err(mut of_user) => {
            of_user.append(&mut errors);
            Err(of_user)
        }
    }
}

/// Reads preferences alone, as [`parse`] does those of a person.
pub fn read_preferences(value: Value, known: &Known) -> Result<Preferences, FieldError> {
    preferences::parse(value, known).map_err(|bad| {
        let path = bad.path.replace('.', "/");
        let pointer = if path.is_empty() { path } else { format!("/{path}") };
        FieldError::new(pointer, bad.message)
    })
}

fn said(
    fields: &mut Map<String, Value>,
    known: &Known,
    errors: &mut Vec<FieldError>,
) -> Preferences {
    let Some(value) = fields.remove("preferences").filter(|value| !value.is_null()) else {
        return Preferences::default();
    };
    read_preferences(value, known).unwrap_or_else(|error| {
        errors.push(FieldError::new(format!("/preferences{}", error.pointer), error.message));
        Preferences::default()
    })
}

fn topics(fields: &mut Map<String, Value>, errors: &mut Vec<FieldError>) -> Vec<TopicName> {
    let mut topics = BTreeSet::new();
    for (index, item) in list(fields, "topics", MAX_TOPICS, errors).into_iter().enumerate() {
        match item.as_str().filter(|name| !name.is_empty() && name.len() <= 255) {
            Some(name) => {
                topics.insert(TopicName::from(name));
            }
            None => {
                let message = "a topic's name is text of 1 to 255 bytes";
                errors.push(FieldError::new(format!("/topics/{index}"), message));
            }
        }
    }
    topics.into_iter().collect()
}

fn devices(fields: &mut Map<String, Value>, errors: &mut Vec<FieldError>) -> Vec<Registration> {
    const FIELDS: [&str; 4] = ["device_token", "device_type", "device_name", "app_version"];
    let mut devices = Vec::new();
    for (index, item) in list(fields, "devices", MAX_DEVICES, errors).into_iter().enumerate() {
        let mut wrong = |field: &str, message: &str| {
            let pointer = format!("/devices/{index}{field}");
            errors.push(FieldError::new(pointer, message));
        };
        let Value::Object(device) = item else {
            wrong("", "a device is an object");
            continue;
        };
        let text = |field: &str| device.get(field).and_then(Value::as_str);
        let token = text("device_token").unwrap_or_default();
        let token = DeviceToken::new(token).map_err(|bad| wrong("/device_token", &bad.to_string()));
        let word = text("device_type").unwrap_or_default();
        let kind = DeviceType::ALL.into_iter().find(|kind| kind.as_str() == word);
        if kind.is_none() {
            wrong("/device_type", "`device_type` is `android`, `ios` or `web`");
        }
        for field in device.keys().filter(|field| !FIELDS.contains(&field.as_str())) {
            wrong(&format!("/{field}"), &format!("a device has no field `{field}`"));
        }
        if let (Ok(device_token), Some(device_type)) = (token, kind) {
            let (name, version) = (text("device_name"), text("app_version"));
            let (device_name, app_version) = (name.map(Into::into), version.map(Into::into));
            devices.push(Registration { device_token, device_type, device_name, app_version });
        }
    }
    devices
}

fn presence(
    fields: &mut Map<String, Value>,
    now: Timestamp,
    errors: &mut Vec<FieldError>,
) -> Presence {
    let online = match fields.remove("online") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(online)) => online,
        Some(_) => {
            errors.push(FieldError::new("/online", "`online` is true or false"));
            false
        }
    };
    let last_seen = fields.remove("last_seen").filter(|value| !value.is_null()).and_then(|value| {
        let at = value.as_str().and_then(|text| text.parse().ok());
        if at.is_none() {
            let message = "`last_seen` is an RFC 3339 instant, such as 2026-01-31T09:00:00Z";
            errors.push(FieldError::new("/last_seen", message));
        }
        at
    });
    Presence { online, last_seen: last_seen.or(online.then_some(now)) }
}

fn list(
    fields: &mut Map<String, Value>,
    name: &str,
    most: usize,
    errors: &mut Vec<FieldError>,
) -> Vec<Value> {
    match fields.remove(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) if items.len() <= most => items,
        Some(Value::Array(_)) => {
            let message = format!("`{name}` has at most {most} items");
            errors.push(FieldError::new(format!("/{name}"), message));
            Vec::new()
        }
        Some(_) => {
            errors.push(FieldError::new(format!("/{name}"), format!("`{name}` is a list")));
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known() -> Known {
        Known { types: vec!["order".into()], channels: ["email".into()].into() }
    }

    #[test]
    fn a_person_comes_with_what_is_known_of_them() {
        let now = "2026-03-01T09:00:00Z".parse().expect("an instant");
        let value = json!({
            "id": 42, "email": "ada@example.com", "topics": ["b", "a", "b"], "online": true,
            "preferences": {"notification_types": {"order": {"email": false}}},
            "devices": [{"device_token": "t", "device_type": "ios", "device_name": "phone"}],
        });
        let Described { person, devices, presence } = parse(value, &known(), now).expect("it fits");
        assert_eq!(person.user.id.as_str(), "42");
        assert_eq!(devices[0].device_type, DeviceType::Ios);
        assert_eq!(person.topics, ["a".into(), "b".into()]);
        assert!(!person.preferences.notification_types["order"].0["email"]);
        assert_eq!(presence, Presence { online: true, last_seen: Some(now) });
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let value = json!({
            "id": 42, "emial": "x", "topics": ["a", 7], "online": "yes", "last_seen": "soon",
            "preferences": {"quiet_hours": {"start_time": "ten"}},
            "devices": [{"device_type": "fridge", "token": "t"}, 3],
        });
        let errors = parse(value, &known(), Timestamp::UNIX_EPOCH).expect_err("it does not fit");
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        let expected = [
            "/emial",
            "/preferences/quiet_hours/start_time",
            "/topics/1",
            "/devices/0/device_token",
            "/devices/0/device_type",
            "/devices/0/token",
            "/devices/1",
            "/online",
            "/last_seen",
        ];
        assert_eq!(pointers, expected);
    }
}

//! Words and values.

use std::fmt::Write;

use handlebars::JsonTruthy;
use serde_json::Value;

use super::Arguments;

/// `{{plural n "item" "items"}}`: the form for `n` in the recipient's language.
pub(super) fn plural(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let number = arguments.number(0, "a number")?;
    let one = arguments.value(1, "the singular")?;
    let other = arguments.value(2, "the plural")?;
    Ok(if arguments.language().is_one(number) { one } else { other }.clone())
}

pub(super) fn field(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    arguments.value(0, "a field").cloned()
}

/// `{{url text}}`: percent-encoded, safe as one segment or one value of an address.
pub(super) fn url(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let text = shown(arguments.value(0, "a text")?)?;
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // A `String` takes whatever is written.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Ok(encoded.into())
}

/// `{{default value "fallback"}}`: the fallback for a missing value, null and empty text.
pub(super) fn default(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let value = arguments.lenient(0);
    let empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
    Ok(if empty { arguments.value(1, "a fallback")? } else { value }.clone())
}

pub(super) fn upper(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(shown(arguments.value(0, "a text")?)?.to_uppercase().into())
}

pub(super) fn lower(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(shown(arguments.value(0, "a text")?)?.to_lowercase().into())
}

pub(super) fn and(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok((0..arguments.count()).all(|index| arguments.lenient(index).is_truthy(false)).into())
}

pub(super) fn or(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok((0..arguments.count()).any(|index| arguments.lenient(index).is_truthy(false)).into())
}

pub(super) fn not(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok((!arguments.lenient(0).is_truthy(false)).into())
}

pub(super) fn shown(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err("a list or an object is no text".to_owned()),
    }
}

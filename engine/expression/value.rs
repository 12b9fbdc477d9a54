//! Results: from CEL's values to ours.

use cel::common::types::{
    CelBool, CelDouble, CelDuration, CelInt, CelNull, CelOptional, CelString, CelTimestamp,
    CelUInt, Kind,
};
use cel::common::value::{CowVal, Val};
use serde_json::{Map, Value};

use super::{MAX_ITEMS, moment};

pub(super) fn to_bool(found: &CowVal<'_, '_>) -> Result<bool, String> {
    let value = found.downcast_ref::<CelBool>().map(|value| *value.inner());
    value.ok_or_else(|| format!("true or false is expected, not {}", noun(found.as_ref())))
}

pub(super) fn to_text(found: &CowVal<'_, '_>) -> Result<String, String> {
    if let Some(text) = found.downcast_ref::<CelString>() {
        return Ok(text.inner().to_owned());
    }
    if let Some(number) = found.downcast_ref::<CelInt>() {
        return Ok(number.inner().to_string());
    }
    if let Some(number) = found.downcast_ref::<CelUInt>() {
        return Ok(number.inner().to_string());
    }
    Err(format!("text is expected, not {}", noun(found.as_ref())))
}

pub(super) fn to_json(found: &CowVal<'_, '_>) -> Result<Value, String> {
    json(found.as_ref())
}

fn json(value: &dyn Val) -> Result<Value, String> {
    if let Some(text) = value.downcast_ref::<CelString>() {
        return Ok(text.inner().into());
    }
    if let Some(value) = value.downcast_ref::<CelBool>() {
        return Ok((*value.inner()).into());
    }
    if let Some(number) = value.downcast_ref::<CelInt>() {
        return Ok((*number.inner()).into());
    }
    if let Some(number) = value.downcast_ref::<CelUInt>() {
        return Ok((*number.inner()).into());
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        return Ok((*number.inner()).into());
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(Value::Null);
    }
    if let Some(at) = value.downcast_ref::<CelTimestamp>() {
        let at = moment::into_timestamp(at.inner()).ok_or("the moment is out of range")?;
        return Ok(at.to_string().into());
    }
    if let Some(length) = value.downcast_ref::<CelDuration>() {
        return Ok(format!("{}s", length.inner().num_milliseconds() as f64 / 1000.0).into());
    }
    if let Some(optional) = value.downcast_ref::<CelOptional>() {
        return optional.option().map_or(Ok(Value::Null), json);
    }
    match value.get_type().kind() {
        Kind::List => list(value),
        Kind::Map => map(value),
        _ => Err(format!("{} has no JSON", noun(value))),
    }
}

fn list(value: &dyn Val) -> Result<Value, String> {
    let mut items = value.as_iterable().ok_or("a list that cannot be read")?.iter();
    let mut found = Vec::new();
    while let Some(item) = items.next() {
        if found.len() == MAX_ITEMS {
            return Err(format!("a list of more than {MAX_ITEMS} items"));
        }
        found.push(json(item)?);
    }
    Ok(found.into())
}

fn map(value: &dyn Val) -> Result<Value, String> {
    let mut keys = value.as_iterable().ok_or("a map that cannot be read")?.iter();
    let fields = value.as_indexer().ok_or("a map that cannot be read")?;
    let mut found = Map::new();
    while let Some(key) = keys.next() {
        let name = match json(key)? {
            Value::String(name) => name,
            other => other.to_string(),
        };
        let field = fields.get(key).map_err(super::fault::explain)?;
        found.insert(name, json(field.as_ref())?);
    }
    Ok(found.into())
}

fn noun(value: &dyn Val) -> &str {
    value.get_type().name()
}

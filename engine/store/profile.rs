//! A user's row, for all stores that keep rows.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::columns::Columns;
use super::{Result, StoreError};
use crate::model::{Preferences, User};

/// In the order that [`user`] reads.
pub(super) const USER: &str = "id, profile, created_at, updated_at";

/// A user's fields as one JSON column; times have columns of their own.
#[derive(Serialize, Deserialize)]
struct Profile<'p> {
    username: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    locale: Option<String>,
    time_zone: Option<String>,
    role: Option<String>,
    data: Cow<'p, Map<String, Value>>,
}

pub(super) fn profile(user: &User) -> String {
    let profile = Profile {
        username: user.username.clone(),
        email: user.email.clone(),
        phone: user.phone.clone(),
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        locale: user.locale.clone(),
        time_zone: user.time_zone.clone(),
        role: user.role.clone(),
        data: Cow::Borrowed(&user.data),
    };
    serde_json::to_string(&profile).unwrap_or_else(|_| "{}".into())
}

/// Columns in [`USER`]'s order.
pub(super) fn user(row: &impl Columns) -> Result<User> {
    let id = row.text(0)?;
    let unreadable = |why: &dyn std::fmt::Display| StoreError::Unreadable {
        noun: "user",
        id: id.to_owned(),
        why: why.to_string(),
    };
    let profile: Profile<'_> =
        serde_json::from_str(row.text(1)?).map_err(|error| unreadable(&error))?;
    let time = |millis| Timestamp::from_millisecond(millis).map_err(|error| unreadable(&error));
    Ok(User {
        username: profile.username,
        email: profile.email,
        phone: profile.phone,
        first_name: profile.first_name,
        last_name: profile.last_name,
        locale: profile.locale,
        time_zone: profile.time_zone,
        role: profile.role,
        data: profile.data.into_owned(),
        created_at: time(row.number(2)?)?,
        updated_at: time(row.number(3)?)?,
        id: id.into(),
    })
}

/// An address that bounced stays so for as long as nothing about the user's addresses changes.
pub(super) fn keeps_addresses(known: Option<&impl Columns>, given: &User) -> bool {
    let known = known.and_then(|row| user(row).ok());
    known.is_none_or(|known| known.has_addresses_of(given))
}

/// What `user` said, as it was stored; the default for nothing.
pub(super) fn preferences(user: &str, body: Option<&str>) -> Result<Preferences> {
    let Some(body) = body else { return Ok(Preferences::default()) };
    serde_json::from_str(body).map_err(|error| StoreError::Unreadable {
        noun: "preferences of user",
        id: user.into(),
        why: error.to_string(),
    })
}

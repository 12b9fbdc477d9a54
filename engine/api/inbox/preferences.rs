use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::extract::{self, RawQuery};
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::caller::EndUser;
use super::super::envelope::{ErrorEnvelope, InboxError};
use super::super::merge::merge;
use super::super::query::Query;
use super::super::{Api, State, body};
use crate::gate::{self, Asked};
use crate::ingest::preferences::{self as settings, Known};
use crate::model::{Category, ChannelName, Deed, Preferences, Switch, UserId};

/// What a user said, filled from the defaults.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PreferencesView {
    #[schema(value_type = String, format = Uuid)]
    id: Uuid,
    /// A canonical decimal id is an integer.
    #[schema(value_type = String)]
    user: Value,
    /// Every known type × every channel.
    notification_types: BTreeMap<String, BTreeMap<String, bool>>,
    quiet_hours: QuietHoursView,
    frequency_limits: LimitsView,
    /// By workflow: a boolean, or booleans by channel.
    #[schema(value_type = Object)]
    workflows: BTreeMap<String, Switch>,
    #[schema(value_type = Object)]
    topics: BTreeMap<String, Switch>,
    /// Types of which the user wants to hear nothing on any channel; left out where there is none.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    unsubscribed: BTreeSet<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct QuietHoursView {
    enabled: bool,
    /// `HH:MM:SS`; `HH:MM` is taken too.
    start_time: String,
    end_time: String,
    /// IANA.
    timezone: String,
}

/// `null`: no limit.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LimitsView {
    max_per_hour: Option<u32>,
    max_per_day: Option<u32>,
}

#[utoipa::path(
    get, path = "/api/notifications/preferences/", tag = "inbox",
    params(("user_id" = Option<String>, Query, description = "Admin")),
    responses((status = 200, description = "The whole", body = PreferencesView)),
)]
pub async fn show(
    extract::State(api): Api,
    user: EndUser,
    RawQuery(raw): RawQuery,
) -> Result<axum::Json<PreferencesView>, InboxError> {
    let subject = subject(&user, raw.as_deref())?;
    let stored = api.store.preferences(&subject).await?;
    view(&api, &subject, stored).await
}

#[utoipa::path(
    put, path = "/api/notifications/preferences/", tag = "inbox",
    description = "Takes what GET gave, and replaces; what is absent follows the defaults.",
    params(("user_id" = Option<String>, Query, description = "Admin")),
    request_body = PreferencesView,
    responses(
        (status = 200, description = "The whole", body = PreferencesView),
        (status = 400, description = "NOTIF_006 with the field's path", body = ErrorEnvelope),
    ),
)]
pub async fn replace(
    extract::State(api): Api,
    user: EndUser,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<axum::Json<PreferencesView>, InboxError> {
    let subject = subject(&user, raw.as_deref())?;
    let value = body::json(&headers, content, api.server.max_body).await?;
    let preferences = settings::parse(value, &known(&api))?;
    let _turn = api.turns.of(&subject).await;
    store(&api, &user, &subject, preferences).await
}

#[utoipa::path(
    patch, path = "/api/notifications/preferences/", tag = "inbox",
    description = "Merges deeply; `null` removes.",
    params(("user_id" = Option<String>, Query, description = "Admin")),
    request_body = PreferencesView,
    responses(
        (status = 200, description = "The whole", body = PreferencesView),
        (status = 400, description = "NOTIF_006 with the field's path", body = ErrorEnvelope),
    ),
)]
pub async fn change(
    extract::State(api): Api,
    user: EndUser,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<axum::Json<PreferencesView>, InboxError> {
    let subject = subject(&user, raw.as_deref())?;
    let patch = body::json(&headers, content, api.server.max_body).await?;
    let known = known(&api);
    // The patch alone first: what it names has to be known, and its types told without case.
    let patch = settings::canonical(patch, &known)?;
    let _turn = api.turns.of(&subject).await;
    let stored = api.store.preferences(&subject).await?;
    let stored = settings::retain_known(stored, &known);
    let mut value = serde_json::to_value(&stored).map_err(|_| InboxError::internal())?;
    merge(&mut value, patch);
    store(&api, &user, &subject, settings::parse(value, &known)?).await
}

fn subject(user: &EndUser, raw: Option<&str>) -> Result<UserId, InboxError> {
    user.subject(Query::new(raw).get("user_id"))
}

async fn store(
    api: &State,
    user: &EndUser,
    subject: &UserId,
    preferences: Preferences,
) -> Result<axum::Json<PreferencesView>, InboxError> {
    api.store.put_preferences(subject, preferences.clone()).await?;
    // What people say for themselves is nobody else's to look into.
    if subject != user.id() {
        let who = format!("user {}", user.id());
        api.record(who, Deed::PreferencesChange, subject.as_str(), json!({})).await?;
    }
    view(api, subject, preferences).await
}

fn known(api: &State) -> Known {
    let always = ChannelName::ALWAYS_SHOWN.map(ChannelName::from);
    let mut channels = BTreeSet::from(always);
    channels.extend(api.catalog.channels().into_iter().map(|loaded| loaded.channel));
    Known { types: api.catalog.types(), channels }
}

async fn view(
    api: &State,
    subject: &UserId,
    preferences: Preferences,
) -> Result<axum::Json<PreferencesView>, InboxError> {
    let user = api.store.user(subject).await?;
    let zone = user.and_then(|user| user.time_zone).unwrap_or_else(|| api.time_zone.clone());
    let known = known(api);
    let row = |category: &Category| {
        let cell = |channel: &ChannelName| {
            let asked = Asked { category, channel, tenant: "", workflow: None, topic: None };
            let resolved = gate::resolve(&asked, &api.gates, Some(&preferences));
            (channel.to_string(), resolved.is_allowed())
        };
        (category.to_string(), known.channels.iter().map(cell).collect())
    };
    let notification_types = known.types.iter().map(row).collect();
    let quiet = preferences.quiet_hours.or_else(|| api.gates.quiet_hours.clone());
    let quiet = quiet.unwrap_or_else(settings::default_quiet_hours);
    let limits = preferences.frequency_limits.unwrap_or_default();
    let limits = api.gates.limits_of(limits);
    Ok(axum::Json(PreferencesView {
        id: id(subject),
        user: subject.to_json(),
        notification_types,
        quiet_hours: QuietHoursView {
            enabled: quiet.enabled,
            start_time: quiet.start_time.to_string(),
            end_time: quiet.end_time.to_string(),
            timezone: quiet.timezone.unwrap_or(zone),
        },
        frequency_limits: LimitsView {
            max_per_hour: limits.max_per_hour,
            max_per_day: limits.max_per_day,
        },
        workflows: texts(preferences.workflows),
        topics: texts(preferences.topics),
        unsubscribed: preferences.unsubscribed.iter().map(ToString::to_string).collect(),
    }))
}

fn texts<Name: ToString>(switches: BTreeMap<Name, Switch>) -> BTreeMap<String, Switch> {
    switches.into_iter().map(|(name, switch)| (name.to_string(), switch)).collect()
}

/// A user has one set of preferences: its id follows from the user's.
fn id(user: &UserId) -> Uuid {
    let digest = Sha256::new().chain_update("preferences:").chain_update(user.as_str()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

use std::collections::BTreeMap;

use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use crate::model::{Category, Row};

/// One tenant: the `tenant` of the events that are its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tenant {
    pub preferences: TenantPreferences,
}

/// What holds for a tenant's recipients, unless a workflow or they themselves say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantPreferences {
    /// As `engine.preferences`.
    pub notification_types: BTreeMap<Category, Row>,
}

/// Hours of the local wall clock in which nothing interrupts: `HH:MM` or `HH:MM:SS`, over midnight
/// where the end is the earlier. Equal ones are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    pub start_time: Time,
    pub end_time: Time,
    /// IANA. Default: the recipient's zone, else `engine.time_zone`.
    pub timezone: Option<String>,
}

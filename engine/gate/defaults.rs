use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::quiet_hours::Zone;
use crate::config::Config;
use crate::model::{Category, ChannelName, Limits, QuietHours, Row};

/// What the operator decided for those who said nothing themselves.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// On or off by category and channel; the category `*` stands for all others.
    pub preferences: BTreeMap<Category, Row>,
    /// The same, by tenant.
    pub tenants: BTreeMap<String, BTreeMap<Category, Row>>,
    /// Of recipients who said nothing of quiet hours; `None`: they have none.
    pub quiet_hours: Option<QuietHours>,
    /// Of recipients who set no limit of their own.
    pub limits: Limits,
    zone: Zone,
}

impl Defaults {
    /// Those of a configuration, which was checked: a zone that is none would be UTC.
    pub fn of(config: &Config) -> Self {
        let quiet_hours = config.engine.quiet_hours.as_ref().map(|hours| QuietHours {
            enabled: true,
            start_time: hours.start_time,
            end_time: hours.end_time,
            timezone: hours.timezone.clone(),
        });
        let tenants = config.tenants.iter();
        let tenants = tenants
            .map(|(name, tenant)| (name.clone(), tenant.preferences.notification_types.clone()));
        Self {
            preferences: config.engine.preferences.clone(),
            tenants: tenants.collect(),
            quiet_hours,
            limits: config.engine.budgets,
            zone: Zone::named(&config.engine.time_zone).unwrap_or_else(utc),
        }
    }

    /// The limits in force for somebody who set `own`.
    pub fn limits_of(&self, own: Limits) -> Limits {
        Limits {
            max_per_hour: own.max_per_hour.or(self.limits.max_per_hour),
            max_per_day: own.max_per_day.or(self.limits.max_per_day),
        }
    }

    /// The zone of recipients of whom none is known.
    pub(super) fn zone(&self) -> Zone {
        Zone { assumed: true, ..self.zone.clone() }
    }

    pub(super) fn preference(&self, category: &Category, channel: &ChannelName) -> Option<bool> {
        of(&self.preferences, category, channel)
    }

    pub(super) fn tenant_preference(
        &self,
        tenant: &str,
        category: &Category,
        channel: &ChannelName,
    ) -> Option<bool> {
        of(self.tenants.get(tenant)?, category, channel)
    }
}

impl Default for Defaults {
    /// No preference, no quiet hours and no limits; the zone is UTC.
    fn default() -> Self {
        Self {
            preferences: BTreeMap::new(),
            tenants: BTreeMap::new(),
            quiet_hours: None,
            limits: Limits::default(),
            zone: utc(),
        }
    }
}

/// The category's own row first, then that of all others; in a row likewise.
fn of(rows: &BTreeMap<Category, Row>, category: &Category, channel: &ChannelName) -> Option<bool> {
    let said = |row: &Row| row.of(channel).or(row.every());
    rows.get(category).and_then(said).or_else(|| rows.get(ChannelName::EVERY).and_then(said))
}

fn utc() -> Zone {
    Zone { name: "UTC".into(), zone: TimeZone::UTC, assumed: false }
}

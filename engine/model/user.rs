use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Bounce, Category, ChannelName, Device, TopicName, UserId, WorkflowName};

/// Somebody who may be told of things. Only `id` is needed.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub id: UserId,
    pub username: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// BCP 47 (`fr-CA`).
    pub locale: Option<String>,
    /// IANA (`Africa/Tunis`).
    pub time_zone: Option<String>,
    pub role: Option<String>,
    /// Anything else, for templates and expressions.
    pub data: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Everything the stages want to know of a recipient, loaded once and cached.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    pub user: User,
    pub preferences: Preferences,
    pub topics: Vec<TopicName>,
    /// By their ids; those turned off too.
    pub devices: Vec<Device>,
    /// Addresses that will never work.
    pub bounces: Vec<Bounce>,
}

/// What a user said, and nothing else: what is absent follows the defaults
/// (docs/reference/gates.md, "Preferences"). The stored form and the inbox API's are this one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    pub notification_types: BTreeMap<Category, Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_limits: Option<Limits>,
    pub workflows: BTreeMap<WorkflowName, Switch>,
    pub topics: BTreeMap<TopicName, Switch>,
    /// Categories that the user wants to hear nothing of, on no channel: what a one-click
    /// unsubscribe leaves. Of a marketing category it binds whatever else is said.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unsubscribed: BTreeSet<Category>,
}

/// What was said of one category: by channel, and under [`ChannelName::EVERY`] of all the others.
/// Written `false` or `true` alone, it speaks of every channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Switch")]
pub struct Row(pub BTreeMap<ChannelName, bool>);

/// Local wall-clock times `HH:MM:SS`; `timezone` absent: the user's zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuietHours {
    pub enabled: bool,
    pub start_time: jiff::civil::Time,
    pub end_time: jiff::civil::Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// Absent: no limit; 0: none at all but critical.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub max_per_hour: Option<u32>,
    pub max_per_day: Option<u32>,
}

/// A choice about a workflow or a topic: for all channels, or by channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Switch {
    All(bool),
    ByChannel(BTreeMap<ChannelName, bool>),
}

impl Row {
    /// What was said of all channels at once.
    pub fn every(&self) -> Option<bool> {
        self.0.get(ChannelName::EVERY).copied()
    }

    /// What was said of this very channel.
    pub fn of(&self, channel: &ChannelName) -> Option<bool> {
        self.0.get(channel).copied()
    }

    /// Whether it turns off everything that preferences show, one by one or at once.
    pub fn is_all_off(&self) -> bool {
        let off = |channel: &str| self.0.get(channel).is_some_and(|on| !on);
        let others = || self.0.iter().any(|(channel, on)| *on && !channel.is_every());
        !others() && (off(ChannelName::EVERY) || ChannelName::ALWAYS_SHOWN.into_iter().all(off))
    }
}

impl From<Switch> for Row {
    fn from(switch: Switch) -> Self {
        match switch {
            Switch::All(on) => Self([(ChannelName::EVERY.into(), on)].into()),
            Switch::ByChannel(channels) => Self(channels),
        }
    }
}

impl Limits {
    /// Whether there is a limit at all.
    pub fn bind(&self) -> bool {
        self.max_per_hour.is_some() || self.max_per_day.is_some()
    }
}

impl Switch {
    pub fn allows(&self, channel: &ChannelName) -> Option<bool> {
        match self {
            Self::All(on) => Some(*on),
            Self::ByChannel(channels) => channels.get(channel).copied(),
        }
    }
}

/// Whom a run speaks to, with what the stages want to know, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Recipient {
    /// `None` for an inline contact, and for a run without a recipient.
    pub person: Option<Arc<Person>>,
    /// A `contact:`'s fields as the event gave them ({email, phone, name, locale, time_zone}).
    pub contact: Option<Value>,
    /// The recipient rule's `as`; empty where the file gives none.
    pub role: String,
    pub presence: Presence,
}

/// Whether a user has the app open, by the relay's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    pub online: bool,
    /// When the last connection closed, or now while one is open; `None`: never seen.
    pub last_seen: Option<Timestamp>,
}

impl User {
    /// Whether all channels would reach `other` at the same places.
    pub fn has_addresses_of(&self, other: &Self) -> bool {
        (&self.email, &self.phone, &self.data) == (&other.email, &other.phone, &other.data)
    }
}

impl Person {
    /// The active device that a push message goes to: the one used last, else the newest.
    pub fn device(&self) -> Option<&Device> {
        let active = self.devices.iter().filter(|device| device.is_active);
        active.max_by_key(|device| (device.last_used_at, device.updated_at, device.id))
    }
}

impl Recipient {
    pub fn user(&self) -> Option<&User> {
        self.person.as_deref().map(|person| &person.user)
    }

    pub fn id(&self) -> Option<&UserId> {
        self.user().map(|user| &user.id)
    }

    fn contact_text(&self, field: &str) -> Option<&str> {
        self.contact.as_ref()?.get(field)?.as_str()
    }

    /// First and last name, or whichever there is, else the username; a contact's `name`.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        let Some(user) = self.user() else {
            return self.contact_text("name").map(Cow::Borrowed);
        };
        match (user.first_name.as_deref(), user.last_name.as_deref()) {
            (Some(first), Some(last)) => Some(format!("{first} {last}").into()),
            (Some(one), None) | (None, Some(one)) => Some(one.into()),
            (None, None) => user.username.as_deref().map(Cow::Borrowed),
        }
    }

    pub fn email(&self) -> Option<&str> {
        self.user().map_or_else(|| self.contact_text("email"), |user| user.email.as_deref())
    }

    pub fn phone(&self) -> Option<&str> {
        self.user().map_or_else(|| self.contact_text("phone"), |user| user.phone.as_deref())
    }

    pub fn locale(&self) -> Option<&str> {
        self.user().map_or_else(|| self.contact_text("locale"), |user| user.locale.as_deref())
    }

    pub fn time_zone(&self) -> Option<&str> {
        self.user().map_or_else(|| self.contact_text("time_zone"), |user| user.time_zone.as_deref())
    }
}

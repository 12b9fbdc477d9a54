//! What providers say became of messages that they took.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Pipeline;
use crate::channel::{CallbackError, Called, Channel, Inbound, Outcome, Update};
use crate::dispatch::Dispatched;
use crate::model::{
    Bounce, ChannelName, Expected, Fate, MessageStatus, ProviderName, Report, UserId,
};
use crate::render::Rendered;
use crate::store::{DeviceChange, QueueName, Reported, Result, StoreError};
use crate::telemetry::MessageReported;

/// How often a message is looked for, and the wait between.
const LOOKS: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(100);
const UNKNOWN: &str = "unknown";

/// A provider that reports of the messages it took.
pub struct Reporter {
    pub channel: Arc<dyn Channel>,
    /// Of their delivery too, not only of what goes wrong.
    pub delivery: bool,
}

/// Those that report, by their names.
pub type Reporters = BTreeMap<ProviderName, Reporter>;

/// What a provider's request came to.
#[derive(Debug)]
pub struct Answered {
    pub called: Called,
    /// Updates of messages that are known, and of others.
    pub known: usize,
    pub unknown: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum CallbackFailed {
    #[error("no provider `{0}` calls back")]
    NoSuchProvider(ProviderName),
    #[error(transparent)]
    Channel(CallbackError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The way in of providers' requests.
#[async_trait]
pub trait Callbacks: Send + Sync {
    /// Has the plugin read the request, and moves the messages that it tells of. Asked again with
    /// the same, it changes nothing.
    async fn callback(
        &self,
        provider: &ProviderName,
        inbound: &Inbound,
    ) -> std::result::Result<Answered, CallbackFailed>;
}

#[async_trait]
impl Callbacks for Pipeline {
    async fn callback(
        &self,
        provider: &ProviderName,
        inbound: &Inbound,
    ) -> std::result::Result<Answered, CallbackFailed> {
        let none = || CallbackFailed::NoSuchProvider(provider.clone());
        let reporter = self.reporters.get(provider).ok_or_else(none)?;
        let called = match reporter.channel.callback(inbound).await {
            Err(CallbackError::Unsupported) => return Err(none()),
            other => other.map_err(CallbackFailed::Channel)?,
        };
        // One that is refused by its plugin's own status tells nothing.
        let updates = if called.status < 400 { called.updates.as_slice() } else { &[] };
        let unknown = self.follow_all(provider, updates).await?;
        let known = updates.len() - unknown;
        if known > 0 {
            self.wake.tell(QueueName::Runs);
        }
        Ok(Answered { called, known, unknown })
    }
}

impl Pipeline {
    /// Lets these providers report.
    #[must_use]
    pub fn hearing(self, reporters: Reporters) -> Self {
        Self { reporters, ..self }
    }

    /// What the provider will report of a message that it took.
    pub(super) fn expected(
        &self,
        rendered: &Rendered,
        dispatched: &Dispatched,
    ) -> Option<Expected> {
        let Dispatched::Attempted { provider, outcome, .. } = dispatched else { return None };
        let Outcome::Accepted { receipt: Some(_), .. } = outcome else { return None };
        let delivery = self.reporters.get(provider)?.delivery;
        let sent_to = Bounce::of(rendered.channel(), rendered.to());
        Some(Expected { delivery, sent_to })
    }

    /// Whether the provider is to report the delivery of a message that it took.
    pub(super) fn is_underway(
        &self,
        status: MessageStatus,
        provider: Option<&ProviderName>,
    ) -> bool {
        let reporter = provider.and_then(|provider| self.reporters.get(provider));
        status == MessageStatus::Sent && reporter.is_some_and(|reporter| reporter.delivery)
    }

    /// Answers how many are about no message that is known. A quick provider reports before the
    /// result of its attempt is written: those are looked for again.
    async fn follow_all(&self, provider: &ProviderName, updates: &[Update]) -> Result<usize> {
        let mut left: Vec<&Update> = updates.iter().collect();
        for look in 1..=LOOKS {
            let mut unknown = Vec::new();
            for update in left {
                let outcome = self.follow(provider, update).await?;
                if outcome == UNKNOWN {
                    unknown.push(update);
                    if look < LOOKS {
                        continue;
                    }
                }
                let state = update.fate.map_or("other", Fate::as_str);
                MessageReported { provider: provider.as_str(), state, outcome }.emit();
            }
            left = unknown;
            if left.is_empty() {
                break;
            }
            if look < LOOKS {
                self.clock.sleep(BETWEEN).await;
            }
        }
        Ok(left.len())
    }

    async fn follow(&self, provider: &ProviderName, update: &Update) -> Result<&'static str> {
        let Some(Reported { message, sent_to }) =
            self.store.reported(provider, &update.receipt).await?
        else {
            return Ok(UNKNOWN);
        };
        let Some(fate) = update.fate.filter(|fate| fate.moves(message.status)) else {
            return Ok("unchanged");
        };
        // Before the message moves: a crash between the two has the provider tell it again.
        if let Some(user) = &message.recipient {
            match fate {
                Fate::Delivered => {}
                Fate::Bounced if update.soft => {}
                Fate::Bounced => self.came_back(user, &sent_to).await?,
                Fate::Complained => self.was_unwanted(user).await?,
            }
        }
        let report = Report {
            provider: provider.clone(),
            receipt: update.receipt.clone(),
            fate,
            at: self.clock.now(),
            reason: reason(provider, update, fate),
        };
        Ok(if self.store.report(&report).await? { "moved" } else { "unchanged" })
    }

    /// The address will never work: a device is turned off, any other is remembered.
    async fn came_back(&self, user: &UserId, sent_to: &Bounce) -> Result<()> {
        let nowhere = Bounce::of(&sent_to.channel, "");
        if *sent_to == nowhere {
            return Ok(());
        }
        let now = self.clock.now();
        let people = self.store.people(std::slice::from_ref(user)).await?;
        let devices = people.iter().flat_map(|person| &person.devices);
        let is_it = |token: &str, channel: &ChannelName| Bounce::of(channel, token) == *sent_to;
        let device = devices.into_iter().find(|one| is_it(one.token.as_str(), &sent_to.channel));
        if let Some(device) = device {
            let off = DeviceChange { is_active: Some(false), ..DeviceChange::default() };
            self.store.change_device(user, device.id, &off, now).await?;
            return Ok(());
        }
        self.store.mark_bounced(user, sent_to, now).await
    }

    /// Who complains has unsubscribed from every marketing category.
    async fn was_unwanted(&self, user: &UserId) -> Result<()> {
        let before = self.store.preferences(user).await?;
        let mut preferences = before.clone();
        preferences.unsubscribed.extend(self.catalog().marketing());
        if preferences == before {
            return Ok(());
        }
        self.store.put_preferences(user, preferences).await
    }
}

/// `hooks reports: bounced (550), the mailbox is full`.
fn reason(provider: &ProviderName, update: &Update, fate: Fate) -> String {
    let mut text = format!("{provider} reports: {}", fate.as_str());
    // Writing into text cannot fail.
    if let Some(code) = &update.code {
        let _ = write!(text, " ({code})");
    }
    if let Some(detail) = &update.detail {
        let _ = write!(text, ", {detail}");
    }
    text
}

use async_trait::async_trait;
use jiff::Timestamp;

use super::columns::Columns;
use super::{Result, StoreError};
use crate::model::ProviderName;

/// A provider, or one host behind it, that failed too often: nobody asks it before `until`, and
/// then one message alone, the probe. What has no row is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    pub provider: ProviderName,
    /// Of a provider whose messages name their hosts: the one that failed. Empty: the provider.
    pub host: String,
    /// `provider.open`, `provider.misconfigured` or `plugin.quarantined`.
    pub code: String,
    pub since: Timestamp,
    pub until: Timestamp,
    /// A probe was taken, and has until then: past that, another may be.
    pub probe_until: Option<Timestamp>,
    /// Openings in a row, this one included.
    pub openings: u32,
}

/// What nodes tell each other of providers. Written at transitions alone.
#[async_trait]
pub trait Breakers {
    /// Those that are open, by provider and host.
    async fn breakers(&self) -> Result<Vec<Breaker>>;

    /// Opens a breaker, and gives back its probe. Where it is open already, the later `until` and
    /// the higher count stay, and so does `since`.
    async fn open_breaker(&self, breaker: &Breaker) -> Result<()>;

    /// Takes the probe, for as long as `until`. Of many callers one hears `true`; nobody, before
    /// the breaker's moment or where it is closed.
    async fn take_probe(
        &self,
        provider: &ProviderName,
        host: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool>;

    async fn close_breaker(&self, provider: &ProviderName, host: &str) -> Result<()>;
}

/// A row of provider, host, code, since, until, `probe_until` and openings.
pub(super) fn read(row: &impl Columns) -> Result<Breaker> {
    let provider = row.text(0)?;
    let unreadable =
        |why: String| StoreError::Unreadable { noun: "breaker", id: provider.to_owned(), why };
    let time = |millis: i64| {
        Timestamp::from_millisecond(millis).map_err(|error| unreadable(error.to_string()))
    };
    Ok(Breaker {
        provider: provider.into(),
        host: row.text(1)?.to_owned(),
        code: row.text(2)?.to_owned(),
        since: time(row.number(3)?)?,
        until: time(row.number(4)?)?,
        probe_until: row.maybe_number(5)?.map(time).transpose()?,
        openings: u32::try_from(row.number(6)?).unwrap_or(u32::MAX),
    })
}

impl Breaker {
    /// The first moment at which somebody may ask again.
    pub fn probe_at(&self) -> Timestamp {
        self.probe_until.map_or(self.until, |taken| taken.max(self.until))
    }

    /// Takes the probe of this breaker, if it is there to be taken.
    pub(crate) fn take(&mut self, now: Timestamp, until: Timestamp) -> bool {
        let free = self.probe_at() <= now;
        if free {
            self.probe_until = Some(until);
        }
        free
    }

    /// What becomes of an open breaker that is opened again.
    pub(crate) fn merge(&mut self, again: &Self) {
        self.code.clone_from(&again.code);
        self.until = self.until.max(again.until);
        self.openings = self.openings.max(again.openings);
        self.probe_until = None;
    }
}

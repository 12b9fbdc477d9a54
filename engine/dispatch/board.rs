use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::model::ProviderName;
use crate::store::{Breaker, Store, StoreError};
use crate::telemetry::{BreakerChanged, BreakerStands};

/// What other nodes wrote is seen this late.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Clocks of nodes may differ by so much. In milliseconds.
const SKEW: i64 = 60_000;

/// The breakers that are open, as this node knows them.
///
/// The store is written at transitions and read once a second at most. What it cannot take or
/// tell is this node's alone until it can.
pub(super) struct Board {
    clock: Clock,
    shared: Option<Arc<dyn Store>>,
    open: RwLock<Open>,
    /// Whether there are any: nearly always there are none.
    any: AtomicBool,
    /// In milliseconds.
    read_at: AtomicI64,
}

type Open = BTreeMap<(ProviderName, String), Breaker>;

impl Board {
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            shared: None,
            open: RwLock::default(),
            any: AtomicBool::new(false),
            read_at: AtomicI64::new(i64::MIN),
        }
    }

    pub fn shared(self, store: Arc<dyn Store>) -> Self {
        Self { shared: Some(store), ..self }
    }

    /// Reads what other nodes have written, unless that was done within the last second. One
    /// caller reads; the others go on with what is known. Answers whether this one read.
    pub async fn refresh(&self) -> bool {
        let Some(store) = &self.shared else { return false };
        let now = self.clock.now().as_millisecond();
        let read_at = self.read_at.load(Ordering::Relaxed);
        let every = READ_EVERY.as_millis().try_into().unwrap_or(i64::MAX);
        // A clock that was set back makes it due too.
        let due = now < read_at || now.saturating_sub(read_at) >= every;
        let mine = || {
            let relaxed = Ordering::Relaxed;
            self.read_at.compare_exchange(read_at, now, relaxed, relaxed).is_ok()
        };
        if !due || !mine() {
            return false;
        }
        match store.breakers().await {
            Ok(breakers) => {
                let key = |breaker: &Breaker| (breaker.provider.clone(), breaker.host.clone());
                let mut read: Open =
                    breakers.into_iter().map(|breaker| (key(&breaker), breaker)).collect();
                // Opened by a clock that was wrong, or is now: it is worth nothing.
                let latest = now.saturating_add(SKEW);
                let wrong = |_: &_, open: &mut Breaker| open.since.as_millisecond() > latest;
                let wrong: Open = read.extract_if(.., wrong).collect();
                self.change(|open| *open = read);
                for (provider, host) in wrong.keys() {
                    self.close(provider, host).await;
                }
            }
            Err(error) => tracing::warn!(%error, "the breakers of other nodes could not be read"),
        }
        true
    }

    pub fn look(&self, provider: &ProviderName, host: &str) -> Option<Breaker> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.read().get(&(provider.clone(), host.to_owned())).cloned()
    }

    /// Takes the probe until then; `false`: it is another's.
    pub async fn take_probe(
        &self,
        provider: &ProviderName,
        host: &str,
        lasts: Duration,
    ) -> Result<bool, StoreError> {
        let (now, until) = (self.clock.now(), self.clock.after(lasts));
        let key = (provider.clone(), host.to_owned());
        let mine = |open: &mut Open| open.get_mut(&key).is_some_and(|open| open.take(now, until));
        // Of this node's many, one asks the store.
        if !self.change(mine) {
            return Ok(false);
        }
        match &self.shared {
            Some(store) => store.take_probe(provider, host, now, until).await,
            None => Ok(true),
        }
    }

    /// Opens a breaker, or opens it again, which gives back its probe.
    pub async fn open(&self, breaker: Breaker) {
        let key = (breaker.provider.clone(), breaker.host.clone());
        if let Some(store) = &self.shared
            && let Err(error) = store.open_breaker(&breaker).await
        {
            tracing::warn!(%error, "other nodes could not be told of a breaker");
        }
        BreakerChanged {
            provider: breaker.provider.as_str(),
            host: &breaker.host,
            to: "open",
            code: &breaker.code,
        }
        .emit();
        self.change(|open| {
            open.entry(key).and_modify(|known| known.merge(&breaker)).or_insert(breaker);
        });
    }

    pub async fn close(&self, provider: &ProviderName, host: &str) {
        if let Some(store) = &self.shared
            && let Err(error) = store.close_breaker(provider, host).await
        {
            tracing::warn!(%error, "other nodes could not be told of a breaker");
        }
        let (to, code) = ("closed", "");
        BreakerChanged { provider: provider.as_str(), host, to, code }.emit();
        self.change(|open| open.remove(&(provider.clone(), host.to_owned())));
    }

    /// For the metrics: how it stands with each of these.
    pub fn tell<'p>(&self, providers: impl Iterator<Item = &'p ProviderName>) {
        let now = self.clock.now();
        let open = self.read();
        for provider in providers {
            let own = open.get(&(provider.clone(), String::new()));
            let of_it = open.keys().filter(|(name, host)| name == provider && !host.is_empty());
            BreakerStands {
                provider: provider.as_str(),
                state: own.map_or(0, |breaker| if breaker.until <= now { 1 } else { 2 }),
                hosts: of_it.count(),
            }
            .emit();
        }
    }

    pub fn all(&self) -> Vec<Breaker> {
        self.read().values().cloned().collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Open) -> T) -> T {
        let mut open = self.write();
        let changed = change(&mut open);
        self.any.store(!open.is_empty(), Ordering::Release);
        changed
    }

    fn read(&self) -> RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Open> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A breaker's moment to be asked again: the probe's end where one is under way, but no later
/// than a node hears of how that went.
pub(super) fn next_look(breaker: &Breaker, now: Timestamp) -> Timestamp {
    let soon = now.saturating_add(READ_EVERY).unwrap_or(Timestamp::MAX);
    if breaker.until <= now { breaker.probe_at().min(soon) } else { breaker.until }
}

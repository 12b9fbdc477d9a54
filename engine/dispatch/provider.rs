use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::Installed;
use super::board::{Board, next_look};
use super::destination::Destination;
use super::door::{Door, Failures};
use super::entry::Entry;
use super::line::{Line, Spacing};
use super::pace::{self, Pace};
use super::refusal::{Refusal, Why};
use super::setback::Setback;
use crate::channel::{Channel, Outcome, Traits};
use crate::clock::Clock;
use crate::config::{self, OnUnknown, Rate};
use crate::model::{Lane, Parcel, ProviderName};

/// Hosts of one provider that are told apart; further ones share what the provider has.
const MOST_HOSTS: usize = 4096;
/// What of a provider's calls may be to one destination, and to one that answers slowly.
const SHARE: usize = 2;
const SLOW_SHARE: usize = 8;
/// Between those who come back once what was in their way is gone: 200 a second.
const APART: Duration = Duration::from_millis(5);
/// The longest that a message is put off at once; and while a provider is busy, of which nobody
/// knows for how long: one that was slow may be quick again.
const LONGEST: Duration = Duration::from_secs(600);
const LONGEST_BUSY: Duration = Duration::from_secs(30);
/// Who finds no turn comes back after this at the earliest.
const SOON: Duration = Duration::from_secs(1);

/// A provider behind its limits and its breaker.
pub(super) struct Gatekeeper {
    pub name: ProviderName,
    pub channel: Arc<dyn Channel>,
    pub breaker: config::Breaker,
    pub clock: Clock,
    /// All that goes to it.
    pub whole: Arc<Door>,
    /// What its plugin did wrong.
    pub faults: Failures,
    rate: Option<Rate>,
    on_unknown: OnUnknown,
    hosts: Mutex<HashMap<String, Arc<Door>>>,
    /// Of those that the rate put off.
    paced: Line,
    /// Of those that came at their moment, and found that another had been faster.
    outrun: Line,
    setback: Setback,
}

/// What is asked of a provider for one message.
pub(super) struct Asking<'a> {
    pub lane: Lane,
    /// It was put off by the rate before, or is too urgent to stand in line: it may take what is
    /// free over the heads of those that wait.
    pub goes_first: bool,
    pub destination: Option<&'a Destination>,
    /// A probe's longest time.
    pub lasts: Duration,
}

impl Gatekeeper {
    pub fn new(installed: Installed, clock: Clock) -> Self {
        let most = installed.concurrency.max(1);
        Self {
            name: installed.name,
            channel: installed.channel,
            breaker: installed.breaker,
            clock,
            whole: Door::new(most, most),
            faults: Failures::default(),
            rate: installed.rate,
            on_unknown: installed.on_unknown,
            hosts: Mutex::default(),
            paced: Line::default(),
            outrun: Line::default(),
            setback: Setback::default(),
        }
    }

    pub fn name(&self) -> &ProviderName {
        &self.name
    }

    pub fn traits(&self) -> &Traits {
        self.channel.traits()
    }

    pub fn retries_unknown(&self) -> bool {
        self.on_unknown == OnUnknown::Retry
    }

    /// Lets one message in, or says what is in its way.
    pub async fn admit(
        &self,
        asking: &Asking<'_>,
        board: &Board,
        pace: &dyn Pace,
    ) -> Result<Entry<'_>, Refusal> {
        let now = self.clock.now();
        if self.setback.noticed(now) {
            self.forget();
        }
        let door = asking.destination.and_then(|destination| self.door(&destination.name, now));
        let host = asking.destination.filter(|destination| destination.answers_itself);
        let host = door.as_ref().and(host).map(|host| host.name.as_str());
        let mut entry = Entry::new(self, door, host);
        let half_open = self.pass_breakers(&entry, board, now)?;
        if let Some(until) = entry.accountable().rests(now) {
            return Err(entry.refuse(Why::Rests, until, APART));
        }
        self.take_turns(&mut entry, now).await?;
        self.take_pace(asking, pace, now).await?;
        for host in half_open {
            self.take_probe(&mut entry, board, host, asking.lasts).await?;
        }
        Ok(entry)
    }

    /// A moment for a message that was refused, which is then its.
    pub fn put_off(&self, refusal: &Refusal, lane: Lane) -> Timestamp {
        let line = match (&refusal.why, &refusal.door) {
            (Why::Rate { outrun: true }, _) => &self.outrun,
            (Why::Rate { outrun: false }, _) => &self.paced,
            (_, Some(door)) => &door.line,
            (_, None) => &self.whole.line,
        };
        let longest = if matches!(refusal.why, Why::Busy) { LONGEST_BUSY } else { LONGEST };
        line.join(lane, refusal.from, Spacing { gap: refusal.gap, longest }, &self.clock)
    }

    pub async fn send(&self, parcel: &Parcel, deadline: Duration) -> Outcome {
        self.channel.send(parcel, deadline).await
    }

    fn forget(&self) {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.values().chain([&self.whole]).for_each(|door| door.forget());
        self.paced.forget();
        self.outrun.forget();
    }

    /// Answers the hosts whose probe has to be taken; empty, the provider itself.
    fn pass_breakers(
        &self,
        entry: &Entry<'_>,
        board: &Board,
        now: Timestamp,
    ) -> Result<Vec<String>, Refusal> {
        let mut half_open = Vec::new();
        for host in [Some(""), entry.host()].into_iter().flatten() {
            let Some(breaker) = board.look(&self.name, host) else { continue };
            if breaker.probe_at() > now {
                let why = Why::Open { code: breaker.code.clone() };
                return Err(entry.refuse_at(host, why, next_look(&breaker, now), APART));
            }
            half_open.push(host.to_owned());
        }
        Ok(half_open)
    }

    async fn take_turns(&self, entry: &mut Entry<'_>, now: Timestamp) -> Result<(), Refusal> {
        let soon = now.saturating_add(SOON).unwrap_or(Timestamp::MAX);
        // The destination first: who waits for a slow one must not keep a turn from the others.
        if let Some(door) = entry.door.clone() {
            match door.turns.take(&self.clock).await {
                Some(turn) => entry.turns.push(turn),
                None => return Err(entry.refuse(Why::Busy, soon, door.turns.gap())),
            }
        }
        match self.whole.turns.take(&self.clock).await {
            Some(turn) => entry.turns.push(turn),
            None => {
                let gap = self.whole.turns.gap();
                return Err(entry.refuse_at("", Why::Busy, soon, gap));
            }
        }
        Ok(())
    }

    async fn take_pace(
        &self,
        asking: &Asking<'_>,
        pace: &dyn Pace,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(rate) = self.rate else { return Ok(()) };
        let gap = pace::gap(rate);
        let refusal = |outrun, from| Refusal {
            provider: self.name.clone(),
            why: Why::Rate { outrun },
            from,
            gap,
            door: None,
        };
        if !asking.goes_first
            && let Some(end) = self.paced.end(asking.lane, now)
        {
            return Err(refusal(false, end));
        }
        let taken = pace.take(self.name.as_str(), rate).await;
        taken.map_err(|at| refusal(asking.goes_first, at))
    }

    async fn take_probe(
        &self,
        entry: &mut Entry<'_>,
        board: &Board,
        host: String,
        lasts: Duration,
    ) -> Result<(), Refusal> {
        match board.take_probe(&self.name, &host, lasts).await {
            Ok(true) => {
                entry.probes.push(host);
                return Ok(());
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, provider = %self.name, "no probe can be taken"),
        }
        entry.give_back(board).await;
        let code = board.look(&self.name, &host).map(|breaker| breaker.code);
        let why = Why::Open { code: code.unwrap_or_else(|| "provider.open".into()) };
        Err(entry.refuse_at(&host, why, self.clock.after(SOON), APART))
    }

    /// The door of one destination; `None` where there are too many.
    fn door(&self, name: &str, now: Timestamp) -> Option<Arc<Door>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = hosts.get(name) {
            return Some(door.clone());
        }
        if hosts.len() >= MOST_HOSTS {
            hosts.retain(|_, door| Arc::strong_count(door) > 1 || !door.is_idle(now));
        }
        if hosts.len() >= MOST_HOSTS {
            return None;
        }
        let most = self.whole.turns.most();
        let door = Door::new(most.div_ceil(SHARE), most.div_ceil(SLOW_SHARE));
        hosts.insert(name.to_owned(), door.clone());
        Some(door)
    }
}

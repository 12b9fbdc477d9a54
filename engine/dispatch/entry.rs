use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::board::Board;
use super::door::Door;
use super::provider::Gatekeeper;
use super::refusal::{Refusal, Why};
use super::standing::{Standing, standing};
use super::turn::Turn;
use crate::channel::Outcome;
use crate::store::Breaker;

/// A plugin that fails so often is quarantined.
const FAULTS: u32 = 5;
const FAULTS_WITHIN: Duration = Duration::from_secs(60);
/// The longest that a breaker stays open at once, unless it is configured to rest for longer.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// What one message's `Retry-After` may keep others from their provider.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// One message's place at a provider, from before it departs until its outcome is known.
pub(super) struct Entry<'g> {
    pub door: Option<Arc<Door>>,
    pub turns: Vec<Turn>,
    /// The hosts whose probe this is; empty: the provider's.
    pub probes: Vec<String>,
    keeper: &'g Gatekeeper,
    /// The host that answers for itself.
    host: Option<String>,
}

impl<'g> Entry<'g> {
    pub fn new(keeper: &'g Gatekeeper, door: Option<Arc<Door>>, host: Option<&str>) -> Self {
        let host = host.map(str::to_owned);
        Self { door, turns: Vec::new(), probes: Vec::new(), keeper, host }
    }

    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Whose failures those of this message are.
    pub fn accountable(&self) -> &Door {
        match &self.door {
            Some(door) if self.host.is_some() => door,
            _ => &self.keeper.whole,
        }
    }

    /// The destination is in the way, or the provider where there is none.
    pub fn refuse(&self, why: Why, from: Timestamp, gap: Duration) -> Refusal {
        let provider = self.keeper.name.clone();
        Refusal { provider, why, from, gap, door: self.door.clone() }
    }

    /// `host` is in the way; empty, the provider.
    pub fn refuse_at(&self, host: &str, why: Why, from: Timestamp, gap: Duration) -> Refusal {
        let door = if host.is_empty() { None } else { self.door.clone() };
        Refusal { door, ..self.refuse(why, from, gap) }
    }

    /// Nothing was sent: what was taken to find something out is free for another.
    pub async fn give_back(&mut self, board: &Board) {
        for host in std::mem::take(&mut self.probes) {
            if let Some(breaker) = board.look(&self.keeper.name, &host) {
                board.open(breaker).await;
            }
        }
    }

    /// Learns from what became of the message.
    pub async fn ended(self, outcome: &Outcome, took: Duration, board: &Board) {
        self.keeper.whole.turns.took(took);
        if let Some(door) = &self.door {
            door.turns.took(took);
        }
        let standing = standing(outcome);
        if let Standing::Limited { after: Some(after) } = standing {
            let until = self.keeper.clock.after(after.min(LONGEST_PAUSE));
            self.accountable().rest_until(until);
        }
        if standing == Standing::Well {
            self.accountable().failures.forget();
        }
        let own = self.host.clone().unwrap_or_default();
        let opened = match standing {
            Standing::Well | Standing::Limited { .. } | Standing::Ours => None,
            Standing::Failed => self.failed(board, &own).then_some((own, "provider.open")),
            Standing::Faulty => self.faulty(board).then_some((String::new(), "plugin.quarantined")),
            Standing::Misconfigured => {
                self.is_news(board).then_some((String::new(), "provider.misconfigured"))
            }
        };
        for host in &self.probes {
            if opened.as_ref().is_none_or(|(opened, _)| opened != host) {
                board.close(&self.keeper.name, host).await;
            }
        }
        if let Some((host, code)) = opened {
            board.open(self.again(board, host, code)).await;
        }
    }

    /// Whether that was one failure too many.
    fn failed(&self, board: &Board, own: &str) -> bool {
        let settings = &self.keeper.breaker;
        if self.probes.iter().any(|host| host == own) {
            return true;
        }
        // What was under way when it opened says nothing new.
        if settings.failures == 0 || board.look(&self.keeper.name, own).is_some() {
            return false;
        }
        let now = self.keeper.clock.now();
        self.accountable().failures.add(now, settings.window.0) == settings.failures
    }

    fn faulty(&self, board: &Board) -> bool {
        let probe = self.probes.iter().any(String::is_empty);
        let faults = || self.keeper.faults.add(self.keeper.clock.now(), FAULTS_WITHIN);
        probe || self.is_news(board) && faults() == FAULTS
    }

    /// Whether the provider as a whole was thought well of until now, or is being tried.
    fn is_news(&self, board: &Board) -> bool {
        let probe = self.probes.iter().any(String::is_empty);
        probe || board.look(&self.keeper.name, "").is_none()
    }

    /// The breaker, opened: for twice as long as the last time, where nothing went well since.
    fn again(&self, board: &Board, host: String, code: &str) -> Breaker {
        let (keeper, now) = (self.keeper, self.keeper.clock.now());
        let before = board.look(&keeper.name, &host);
        let openings = before.as_ref().map_or(1, |breaker| breaker.openings.saturating_add(1));
        let rest = keeper.breaker.rest.0;
        let longest = rest.max(LONGEST_REST);
        let rest = if code == "provider.misconfigured" {
            longest
        } else {
            rest.saturating_mul(1 << (openings - 1).min(16)).min(longest)
        };
        self.accountable().failures.forget();
        keeper.faults.forget();
        Breaker {
            provider: keeper.name.clone(),
            host,
            code: code.into(),
            since: before.map_or(now, |breaker| breaker.since),
            until: keeper.clock.after(rest),
            probe_until: None,
            openings,
        }
    }
}

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{MemoryStore, State};
use crate::model::{MessageId, MessageStatus, UserId};
use crate::store::{
    Asking, Departed, Departure, Gathered, Held, Ledger, Once, Result, Spend, Spending,
};

/// What counts for the longer of the two limits.
const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// When each message left for one user.
pub(super) type Spent = BTreeMap<MessageId, Timestamp>;

/// The message last sent with a dedupe key, until its window ends.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    message: MessageId,
    at: Timestamp,
    until: Timestamp,
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn sent_like(&self, once: &Once) -> Result<Option<(MessageId, Timestamp)>> {
        let state = self.state();
        let last = state.sent.get(&once.key).filter(|last| last.at > once.since);
        Ok(last.map(|last| (last.message, last.at)))
    }

    async fn spending(&self, asking: &Asking) -> Result<Spending> {
        Ok(self.state().spending(asking))
    }

    async fn gathered(&self, leader: MessageId) -> Result<Vec<Gathered>> {
        let state = self.state();
        let told = state.messages.values().filter(|row| row.gathered_by == Some(leader));
        let told = told.filter_map(|row| {
            let message = row.message.clone();
            let run = state.runs.get(&message.run)?.run.clone();
            let event = state.events.get(&message.event)?.event.clone();
            Some(Gathered { message, run, event })
        });
        Ok(told.collect())
    }
}

impl State {
    fn spending(&self, asking: &Asking) -> Spending {
        let since = asking.now.saturating_sub(DAY).unwrap_or(Timestamp::MIN);
        let spent = self.spending.get(&asking.user).into_iter().flat_map(BTreeMap::values);
        let mut at: Vec<_> = spent.copied().filter(|at| *at > since).collect();
        at.sort_unstable();
        let own = (asking.priority, asking.message);
        let others = self.put_off.get(&asking.user).into_iter().flatten();
        let ahead = others.filter_map(|id| self.messages.get(id)).filter(|row| {
            let message = &row.message;
            matches!(message.status, MessageStatus::Pending | MessageStatus::Leased)
                && message.due_at <= asking.now
                && (message.priority, message.id) < own
        });
        Spending { at, ahead: ahead.count() }
    }

    /// Why a message that departs may not leave, if it may not.
    pub(super) fn refuses(&self, departure: &Departure) -> Option<Departed> {
        let left_before = self.messages.get(&departure.message)?.message.attempt > 0;
        if let Some(once) = departure.once.filter(|_| !left_before)
            && let Some(last) = self.sent.get(&once.key)
            && last.at > once.since
            && last.message != departure.message
        {
            return Some(Departed::Duplicate);
        }
        let spend = departure.spend.as_ref().filter(|spend| spend.binding)?;
        let is_full = |most: Option<u32>, window| {
            let since = departure.at.saturating_sub(window).unwrap_or(Timestamp::MIN);
            let spent = self.spending.get(&spend.user).into_iter().flat_map(BTreeMap::values);
            let count = spent.filter(|at| **at > since).count();
            most.is_some_and(|most| count >= usize::try_from(most).unwrap_or(usize::MAX))
        };
        let full =
            is_full(spend.limits.max_per_hour, HOUR) || is_full(spend.limits.max_per_day, DAY);
        full.then_some(Departed::OverBudget)
    }

    /// Keeps what a departing message spends, once a message.
    pub(super) fn keep_departure(&mut self, departure: &Departure) {
        if let Some(Spend { user, .. }) = &departure.spend {
            let spent = self.spending.entry(user.clone()).or_default();
            let since = departure.at.saturating_sub(DAY).unwrap_or(Timestamp::MIN);
            spent.retain(|_, at| *at > since);
            spent.entry(departure.message).or_insert(departure.at);
        }
        if let Some(once) = departure.once {
            self.sent.retain(|_, last| last.until > departure.at);
            let (message, at, until) = (departure.message, departure.at, once.until);
            self.sent.insert(once.key, Sent { message, at, until });
        }
    }

    /// A gate put the message off, or it goes on.
    pub(super) fn put_off(&mut self, id: MessageId, held: Option<Held>) {
        let Some(row) = self.messages.get_mut(&id) else { return };
        let Some(user) = row.message.recipient.clone() else { return };
        let Some(held) = held else {
            if let Some(theirs) = self.put_off.get_mut(&user) {
                theirs.remove(&id);
            }
            return;
        };
        self.put_off.entry(user).or_default().insert(id);
        if let Some(key) = held.gathers {
            self.gather(id, key);
        }
    }

    /// Joins the one that waits for others of `key`, or waits for them itself.
    fn gather(&mut self, id: MessageId, key: String) {
        let leads = self.messages.values().find(|row| {
            row.message.id != id
                && row.gathers.as_ref() == Some(&key)
                && row.message.status == MessageStatus::Pending
                && row.message.attempt == 0
        });
        let Some(leader) = leads.map(|row| row.message.id) else {
            if let Some(row) = self.messages.get_mut(&id) {
                row.gathers = Some(key);
            }
            return;
        };
        for row in self.messages.values_mut().filter(|row| row.gathered_by == Some(id)) {
            row.gathered_by = Some(leader);
        }
        if let Some(row) = self.messages.get_mut(&id) {
            row.message.status = MessageStatus::Suppressed;
            row.gathered_by = Some(leader);
            row.gathers = None;
        }
        self.put_off(id, None);
        self.schedule_message(id);
    }

    /// The message ended at `at` and was not sent.
    pub(super) fn never_sent(&mut self, id: MessageId, at: Timestamp) {
        self.sent.retain(|_, last| last.message != id);
        let Some(row) = self.messages.get(&id) else { return };
        let failed = row.message.status == MessageStatus::Failed;
        let recipient = row.message.recipient.clone();
        if row.gathers.is_some() && !failed {
            self.set_free(id, at);
        }
        let Some(user) = recipient else { return };
        let spent = self.spending.get_mut(&user).and_then(|spent| spent.remove(&id)).is_some();
        let waited = self.put_off.get_mut(&user).is_some_and(|theirs| theirs.remove(&id));
        if spent || waited {
            self.ask_again(&user, at, |code| code.starts_with("budget."));
        }
    }

    /// What `leader` was to tell is told by each itself.
    fn set_free(&mut self, leader: MessageId, at: Timestamp) {
        let told = self.messages.values_mut().filter(|row| row.gathered_by == Some(leader));
        let told = told.map(|row| {
            row.message.status = MessageStatus::Pending;
            row.message.due_at = at;
            row.message.code = None;
            row.gathered_by = None;
            row.message.id
        });
        for id in told.collect::<Vec<_>>() {
            self.schedule_message(id);
        }
        if let Some(row) = self.messages.get_mut(&leader) {
            row.gathers = None;
        }
    }

    /// What gates put off for `user`, with a code that is meant, is due at `now`.
    pub(super) fn ask_again(&mut self, user: &UserId, now: Timestamp, meant: fn(&str) -> bool) {
        for id in self.put_off.get(user).cloned().unwrap_or_default() {
            let Some(row) = self.messages.get_mut(&id) else { continue };
            let code = row.message.code.as_deref().unwrap_or_default();
            let waits = row.message.status == MessageStatus::Pending && row.message.due_at > now;
            if waits && meant(code) {
                row.message.due_at = now;
                self.schedule_message(id);
            }
        }
    }
}

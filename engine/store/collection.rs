//! What waits together, and what may pass: the promises, and the rules that both stores keep.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::model::{Collected, Decision, Join, Occasion, Pass, Passage, RunId, Verdict};

/// Runs of one collection at most: the next opens another.
pub const MOST_COLLECTED: u64 = 10_000;
/// The data of a collection's items, as JSON text: what comes after is counted and left out.
pub const MOST_ITEM_BYTES: usize = 1 << 20;

/// Runs that wait to go on as one ([`Plan::joins`](super::Plan)), and limits on passing.
#[async_trait]
pub trait Collections {
    /// Closes the collection that the run at `occasion` leads, if its end has come by `at`: nobody
    /// joins it any more, and the answer is the same however often it is asked, until a plan
    /// [`closes`](super::Plan) it. With fewer than its least, and a `next` moment, it stays open
    /// until then. A run that waits in no collection has collected its own event.
    async fn collect(
        &self,
        occasion: &Occasion,
        at: Timestamp,
        next: Option<Timestamp>,
    ) -> Result<Collected>;

    /// Takes a place, or says when there will be one. No window of that length ever has more
    /// passes than the limit. A run has one place an occasion, however often it asks.
    async fn pass(&self, pass: Pass) -> Result<Passage>;
}

/// A collection as the stores keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Collection {
    /// `None`: a window that has begun, and nobody waits yet.
    pub leader: Option<RunId>,
    pub opened_at: Timestamp,
    pub closes_at: Timestamp,
    pub count: u64,
    pub min_items: u64,
    /// With a leading item: the length of its windows.
    pub window: Option<Duration>,
}

/// What a run is in the collection that it joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Leader,
    Follower(RunId),
    /// It goes on by itself, at once.
    Alone,
}

/// What a join comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    /// As it is from now on.
    pub collection: Collection,
    pub role: Role,
    /// It is a new one. If one was open until now, that one closes.
    pub new: bool,
}

/// What becomes of a collection whose leader has woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    NotYet(Timestamp),
    /// There are too few: it goes on until then.
    Moves(Timestamp),
    /// A window may follow it, where nobody waits yet.
    Closes(Option<Collection>),
}

impl Collection {
    /// Lets a run in, where `open` is the one with its key that is open now.
    pub fn join(open: Option<Self>, join: &Join) -> Joined {
        match open {
            Some(open) if !open.is_over(join.at) => open.joined(join),
            over => Self::begin(over, join),
        }
    }

    pub fn close(&self, at: Timestamp, next: Option<Timestamp>) -> Closing {
        if at < self.closes_at {
            return Closing::NotYet(self.closes_at);
        }
        match next {
            Some(next) if self.count < self.min_items => Closing::Moves(next),
            _ => Closing::Closes(self.following().filter(|window| at < window.closes_at)),
        }
    }

    fn is_over(&self, at: Timestamp) -> bool {
        let ended = at >= self.closes_at && self.count >= self.min_items;
        ended || self.count >= MOST_COLLECTED
    }

    fn joined(mut self, join: &Join) -> Joined {
        let role = match self.leader {
            Some(leader) => Role::Follower(leader),
            None => Role::Leader,
        };
        self.leader.get_or_insert(join.occasion.run);
        self.count += 1;
        if join.at >= self.closes_at {
            // There were too few at the moment that has passed: this one is for the next.
            self.closes_at = join.closes_at;
        }
        if let Some(slide) = join.slide {
            let slid = later(join.at, slide.by).min(later(self.opened_at, slide.most));
            self.closes_at = self.closes_at.max(slid);
        }
        self.end_if_full(join);
        Joined { collection: self, role, new: false }
    }

    /// `over`: the last one, which has just ended.
    fn begin(over: Option<Self>, join: &Join) -> Joined {
        let Occasion { run, .. } = join.occasion;
        let following = over.and_then(|over| over.following());
        if let Some(window) = following.filter(|window| !window.is_over(join.at)) {
            return Joined { new: true, ..window.joined(join) };
        }
        let mut collection = Self {
            leader: Some(run),
            opened_at: join.at,
            closes_at: join.closes_at,
            count: 1,
            min_items: join.min_items,
            window: join.leading,
        };
        if let Some(window) = join.leading {
            let closes_at = later(join.at, window);
            collection = Self { leader: None, closes_at, count: 0, ..collection };
            return Joined { collection, role: Role::Alone, new: true };
        }
        collection.end_if_full(join);
        Joined { collection, role: Role::Leader, new: true }
    }

    /// The window that begins when something was sent at the end of this one.
    fn following(&self) -> Option<Self> {
        let window = self.window.filter(|_| self.leader.is_some())?;
        let closes_at = later(self.closes_at, window);
        Some(Self { leader: None, opened_at: self.closes_at, closes_at, count: 0, ..*self })
    }

    fn end_if_full(&mut self, join: &Join) {
        if join.max_items.is_some_and(|most| self.count >= most) {
            self.closes_at = self.closes_at.min(join.at);
        }
    }
}

impl Joined {
    /// The record of a run's waiting; one that goes on at once needs none.
    pub fn decision(&self, join: &Join) -> Option<Decision> {
        let until = Some(self.collection.closes_at);
        match self.role {
            Role::Leader => Some(Decision { until, ..join.decision.clone() }),
            Role::Follower(leader) => Some(Decision {
                until,
                verdict: Verdict::Wait,
                code: "batch.joined".into(),
                reason: format!("goes on with run {leader}"),
                ..join.decision.clone()
            }),
            Role::Alone => None,
        }
    }
}

/// When there is a place: `last` is the moment of the `limit`th pass from the end, of those taken
/// and those kept.
pub(super) fn free_at(pass: &Pass, last: Option<Timestamp>) -> Timestamp {
    match last {
        _ if pass.limit == 0 => later(pass.at, pass.window),
        Some(last) => later(last, pass.window).max(pass.at),
        None => pass.at,
    }
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

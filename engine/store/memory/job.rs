use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::{Fence, Lane, Priority};
use crate::store::Claim;

/// The jobs of one queue: which wait, and which are leased.
pub(super) struct Jobs<Id> {
    order: BTreeSet<(Place, Timestamp, Id)>,
    waiting: BTreeMap<Id, (Place, Timestamp)>,
    leased: BTreeMap<Id, Lease>,
    /// Claims since the job last got anywhere.
    claims: BTreeMap<Id, u32>,
    /// The lane that the next claim begins with.
    turn: u8,
}

/// Among what is due: the class, then the lane.
type Place = (Priority, Lane);

struct Lease {
    fence: Fence,
    until: Timestamp,
    place: Place,
    due_at: Timestamp,
}

impl<Id> Default for Jobs<Id> {
    fn default() -> Self {
        Self {
            order: BTreeSet::new(),
            waiting: BTreeMap::new(),
            leased: BTreeMap::new(),
            claims: BTreeMap::new(),
            turn: 0,
        }
    }
}

impl<Id: Copy + Ord + From<Uuid>> Jobs<Id> {
    /// The job is due at `due_at`, and nobody's.
    pub fn wait(&mut self, id: Id, priority: Priority, due_at: Timestamp) {
        self.wait_in(Lane::default(), id, priority, due_at);
    }

    /// The job is due at `due_at`, among those of its lane, and nobody's.
    pub fn wait_in(&mut self, lane: Lane, id: Id, priority: Priority, due_at: Timestamp) {
        self.rest(id);
        self.order.insert(((priority, lane), due_at, id));
        self.waiting.insert(id, ((priority, lane), due_at));
    }

    /// The job is due at `due_at`; where it is leased, once its lease has ended.
    pub fn put(&mut self, id: Id, priority: Priority, due_at: Timestamp) {
        match self.leased.get_mut(&id) {
            Some(lease) => lease.due_at = due_at,
            None => self.wait(id, priority, due_at),
        }
    }

    /// The job got somewhere: its claims count from nothing again.
    pub fn progressed(&mut self, id: Id) {
        self.claims.remove(&id);
    }

    /// There is nothing to do for `id`, until it waits again.
    pub fn rest(&mut self, id: Id) {
        self.leased.remove(&id);
        if let Some((place, due_at)) = self.waiting.remove(&id) {
            self.order.remove(&(place, due_at, id));
        }
    }

    /// Leases what is due: the highest priority first, of one priority the lanes in turn, of one
    /// lane the earliest.
    pub fn claim(&mut self, claim: Claim, fence: Fence) -> Vec<Id> {
        let mut claimed = Vec::new();
        for priority in Priority::ALL {
            for lane in Lane::in_turn(self.turn) {
                let left = claim.limit - claimed.len();
                claimed.extend(self.due((priority, lane), claim.now).take(left));
            }
        }
        self.turn = (self.turn + 1) % Lane::COUNT;
        for &id in &claimed {
            let Some((place, due_at)) = self.waiting.remove(&id) else { continue };
            self.order.remove(&(place, due_at, id));
            self.leased.insert(id, Lease { fence, until: claim.until, place, due_at });
            *self.claims.entry(id).or_default() += 1;
        }
        claimed
    }

    fn due(&self, place: Place, now: Timestamp) -> impl Iterator<Item = Id> {
        let first = (place, Timestamp::MIN, Id::from(Uuid::nil()));
        let last = (place, now, Id::from(Uuid::max()));
        self.order.range(first..=last).map(|&(_, _, id)| id)
    }

    pub fn claims(&self, id: Id) -> u32 {
        self.claims.get(&id).copied().unwrap_or_default()
    }

    /// Whether the lease that drew `fence` still stands.
    pub fn holds(&self, id: Id, fence: Fence) -> bool {
        self.leased.get(&id).is_some_and(|lease| lease.fence == fence)
    }

    /// Ends the lease: due again, as before the claim.
    pub fn release(&mut self, id: Id) {
        if let Some(lease) = self.leased.remove(&id) {
            let (priority, lane) = lease.place;
            self.wait_in(lane, id, priority, lease.due_at);
        }
    }

    /// Ends the lease as if there had been no claim.
    pub fn unclaim(&mut self, id: Id) {
        self.release(id);
        if let Some(claims) = self.claims.get_mut(&id) {
            *claims = claims.saturating_sub(1);
        }
    }

    pub fn renew(&mut self, fences: &[Fence], until: Timestamp) {
        for lease in self.leased.values_mut().filter(|lease| fences.contains(&lease.fence)) {
            lease.until = until;
        }
    }

    /// Those whose lease ended by `now`; every leased one for `everything`.
    pub fn ended(&self, now: Timestamp, everything: bool) -> Vec<Id> {
        let ended = self.leased.iter().filter(|(_, lease)| everything || lease.until <= now);
        ended.map(|(&id, _)| id).collect()
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting.values().map(|&(_, due_at)| due_at).min()
    }

    pub fn waiting(&self) -> impl Iterator<Item = (Id, Timestamp)> {
        self.waiting.iter().map(|(&id, &(_, due_at))| (id, due_at))
    }

    /// How many are due, and the earliest moment among them.
    pub fn backlog(&self, now: Timestamp) -> (u64, Option<Timestamp>) {
        let due =
            || self.waiting.values().map(|&(_, due_at)| due_at).filter(|&due_at| due_at <= now);
        (due().count() as u64, due().min())
    }
}

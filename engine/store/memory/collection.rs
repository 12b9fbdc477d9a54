use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::plan::run_key;
use super::{MemoryStore, State};
use crate::model::{
    Collected, Decision, Item, Join, Occasion, Pass, Passage, RunId, RunStatus, StepPath,
    WorkflowName,
};
use crate::store::Result;
use crate::store::collection::{
    Closing, Collection, Collections, Joined, MOST_ITEM_BYTES, Role, free_at, later,
};

/// What waits together, and who has a place.
#[derive(Default)]
pub(super) struct Gatherings {
    last: u64,
    collections: BTreeMap<u64, Gathering>,
    open: HashMap<Scope, u64>,
    /// `None`: it goes on alone.
    places: BTreeMap<Occasion, Option<u64>>,
    passes: HashMap<[u8; 32], Vec<Taken>>,
}

struct Gathering {
    scope: Scope,
    collection: Collection,
    /// In the order of their coming.
    members: Vec<Occasion>,
}

#[derive(Clone)]
struct Taken {
    occasion: Occasion,
    at: Timestamp,
    until: Timestamp,
    /// It counts no more; whoever asks once more gets no other.
    given_back: bool,
}

/// One open collection each: tenant, workflow, step, whom it is for, key.
type Scope = (String, WorkflowName, StepPath, String, String);

#[async_trait]
impl Collections for MemoryStore {
    async fn collect(
        &self,
        occasion: &Occasion,
        at: Timestamp,
        next: Option<Timestamp>,
    ) -> Result<Collected> {
        Ok(self.state().collect(occasion, at, next))
    }

    async fn pass(&self, pass: Pass) -> Result<Passage> {
        Ok(self.state().gatherings.pass(pass))
    }
}

impl State {
    /// Lets a waiting run into its collection, and sets when it wakes.
    pub(super) fn join(&mut self, join: &Join) -> Option<Decision> {
        let Occasion { run, .. } = join.occasion;
        if let Some(place) = self.gatherings.places.get(&join.occasion) {
            match place.and_then(|id| self.gatherings.collections.get(&id)) {
                Some(known) if known.collection.leader == Some(run) => {
                    self.wake(run, known.collection.closes_at);
                }
                Some(_) => {}
                None => self.wake(run, join.at),
            }
            return None;
        }
        let run_row = self.runs.get(&run)?;
        let who = run_key(&run_row.run).2;
        let scope = (
            join.tenant.clone(),
            run_row.run.workflow.clone(),
            join.occasion.step.clone(),
            who,
            join.key.clone(),
        );
        let joined = self.gatherings.join(scope, join);
        match joined.role {
            Role::Leader => self.wake(run, joined.collection.closes_at),
            Role::Alone => self.wake(run, join.at),
            Role::Follower(leader) => {
                self.gatherings.release(|taken| taken.occasion == join.occasion, join.at);
                self.wake(leader, joined.collection.closes_at);
            }
        }
        joined.decision(join)
    }

    /// Those that followed the run at `occasion` are finished.
    pub(super) fn close(&mut self, occasion: &Occasion) {
        let Some(Some(id)) = self.gatherings.places.remove(occasion) else { return };
        let Some(gathering) = self.gatherings.take(id) else { return };
        for follower in gathering.members {
            if follower.run == occasion.run {
                continue;
            }
            self.gatherings.places.remove(&follower);
            let Some(row) = self.runs.get_mut(&follower.run) else { continue };
            if row.run.status == RunStatus::Waiting {
                let run = Arc::make_mut(&mut row.run);
                run.status = RunStatus::Finished;
                run.position = None;
                run.wake_at = None;
                self.schedule_run(follower.run);
            }
        }
    }

    /// Takes runs that end out of their collections, and gives back the places kept for them. The
    /// oldest of those that remain leads where a leader leaves; an empty collection is gone.
    /// Answers where they were.
    pub(super) fn leave(&mut self, runs: &[RunId], at: Timestamp) -> Vec<(RunId, StepPath)> {
        let mut were = Vec::new();
        for &run in runs {
            let first = Occasion { run, step: "".into(), item: 0 };
            let places = self.gatherings.places.range(first..);
            let theirs: Vec<(Occasion, bool)> = places
                .take_while(|(one, _)| one.run == run)
                .map(|(one, collection)| (one.clone(), collection.is_some()))
                .collect();
            for (occasion, together) in theirs {
                if together {
                    were.push((run, occasion.step.clone()));
                }
                if let Some((leader, wake_at)) = self.gatherings.leave(&occasion) {
                    self.wake(leader, wake_at);
                }
            }
            self.gatherings.release(|taken| taken.occasion.run == run, at);
        }
        were
    }

    /// Windows in which nobody waits and places in throttles are forgotten once they are over.
    pub(super) fn forget_windows(&mut self, now: Timestamp) {
        let Gatherings { collections, open, passes, .. } = &mut self.gatherings;
        collections.retain(|_, known| {
            let kept = known.collection.leader.is_some() || known.collection.closes_at > now;
            if !kept {
                open.remove(&known.scope);
            }
            kept
        });
        passes.retain(|_, taken| {
            taken.retain(|each| each.until > now);
            !taken.is_empty()
        });
    }

    fn collect(
        &mut self,
        occasion: &Occasion,
        at: Timestamp,
        next: Option<Timestamp>,
    ) -> Collected {
        let id = self.gatherings.places.get(occasion).copied().flatten();
        let Some(id) = id.filter(|id| self.gatherings.collections.contains_key(id)) else {
            return self.items(std::slice::from_ref(occasion));
        };
        match self.gatherings.close(id, at, next) {
            Some(open) => open,
            None => self.items(&self.gatherings.collections[&id].members),
        }
    }

    fn items(&self, members: &[Occasion]) -> Collected {
        let (mut count, mut bytes, mut items) = (0, 0, Vec::new());
        for member in members {
            let Some(row) = self.runs.get(&member.run) else { continue };
            let Some(event) = self.events.get(&row.run.event) else { continue };
            let item = match row.run.state.get("collected") {
                Some(earlier) => Item::Collected(earlier.clone()),
                None => Item::Event(event.event.clone()),
            };
            count += item.count();
            bytes += item.bytes();
            if items.is_empty() || bytes <= MOST_ITEM_BYTES {
                items.push(item);
            }
        }
        Collected::Closed { count, items }
    }

    /// A waiting run goes on at `at`; one that is being worked on, if its worker is lost.
    fn wake(&mut self, id: RunId, at: Timestamp) {
        let Some(row) = self.runs.get_mut(&id) else { return };
        if matches!(row.run.status, RunStatus::Waiting | RunStatus::Running) {
            let run = Arc::make_mut(&mut row.run);
            run.wake_at = Some(at);
            self.due_runs.put(id, run.priority, at);
        }
    }
}

impl Gatherings {
    fn join(&mut self, scope: Scope, join: &Join) -> Joined {
        let open = self.open.get(&scope).copied();
        let known = open.and_then(|id| self.collections.get(&id));
        let joined = Collection::join(known.map(|known| known.collection), join);
        let id = if joined.new {
            if let Some(over) = open {
                self.end(over);
            }
            self.begin(scope, joined.collection)
        } else {
            open.unwrap_or_default()
        };
        let kept = joined.role != Role::Alone;
        if let Some(gathering) = self.collections.get_mut(&id).filter(|_| kept) {
            gathering.collection = joined.collection;
            gathering.members.push(join.occasion.clone());
        }
        self.places.insert(join.occasion.clone(), kept.then_some(id));
        joined
    }

    fn begin(&mut self, scope: Scope, collection: Collection) -> u64 {
        self.last += 1;
        self.open.insert(scope.clone(), self.last);
        self.collections.insert(self.last, Gathering { scope, collection, members: Vec::new() });
        self.last
    }

    /// Whether what others go on with needs the run still.
    pub(super) fn holds(&self, run: RunId) -> bool {
        self.places.iter().any(|(occasion, together)| occasion.run == run && together.is_some())
    }

    /// Nobody joins it any more.
    fn end(&mut self, id: u64) {
        let Some(gathering) = self.collections.get(&id) else { return };
        if self.open.get(&gathering.scope) == Some(&id) {
            self.open.remove(&gathering.scope);
        }
        if gathering.collection.leader.is_none() {
            self.collections.remove(&id);
        }
    }

    fn take(&mut self, id: u64) -> Option<Gathering> {
        self.end(id);
        self.collections.remove(&id)
    }

    /// Closes a collection; `Some` where it stays open.
    fn close(&mut self, id: u64, at: Timestamp, next: Option<Timestamp>) -> Option<Collected> {
        let gathering = self.collections.get_mut(&id)?;
        let open = self.open.get(&gathering.scope) == Some(&id);
        let count = gathering.collection.count;
        match gathering.collection.close(at, next.filter(|_| open)) {
            Closing::NotYet(until) => Some(Collected::Open { until, count }),
            Closing::Moves(until) => {
                gathering.collection.closes_at = until;
                Some(Collected::Open { until, count })
            }
            Closing::Closes(following) => {
                let scope = gathering.scope.clone();
                if open {
                    self.end(id);
                }
                if let Some(following) = following.filter(|_| open) {
                    self.begin(scope, following);
                }
                None
            }
        }
    }

    /// Answers who leads from now on, and when that one wakes, where the leader left.
    fn leave(&mut self, occasion: &Occasion) -> Option<(RunId, Timestamp)> {
        let id = self.places.remove(occasion)??;
        let gathering = self.collections.get_mut(&id)?;
        gathering.members.retain(|member| member != occasion);
        gathering.collection.count = gathering.members.len() as u64;
        if gathering.collection.leader != Some(occasion.run) {
            return None;
        }
        let heir = gathering.members.first().cloned();
        gathering.collection.leader = heir.as_ref().map(|heir| heir.run);
        let wake_at = gathering.collection.closes_at;
        if let Some(heir) = heir {
            for taken in self.passes.values_mut().flatten() {
                if taken.occasion == *occasion {
                    taken.occasion = heir.clone();
                }
            }
            return Some((heir.run, wake_at));
        }
        let open = self.open.get(&gathering.scope) == Some(&id);
        if !open || gathering.collection.window.is_none() {
            self.take(id);
        }
        None
    }

    fn pass(&mut self, pass: Pass) -> Passage {
        let taken = self.passes.entry(pass.key).or_default();
        if let Some(known) = taken.iter().find(|taken| taken.occasion == pass.occasion) {
            return if known.at <= pass.at { Passage::Free } else { Passage::From(known.at) };
        }
        taken.retain(|taken| taken.until > pass.at);
        let before = usize::try_from(pass.limit).ok().and_then(|limit| limit.checked_sub(1));
        let counted = taken.iter().filter(|taken| !taken.given_back);
        let mut moments: Vec<Timestamp> = counted.map(|taken| taken.at).collect();
        moments.sort_unstable_by(|one, other| other.cmp(one));
        let last = before.and_then(|before| moments.get(before).copied());
        let at = free_at(&pass, last);
        if pass.limit > 0 && (at <= pass.at || pass.ahead) {
            let until = later(at, pass.window);
            taken.push(Taken { occasion: pass.occasion, at, until, given_back: false });
        }
        if at <= pass.at { Passage::Free } else { Passage::From(at) }
    }

    /// Gives back places that are kept for later.
    fn release(&mut self, theirs: impl Fn(&Taken) -> bool, at: Timestamp) {
        for taken in self.passes.values_mut().flatten() {
            taken.given_back |= taken.at > at && theirs(taken);
        }
    }
}

//! The whole engine on a clock that can be turned: what would be sent, held, skipped, retried.
//!
//! The pipeline, the gates and the templates are the real ones; the store is the one in memory,
//! the clock stands until [`Simulation`] moves it to the next moment at which something is due,
//! and the providers are faked: they keep what they are given and fail as they are told.
//! Nothing leaves the process, nothing waits, and one seed gives one time line, byte for byte.
//!
//! [`scenario`] is `nuncio simulate`, [`case`] is `nuncio test`.

pub mod case;
mod compare;
mod fake;
mod input;
mod presence;
pub mod report;
pub mod scenario;
mod shown;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;

use crate::channel::Publish;
use crate::channel::capture::Captured;
use crate::clock::{self, Clock};
use crate::explain::{self, Row};
use crate::ingest::person::Described;
use crate::ingest::{Answer, Incoming, Refusal};
use crate::model::{MessageId, Preferences, UserId, WorkflowName};
use crate::pipeline::{Accept, Pipeline};
use crate::store::memory::MemoryStore;
use crate::store::{
    Claim, Devices, Events, Inbox, InboxOrder, InboxQuery, Queue, QueueName, StoreError, Topics,
    Users,
};
use crate::workflow::case::{Fault, Reading};
use fake::Post;
use presence::Present;
use shown::Shown;

pub use world::{Provider, World};

/// Pieces of work at one instant: more is a loop that never waits.
const MOST_AT_ONCE: usize = 200_000;
/// Instants at which something was due: more is a loop that waits in between.
const MOST_INSTANTS: usize = 100_000;
/// A claim's length. Nothing else claims, so it only has to be longer than no time.
const LEASE: Duration = Duration::from_secs(60);

/// Why a simulation ended before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    #[error("at {at} there is no end of work: more than {MOST_AT_ONCE} pieces at one instant")]
    Busy { at: Timestamp },
    #[error("at {at} there is still work after {MOST_INSTANTS} instants: end it with --until")]
    Endless { at: Timestamp },
    /// A stage waited for something outside, and here nothing comes from there.
    #[error("something waited for the world outside")]
    Waiting,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Halt {
    /// Stable.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "simulate.busy",
            Self::Endless { .. } => "simulate.endless",
            Self::Waiting => "simulate.waiting",
            Self::Store(_) => "simulate.store",
        }
    }
}

/// Runs a simulation's future. Nothing in it waits: the clock is turned, and store and providers
/// answer at once. So it ends with its first poll, and needs no runtime.
pub fn at_once<T, E: From<Halt>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let ended = tokio::task::unconstrained(future).now_or_never();
    ended.unwrap_or_else(|| Err(Halt::Waiting.into()))
}

/// One world at one moment. Made by [`World::begin`].
pub struct Simulation {
    clock: Clock,
    store: MemoryStore,
    pipeline: Pipeline,
    post: Post,
    present: std::sync::Arc<Present>,
    shown: Shown,
    instants: usize,
}

impl Simulation {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes users known, with all that is known of them; those known before are replaced.
    pub async fn know(&self, people: &[Described]) -> Result<(), StoreError> {
        self.store.put_users(people.iter().map(|one| one.person.user.clone()).collect()).await?;
        for Described { person, devices, presence } in people {
            let id = &person.user.id;
            self.store.put_preferences(id, person.preferences.clone()).await?;
            for topic in &person.topics {
                self.store.subscribe(topic, id).await?;
            }
            for device in devices {
                self.store.put_device(id, device, self.clock.now()).await?;
            }
            self.present.set(id, *presence);
        }
        Ok(())
    }

    pub async fn prefer(&self, user: &UserId, said: &Preferences) -> Result<(), StoreError> {
        self.store.put_preferences(user, said.clone()).await
    }

    /// From now on providers fail by this one too; of several that fit, the first told counts.
    pub fn fail(&self, fault: Fault) {
        self.post.fail(fault);
    }

    /// Reads what stands unread in an inbox.
    pub async fn read(&mut self, reading: &Reading) -> Result<(), StoreError> {
        let now = self.clock.now();
        let query = InboxQuery {
            user: Some(reading.user.clone()),
            is_read: Some(false),
            category: None,
            priority: None,
            from: None,
            to: None,
            search: None,
            order: InboxOrder::OldestFirst,
            offset: 0,
            limit: u64::MAX,
        };
        for entry in self.store.entries(&query).await?.entries {
            let deliveries = self.store.deliveries(entry.id).await?;
            let of = |workflow: &WorkflowName| {
                deliveries.iter().any(|(message, _)| message.workflow == *workflow)
            };
            if reading.workflow.as_ref().is_some_and(|workflow| !of(workflow)) {
                continue;
            }
            if let Some((_, frames)) = self.store.mark(&reading.user, entry.id, Some(now)).await? {
                self.present.publish(&frames);
            }
        }
        Ok(())
    }

    /// Hands an event in, now. What it starts at once has happened; the rest is due.
    pub async fn accept(&mut self, event: Incoming) -> Result<Result<Answer, Refusal>, StoreError> {
        let answer = self.pipeline.accept(vec![event]).await?.pop();
        let answer = answer.ok_or(StoreError::Closed)?;
        if let Ok(Answer::Accepted(id)) = &answer {
            self.shown.given(*id);
        }
        self.shown.look(&self.store);
        Ok(answer)
    }

    /// Does what is due now, and what falls due by that: events first, then runs, then messages,
    /// one at a time, each queue in its own order.
    pub async fn settle(&mut self) -> Result<(), Halt> {
        for _ in 0..MOST_AT_ONCE {
            if !self.work().await? {
                return Ok(());
            }
        }
        Err(Halt::Busy { at: self.now() })
    }

    /// Lives through the time until `until`: does all that falls due by then, and stands there.
    /// `None`: until nothing is due any more.
    pub async fn live(&mut self, until: Option<Timestamp>) -> Result<(), Halt> {
        self.settle().await?;
        while let Some(next) = self.next_due().await? {
            if until.is_some_and(|until| next > until) {
                break;
            }
            self.stand(next)?;
            self.settle().await?;
        }
        if let Some(until) = until {
            self.clock.set(until.max(self.now()));
        }
        Ok(())
    }

    /// Lives through the time before `at`, and stands there: what falls due at `at` is yet to do.
    pub async fn come_to(&mut self, at: Timestamp) -> Result<(), Halt> {
        while let Some(next) = self.next_due().await?.filter(|next| *next < at) {
            self.stand(next)?;
            self.settle().await?;
        }
        self.clock.set(at.max(self.now()));
        Ok(())
    }

    /// The first moment at which something falls due; never before now.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut next: Option<Timestamp> = None;
        for queue in [QueueName::Events, QueueName::Runs, QueueName::Messages] {
            let due = self.store.next_due(queue).await?;
            next = next.into_iter().chain(due).min();
        }
        Ok(next.map(|next| whole(next).max(self.now())))
    }

    /// The time line so far, of the workflow this is about and of what it starts by its events.
    pub async fn rows(&self) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        for event in self.store.event_ids() {
            if let Some(timeline) = self.store.timeline(event.0).await? {
                let shown = explain::rows(&timeline).into_iter();
                rows.extend(shown.filter(|row| self.shown.shows(row)));
            }
        }
        rows.sort_by_key(|row| row.at);
        Ok(rows)
    }

    /// What providers and inboxes were given, by message and attempt's instant.
    async fn sent(&self, rows: &[Row]) -> Result<Sent, StoreError> {
        let mut sent: Sent =
            self.post.list().into_iter().map(|held| ((held.message_id, held.at), held)).collect();
        for row in rows.iter().filter(|row| row.channel.as_ref().is_some_and(|c| c.is_in_app())) {
            let (Some(run), Some(message)) = (row.run, row.message) else { continue };
            if let Some(entry) = self.store.entry(run).await? {
                sent.insert((message, row.at), fake::of_entry(message, entry));
            }
        }
        Ok(sent)
    }

    fn stand(&mut self, at: Timestamp) -> Result<(), Halt> {
        self.instants += 1;
        if self.instants > MOST_INSTANTS {
            return Err(Halt::Endless { at: self.now() });
        }
        self.clock.set(at);
        Ok(())
    }

    /// One piece of work; `false` where nothing is due.
    async fn work(&mut self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let claim = Claim { now, until: self.clock.after(LEASE), limit: 1 };
        if let Some(due) = self.store.claim_events(claim).await?.pop() {
            self.pipeline.expand(due).await;
            self.shown.look(&self.store);
            return Ok(true);
        }
        if let Some(due) = self.store.claim_runs(claim).await?.pop() {
            self.pipeline.advance(due).await;
            self.shown.look(&self.store);
            return Ok(true);
        }
        if let Some(due) = self.store.claim_messages(claim).await?.pop() {
            self.pipeline.deliver(due).await;
            self.shown.look(&self.store);
            return Ok(true);
        }
        Ok(false)
    }
}

type Sent = BTreeMap<(MessageId, Timestamp), Captured>;

/// The clock stands at whole milliseconds only: the first of them that is not before `at`.
fn whole(at: Timestamp) -> Timestamp {
    let cut = clock::milliseconds(at);
    if cut < at { cut.saturating_add(Duration::from_millis(1)).unwrap_or(cut) } else { cut }
}

#[cfg(test)]
mod tests;

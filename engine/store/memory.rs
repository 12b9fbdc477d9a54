//! The reference model of the store's promises: plain maps behind one lock, gone with the process.
//!
//! It is what `simulate`, the workflow tests and the conformance suite's first column run on. One
//! lock makes every call atomic, so that nothing here is about concurrency and everything is about
//! meaning; what it does is what every other store must do.

mod audit;
mod calendar;
mod device;
mod collection;
mod erase;
mod event;
mod frame;
mod inbox;
mod job;
mod key;
mod ledger;
mod letter;
mod message;
mod plan;
mod queue;
mod report;
mod stop;
mod room;
mod stream;
mod user;
mod wait;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{ApiKey, Unplanned};
use crate::clock::Clock;
use crate::model::{
    Attempt, AuditRecord, Bounce, ChannelName, Decision, Device, DeviceId, Entry, Event, EventId,
    EventStatus, Expected, Fence, Message, MessageId, Once, Preferences, RoomName, Run, RunId,
    StepPath, Stream, TopicName, User, UserId, Version, WorkflowName,
};
use collection::Gatherings;
use frame::Kept;
use job::Jobs;
use ledger::{Sent, Spent};
use room::Room;
use stream::UserStream;
use wait::WaitRow;

/// A store in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    clock: Clock,
    epoch: Arc<str>,
}

/// Everything that is remembered. Rows are held by id; the other maps are their unique keys.
#[derive(Default)]
struct State {
    events: BTreeMap<EventId, EventRow>,
    event_keys: HashMap<(String, String), EventId>,
    runs: BTreeMap<RunId, RunRow>,
    run_keys: HashSet<RunKey>,
    messages: BTreeMap<MessageId, MessageRow>,
    message_keys: HashSet<MessageKey>,
    entries: BTreeMap<RunId, Entry>,
    streams: HashMap<UserId, UserStream>,

    due_events: Jobs<EventId>,
    due_runs: Jobs<RunId>,
    due_messages: Jobs<MessageId>,

    versions: BTreeMap<Version, (WorkflowName, String)>,
    users: BTreeMap<UserId, User>,
    preferences: BTreeMap<UserId, Preferences>,
    topics: BTreeMap<TopicName, BTreeSet<UserId>>,
    keys: Vec<ApiKey>,
    devices: BTreeMap<DeviceId, Device>,
    last_device: i64,
    bounces: BTreeMap<UserId, BTreeSet<Bounce>>,

    spending: HashMap<UserId, Spent>,
    /// By dedupe key.
    sent: HashMap<[u8; 32], Sent>,
    /// Messages that gates put off.
    put_off: HashMap<UserId, BTreeSet<MessageId>>,
    gatherings: Gatherings,

    waits: BTreeMap<RunId, WaitRow>,
    kept: HashMap<Stream, Kept>,
    rooms: BTreeMap<RoomName, Room>,
    once: BTreeMap<Once, serde_json::Value>,
    audit: Vec<AuditRecord>,
}

struct EventRow {
    event: Arc<Event>,
    body_hash: [u8; 32],
    status: EventStatus,
    /// Where planning goes on; opaque.
    cursor: Option<String>,
    runs: Vec<RunId>,
    /// In the order of their writing.
    decisions: Vec<Decision>,
    emitter: Option<RunId>,
    /// Workflows with recipients to tell still, and whether they were stopped.
    unplanned: Vec<(Unplanned, bool)>,
    /// Its place in the order of acceptance, from 1.
    accepted: usize,
}

struct RunRow {
    run: Arc<Run>,
    messages: Vec<MessageId>,
    /// It had its inbox entry, which may be deleted by now: there is no second one.
    entered: bool,
}

struct MessageRow {
    message: Message,
    departed_at: Option<Timestamp>,
    attempts: Vec<Attempt>,
    /// Cancelled while it was with a provider: never tried again.
    stopping: bool,
    /// What it has in common with those that it waits for.
    gathers: Option<String>,
    gathered_by: Option<MessageId>,
    /// What its provider reports of it, once it took it.
    expected: Option<Expected>,
}

/// The event, the workflow, and whom the run speaks to.
type RunKey = (EventId, WorkflowName, String);
type MessageKey = (RunId, StepPath, u32, ChannelName);

impl MemoryStore {
    /// An empty store. `clock` gives its fences, and the time of what it decides itself.
    pub fn new(clock: Clock) -> Self {
        let epoch: uuid::Uuid = clock.id();
        Self { state: Arc::default(), clock, epoch: epoch.simple().to_string().into() }
    }

    /// Names this store's streams: another for each store, so a client of another one is told.
    pub fn epoch(&self) -> Arc<str> {
        self.epoch.clone()
    }

    /// The ids of all events, in the order of their making.
    pub fn event_ids(&self) -> Vec<EventId> {
        self.state().events.keys().copied().collect()
    }

    /// The workflow and the event of the run that emitted an event; `None`: it came from outside.
    pub fn emitter(&self, event: EventId) -> Option<(WorkflowName, EventId)> {
        let state = self.state();
        let run = &state.runs.get(&state.events.get(&event)?.emitter?)?.run;
        Some((run.workflow.clone(), run.event))
    }

    pub fn event_count(&self) -> usize {
        self.state().events.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fence(&self) -> Fence {
        Fence(self.clock.random_between(1, i64::MAX))
    }
}

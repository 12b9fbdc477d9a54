use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use nuncio::clock::Clock;
use nuncio::config::Config;
use nuncio::dispatch::Dispatch;
use nuncio::model::{Fence, Limits, Span};
use nuncio::pipeline::{Pipeline, Rules};
use nuncio::store::memory::MemoryStore;
use nuncio::store::{Claim, DueEvent, DueMessage, DueRun, QueueName, Store, Users};

use super::client::{self, Clients, USERS};
use super::fate::{Fates, Interruption};
use super::files;
use super::log::Log;
use super::outlet;
use super::store::Troubled;
use super::task::Task;

const START: &str = "2026-03-01T09:00:00Z";
pub const LEASE: Duration = Duration::from_secs(60);
pub const QUEUES: [QueueName; 3] = [QueueName::Events, QueueName::Runs, QueueName::Messages];
/// What one user hears in an hour at most.
pub const PER_HOUR: u32 = 6;
const NODES: usize = 3;

/// Some nodes over one store, on one clock, and all that they are doing.
pub struct World {
    pub clock: Clock,
    pub store: MemoryStore,
    pub fates: Fates,
    pub log: Arc<Log>,
    pub clients: Clients,
    pub nodes: Vec<Node>,
    pub tasks: Vec<Task>,
    claimed: Rc<RefCell<Vec<(usize, Due)>>>,
    /// How far the clock was put back, of what it may be.
    pub put_back: Duration,
    pub tally: Tally,
}

/// A process: its pipeline, and until when it stands still.
pub struct Node {
    pub pipeline: Arc<Pipeline>,
    pub stands_until: Option<Timestamp>,
}

/// A claimed row.
#[derive(Clone)]
pub enum Due {
    Event(DueEvent),
    Run(DueRun),
    Message(DueMessage),
}

/// What happened in a story, so that a run can show that it was about something.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub deaths: u64,
    pub kills: u64,
    pub naps: u64,
    pub steps: u64,
    /// How often each was decided, by its code.
    pub decided: BTreeMap<String, u64>,
}

impl World {
    pub fn new(seed: u64, told: bool) -> Self {
        let clock = Clock::manual(START.parse().expect("a timestamp"), seed);
        let fates = Fates::new(seed, told);
        let store = MemoryStore::new(clock.clone());
        let users = (0..USERS).map(|number| client::user(number, clock.now())).collect();
        store.put_users(users).now_or_never().expect("memory").expect("memory answers");
        let mut world = Self {
            clock,
            store,
            log: Arc::new(Log::new(fates.clone())),
            fates,
            clients: Clients::default(),
            nodes: Vec::new(),
            tasks: Vec::new(),
            claimed: Rc::default(),
            put_back: Duration::ZERO,
            tally: Tally::default(),
        };
        for _ in 0..NODES {
            let node = world.node();
            let kept = node.pipeline.use_catalog(files::catalog());
            kept.now_or_never().expect("memory").expect("memory answers");
            world.nodes.push(node);
        }
        world
    }

    /// A process as it starts.
    fn node(&self) -> Node {
        let (fates, log) = (&self.fates, &self.log);
        let troubled = Troubled::new(self.store.clone(), fates.clone(), log.clone());
        let installed = outlet::installed(&files::channels(), fates, log);
        let timeout = Duration::from_secs(30);
        let dispatch = Dispatch::new(installed, None, self.clock.clone(), timeout);
        let mut config = Config::default();
        config.engine.budgets = Limits { max_per_hour: Some(PER_HOUR), max_per_day: None };
        let retry = vec![Span::seconds(20), Span::seconds(60), Span::seconds(300)];
        let rules = Rules { retry, ..Rules::of(&config) };
        let store: Arc<dyn Store> = Arc::new(troubled);
        let clock = self.clock.clone();
        let pipeline = Pipeline::new(clock, store, files::catalog(), dispatch, log.clone(), rules);
        Node { pipeline: Arc::new(pipeline), stands_until: None }
    }

    /// Lets a task go on until it waits, and does with it what befell it there.
    pub fn poll(&mut self, place: usize) {
        self.tally.steps += 1;
        let ended = self.tasks[place].poll();
        let befallen = self.fates.take_interruption();
        let node = self.tasks[place].node;
        match befallen {
            Some(Interruption::Kill) => self.kill(node),
            Some(Interruption::Death) => {
                self.tally.deaths += 1;
                self.tasks.swap_remove(place);
            }
            Some(Interruption::Nap(length)) if !ended => {
                self.tally.naps += 1;
                self.tasks[place].naps_until = Some(self.clock.after(length));
            }
            _ if ended => drop(self.tasks.swap_remove(place)),
            _ => {}
        }
        for (node, due) in self.claimed.take() {
            // Now and then a row is worked on twice under one lease.
            if self.fates.strikes(30) {
                self.work(node, due.clone());
            }
            self.work(node, due);
        }
    }

    /// The process is lost with all it was doing; another starts in its place.
    pub fn kill(&mut self, node: usize) {
        self.tally.kills += 1;
        self.fates.tell(|| format!("node {node} is killed"));
        self.tasks.retain(|task| task.node != node);
        self.claimed.borrow_mut().retain(|(of, _)| *of != node);
        self.nodes[node] = self.node();
    }

    /// Tasks that can go on now.
    pub fn ready(&self) -> Vec<usize> {
        let now = self.clock.now();
        let awake = |task: &Task| {
            let node = &self.nodes[task.node];
            task.is_ready()
                && task.naps_until.is_none_or(|until| until <= now)
                && node.stands_until.is_none_or(|until| until <= now)
        };
        (0..self.tasks.len()).filter(|place| awake(&self.tasks[*place])).collect()
    }

    /// Starts to claim from a queue.
    pub fn claim(&mut self, node: usize, queue: QueueName, limit: usize) {
        let claim = Claim { now: self.clock.now(), until: self.clock.after(LEASE), limit };
        let store = self.nodes[node].pipeline.store().clone();
        let claimed = self.claimed.clone();
        let claiming = async move {
            let due: Vec<Due> = match queue {
                QueueName::Events => of(store.claim_events(claim).await, Due::Event),
                QueueName::Runs => of(store.claim_runs(claim).await, Due::Run),
                QueueName::Messages => of(store.claim_messages(claim).await, Due::Message),
            };
            claimed.borrow_mut().extend(due.into_iter().map(|due| (node, due)));
        };
        self.start(node, None, claiming);
    }

    /// Lengthens the leases of what goes on in a node.
    pub fn renew(&mut self, node: usize) {
        let until = self.clock.after(LEASE);
        for queue in QUEUES {
            let held = self.tasks.iter().filter(|task| task.node == node);
            let held = held.filter_map(|task| task.lease.filter(|(of, _)| *of == queue));
            let fences: Vec<Fence> = held.map(|(_, fence)| fence).collect();
            if fences.is_empty() {
                continue;
            }
            let store = self.nodes[node].pipeline.store().clone();
            let renewing = async move {
                let _ = store.renew(queue, &fences, until).await;
            };
            self.start(node, None, renewing);
        }
    }

    /// Ends leases past their time.
    pub fn sweep(&mut self, node: usize) {
        let pipeline = self.nodes[node].pipeline.clone();
        let sweeping = async move {
            let _ = pipeline.recover(false).await;
        };
        self.start(node, None, sweeping);
    }

    pub fn start(
        &mut self,
        node: usize,
        lease: Option<(QueueName, Fence)>,
        work: impl Future<Output = ()> + 'static,
    ) {
        self.tasks.push(Task::new(node, lease, work));
    }

    fn work(&mut self, node: usize, due: Due) {
        let pipeline = self.nodes[node].pipeline.clone();
        self.fates.tell(|| format!("node {node} has {}", due.name()));
        match due {
            Due::Event(due) => {
                let lease = Some((QueueName::Events, due.fence));
                self.start(node, lease, async move { pipeline.expand(due).await });
            }
            Due::Run(due) => {
                let lease = Some((QueueName::Runs, due.fence));
                self.start(node, lease, async move { pipeline.advance(due).await });
            }
            Due::Message(due) => {
                let lease = Some((QueueName::Messages, due.fence));
                self.start(node, lease, async move { pipeline.deliver(due).await });
            }
        }
    }
}

impl Due {
    fn name(&self) -> String {
        match self {
            Self::Event(due) => format!("event {}", due.event.id),
            Self::Run(due) => format!("run {} of {}", due.run.id, due.run.workflow),
            Self::Message(due) => format!("message {}", due.message.id),
        }
    }
}

fn of<D>(claimed: nuncio::store::Result<Vec<D>>, due: fn(D) -> Due) -> Vec<Due> {
    claimed.unwrap_or_default().into_iter().map(due).collect()
}

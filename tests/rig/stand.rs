use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use tokio::sync::watch;

use super::ground::{Ground, Place};
use super::http::HttpSink;
use super::mail::MailSink;
use super::mischief::Mischief;
use super::poster::{self, Poster, USERS};
use super::promises;
use super::reader::Reader;
use super::receipts::Receipts;
use super::report::Line;
use crate::crash::process::{Launch, Process};

/// Everything is done by then, or something hangs.
const LONGEST: Duration = Duration::from_secs(if cfg!(debug_assertions) { 120 } else { 60 });
/// A stop in order that has nothing to wait for.
const STOP: Duration = Duration::from_secs(20);
/// Users whose apps are connected.
const READERS: usize = 2;

/// Nodes under load, with sinks that take what they send; a scene breaks things, and `end` asks for
/// every promise.
pub struct Rig {
    pub ground: Ground,
    pub poster: Poster,
    pub receipts: Receipts,
    pub line: Line,
    pub readers: Vec<Reader>,
    mischief: Mischief,
    nodes: Vec<Option<Process>>,
    urls: watch::Sender<Vec<String>>,
    poured: usize,
    complaints: Vec<String>,
    began: Instant,
    /// When a process was started again, in this round.
    started: Option<Instant>,
    /// How the processes are started.
    launch: Launch,
    _http: HttpSink,
    _mail: MailSink,
}

impl Rig {
    /// So many nodes, ready, in front of one store.
    pub async fn raise(
        scene: &'static str,
        nodes: usize,
        place: impl FnOnce(&Path) -> Place,
    ) -> Self {
        let seed = seed();
        println!("rig: {scene}: NUNCIO_RIG_SEED={seed}");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rig-receipts");
        std::fs::create_dir_all(&folder).expect("a folder for receipts");
        let file = folder.join(format!("{}-{seed}", scene.replace(' ', "-")));
        let _ = std::fs::remove_file(&file);
        let receipts = Receipts::open(&file);
        let mischief = Mischief::new(seed);
        let http = HttpSink::start(receipts.clone(), mischief.clone()).await;
        let mail = MailSink::start(receipts.clone(), mischief.clone()).await;
        let ground = Ground::make(place, http.address, mail.address);
        let (urls, known) = watch::channel(Vec::new());
        let launch = Launch {
            folder: ground.folder().to_owned(),
            config: ground.config(),
            cache: Ground::cache(),
            environment: environment(&ground),
            survives_limits: true,
        };
        let mut rig = Self {
            poster: Poster::start(&ground.key, known),
            line: Line::of(scene, nodes),
            ground,
            receipts,
            readers: Vec::new(),
            mischief,
            nodes: (0..nodes).map(|_| None).collect(),
            urls,
            poured: 0,
            complaints: Vec::new(),
            began: Instant::now(),
            started: None,
            launch,
            _http: http,
            _mail: mail,
        };
        for node in 0..nodes {
            rig.start(node).await;
        }
        rig.people().await;
        rig
    }

    /// The users that events are for, and the apps of some.
    async fn people(&mut self) {
        let url = self.urls.borrow()[0].clone();
        let client = reqwest::Client::new();
        for user in (0..USERS).map(poster::user) {
            let body = json!({ "email": format!("{user}@rig.example") });
            let put = client.put(format!("{url}/v1/users/{user}")).bearer_auth(&self.ground.key);
            let answer = put.json(&body).send().await.expect("an answer");
            assert!(answer.status().is_success(), "{answer:?}");
        }
        for user in (0..READERS).map(poster::user) {
            let token = self.ground.token(&user);
            let (urls, receipts) = (self.urls.subscribe(), self.receipts.clone());
            self.readers.push(Reader::start(user, token, urls, receipts));
        }
    }

    /// Starts a node's process; returns once it is ready.
    pub async fn start(&mut self, node: usize) {
        self.started = Some(Instant::now());
        let mut process = Process::launch(&self.launch);
        if tokio::time::timeout(LONGEST, process.ready()).await.is_err() {
            panic!("not ready in {LONGEST:?}: {:?}", process.complaints());
        }
        let url = process.url().to_owned();
        self.urls.send_modify(|urls| urls.push(url));
        self.nodes[node] = Some(process);
    }

    /// SIGKILL, and the end of it.
    pub async fn kill(&mut self, node: usize) {
        let mut process = self.nodes[node].take().expect("it runs");
        process.kill().await;
        self.forget(&process);
        self.complaints.extend(process.complaints());
        self.line.faults += 1;
    }

    pub fn signal(&mut self, node: usize, signal: Signal) {
        self.nodes[node].as_ref().expect("it runs").signal(signal);
    }

    /// The process of a node that runs.
    pub fn id(&self, node: usize) -> u32 {
        self.nodes[node].as_ref().expect("it runs").id()
    }

    /// So many more events are to be posted, to sinks that make trouble.
    pub fn pour(&mut self, count: usize) {
        self.started = None;
        self.mischief.stir(true);
        self.poured += count;
        self.poster.pour(count);
    }

    /// Returns once so many more receipts are written.
    pub async fn arrivals(&mut self, more: usize) {
        let count = self.receipts.count() + more;
        let receipts = self.receipts.clone();
        self.awaited("arrivals", receipts.reached(count)).await;
    }

    /// From now, or from the start of the process, until an event is accepted and has arrived, the
    /// sinks being willing.
    pub async fn recovered(&mut self) {
        self.mischief.stir(false);
        let began = self.started.take().unwrap_or_else(Instant::now);
        let (poster, receipts) = (self.poster.clone(), self.receipts.clone());
        let arrived = async {
            let number = poster.post().await;
            receipts.arrived(number).await;
        };
        self.awaited("the recovery", arrived).await;
        self.line.recoveries.push(began.elapsed());
    }

    /// Returns once everything that was poured is accepted, and done.
    pub async fn drained(&mut self) {
        self.mischief.stir(false);
        let poster = self.poster.clone();
        self.awaited("accepts", poster.accepted(self.poured)).await;
        let (journal, receipts) = (self.ground.journal.clone(), self.receipts.clone());
        let drained = async {
            while journal.left().await > 0 {
                // The next arrival, or the write after the last one.
                let next = receipts.reached(receipts.count() + 1);
                let _ = tokio::time::timeout(Duration::from_millis(100), next).await;
            }
        };
        self.awaited("the queue to run empty", drained).await;
    }

    pub async fn awaited<T>(&mut self, what: &str, event: impl Future<Output = T>) -> T {
        if let Ok(come) = tokio::time::timeout(LONGEST, event).await {
            return come;
        }
        let said: Vec<_> = self.nodes.iter_mut().flatten().map(Process::complaints).collect();
        println!("rig: waited {LONGEST:?} for {what}; the nodes said {said:#?}");
        let left = self.ground.journal.left().await;
        panic!("waited {LONGEST:?} for {what}; {left} things are left to do");
    }

    /// Ends the scene: in peace, everything is done, the nodes stop in order, and what was promised
    /// is asked for.
    pub async fn end(mut self) -> Line {
        self.drained().await;
        for (user, _, last) in self.ground.journal.streams().await {
            let place = (0..READERS).position(|number| poster::user(number) == user);
            if let Some(place) = place.filter(|_| !self.line.forgets) {
                let caught_up = self.readers[place].caught_up(last);
                self.awaited("an app to hear all", caught_up).await;
            }
        }
        for node in 0..self.nodes.len() {
            let Some(mut process) = self.nodes[node].take() else { continue };
            self.forget(&process);
            assert!(process.stop(STOP).await.success(), "a stop in order ends with status 0");
            self.complaints.extend(process.complaints());
        }
        self.line.took = self.began.elapsed();
        let mut broken = promises::broken(&mut self).await;
        let panics = self.complaints.iter().filter(|line| line.contains("panicked"));
        broken.extend(panics.map(|line| format!("a process said: {line}")));
        self.line.broken = broken;
        println!("rig: {}", self.line);
        for line in self.complaints.iter().take(10) {
            println!("rig: a process said: {line}");
        }
        self.line
    }

    fn forget(&self, process: &Process) {
        self.urls.send_modify(|urls| urls.retain(|url| url != process.url()));
    }
}

fn environment(ground: &Ground) -> Vec<(String, String)> {
    let mut environment = ground.clock.environment();
    environment.push(("NO_COLOR".into(), "1".into()));
    environment
}

/// `NUNCIO_RIG_SEED`, or one of the moment.
pub fn seed() -> u64 {
    let given = super::asked("NUNCIO_RIG_SEED");
    let given = given.map(|seed| seed.parse().expect("a number"));
    let clock = nuncio::clock::Clock::system();
    given.unwrap_or_else(|| clock.random_between(0, 1 << 30).unsigned_abs())
}

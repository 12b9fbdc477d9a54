use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nuncio::clock::Clock;
use nuncio::model::{
    Attempt, AttemptOutcome, ChannelName, Entry, Event, Fence, Frame, FrameBody, Message,
    MessageId, MessageStatus, Priority, Run, RunStatus, UserId,
};
use nuncio::seal::Sealer;
use nuncio::store::memory::MemoryStore;
use nuncio::store::postgres::PostgresStore;
use nuncio::store::sqlite::SqliteStore;
use nuncio::store::{
    Acceptance, Accepted, Claim, Departed, Departure, DueMessage, MessageRecord, Plan, Settlement,
    Store,
};
use serde_json::json;

use crate::harness::postgres::Postgres;

/// The clock of every scene begins here.
pub const START: &str = "2026-03-01T09:00:00Z";
pub const LEASE: Duration = Duration::from_secs(60);

/// A store on a manual clock, and the usual things one does with it.
pub struct Scene {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    /// What the store stands on (a folder), for as long as the scene lasts.
    _ground: Box<dyn Any + Send>,
}

pub async fn memory() -> Scene {
    let clock = clock();
    Scene::new(MemoryStore::new(clock.clone()), clock, ())
}

pub async fn sqlite() -> Scene {
    let clock = clock();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("nuncio.db").display());
    let store = SqliteStore::open(&url, clock.clone()).await.expect("a new database");
    let store = store.with_sealer(sealer(&clock));
    Scene::new(store, clock, folder)
}

pub async fn postgres() -> Scene {
    let url = Postgres::shared().await.database().await;
    let clock = clock();
    let store = PostgresStore::open(&url, clock.clone()).await.expect("a new database");
    let store = store.with_sealer(sealer(&clock));
    Scene::new(store, clock, ())
}

pub fn sealer(clock: &Clock) -> Sealer {
    let keys = ["a key of more than thirty-two characters".to_owned()];
    Sealer::new(&keys, clock.clone()).expect("the key is long enough")
}

pub fn clock() -> Clock {
    Clock::manual(START.parse().expect("the start is a timestamp"), 7)
}

impl Scene {
    pub fn new(store: impl Store, clock: Clock, ground: impl Any + Send) -> Self {
        Self { store: Arc::new(store), clock, _ground: Box::new(ground) }
    }

    /// On a store that others hold too.
    pub fn shared(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock, _ground: Box::new(()) }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn after(&self, seconds: u64) -> Timestamp {
        self.clock.after(Duration::from_secs(seconds))
    }

    pub fn event(&self) -> Event {
        Event {
            id: self.clock.id(),
            tenant: String::new(),
            name: "order.paid".into(),
            actor: None,
            data: json!({"order": 7, "total": 12.5, "note": "für \"Ada\"\n"}),
            at: self.now(),
            received_at: self.now(),
            idempotency_key: None,
            depth: 0,
            told: Vec::new(),
            sensitive: false,
        }
    }

    pub fn run(&self, event: &Event, user: &str) -> Run {
        Run {
            id: self.clock.id(),
            event: event.id,
            workflow: "order-paid".into(),
            version: "a1b2".into(),
            recipient: Some(user.into()),
            role: "buyer".into(),
            contact: None,
            priority: Priority::Medium,
            key: Some("order 7".into()),
            status: RunStatus::Finished,
            position: None,
            wake_at: None,
            state: json!({"vars": {"n": 1}, "steps": {}}),
            started_at: self.now(),
            sensitive: false,
            topic: None,
        }
    }

    pub fn message(&self, run: &Run, channel: &str) -> Message {
        Message {
            id: self.clock.id(),
            event: run.event,
            run: run.id,
            step: "0".into(),
            item: 0,
            channel: channel.into(),
            recipient: run.recipient.clone(),
            workflow: run.workflow.clone(),
            category: "order".into(),
            priority: run.priority,
            status: MessageStatus::Pending,
            due_at: self.now(),
            expires_at: None,
            attempt: 0,
            forgiven: 0,
            provider: None,
            receipt: None,
            code: None,
            created_at: self.now(),
        }
    }

    pub fn entry(&self, run: &Run, title: &str) -> Entry {
        Entry {
            id: run.id,
            event: run.event,
            user: run.recipient.clone().expect("an entry is a user's"),
            seq: 0,
            category: "order".into(),
            title: title.into(),
            message: "It was paid.".into(),
            priority: run.priority,
            metadata: json!({"action_url": "/orders/7"}).as_object().cloned().unwrap_or_default(),
            created_at: self.now(),
            read_at: None,
            sensitive: false,
            public_title: None,
        }
    }

    pub fn attempt(&self, message: &Message, outcome: AttemptOutcome) -> Attempt {
        Attempt {
            message: message.id,
            number: message.attempt,
            provider: message.provider.clone().unwrap_or_else(|| ChannelName::IN_APP.into()),
            started_at: self.now(),
            finished_at: self.now(),
            outcome,
            code: None,
            detail: None,
            receipt: None,
        }
    }

    pub async fn accept(&self, event: &Event, plan: Plan) -> Accepted {
        let acceptance =
            Acceptance { event: event.clone(), body_hash: [1; 32], plan, emitter: None };
        let mut accepted = self.store.accept(vec![acceptance]).await.expect("accepts");
        assert_eq!(accepted.len(), 1);
        accepted.remove(0)
    }

    /// An event with one run for `user` and one message by e-mail, as `shape` makes it.
    pub async fn send(&self, user: &str, shape: impl FnOnce(&mut Run, &mut Message)) -> Message {
        let event = self.event();
        let mut run = self.run(&event, user);
        let mut message = self.message(&run, "email");
        shape(&mut run, &mut message);
        let plan = Plan { runs: vec![run], messages: vec![message.clone()], ..Plan::default() };
        assert!(matches!(self.accept(&event, plan).await, Accepted::New { .. }));
        message
    }

    /// What an in-app delivery in the accepting write is planned as.
    pub fn delivery(&self, user: &str, shape: impl FnOnce(&mut Entry)) -> (Event, Plan) {
        let event = self.event();
        let run = self.run(&event, user);
        let mut message = self.message(&run, ChannelName::IN_APP);
        message.status = MessageStatus::Sent;
        message.attempt = 1;
        let attempt = self.attempt(&message, AttemptOutcome::Accepted);
        let mut entry = self.entry(&run, "Paid");
        shape(&mut entry);
        let plan = Plan {
            runs: vec![run],
            messages: vec![message],
            delivered: vec![(entry, attempt)],
            ..Plan::default()
        };
        (event, plan)
    }

    /// Delivers an entry to `user`'s inbox and answers it as it is stored.
    pub async fn deliver(&self, user: &str, shape: impl FnOnce(&mut Entry)) -> Entry {
        let (event, plan) = self.delivery(user, shape);
        let id = plan.runs[0].id;
        let Accepted::New { frames, .. } = self.accept(&event, plan).await else {
            panic!("the event is new");
        };
        assert_eq!(frames.len(), 1);
        self.store.entry(id).await.expect("reads").expect("the entry is there")
    }

    pub fn claim(&self, limit: usize) -> Claim {
        Claim { now: self.now(), until: self.clock.after(LEASE), limit }
    }

    pub async fn claim_messages(&self, limit: usize) -> Vec<DueMessage> {
        self.store.claim_messages(self.claim(limit)).await.expect("claims")
    }

    /// Claims the only message that is due.
    pub async fn claim_message(&self) -> DueMessage {
        let mut due = self.claim_messages(10).await;
        assert_eq!(due.len(), 1, "one message is due");
        due.remove(0)
    }

    pub async fn depart(&self, message: MessageId, fence: Fence) -> bool {
        self.depart_with(message, fence, |_| {}).await == Departed::Left
    }

    pub async fn depart_with(
        &self,
        message: MessageId,
        fence: Fence,
        shape: impl FnOnce(&mut Departure),
    ) -> Departed {
        let mut departure = Departure {
            message,
            fence,
            provider: "smtp".into(),
            at: self.now(),
            spend: None,
            once: None,
        };
        shape(&mut departure);
        self.store.depart(vec![departure]).await.expect("departs")[0]
    }

    pub async fn settle(&self, settlement: Settlement) -> Option<Vec<Frame>> {
        let mut settled = self.store.settle(vec![settlement]).await.expect("settles");
        assert_eq!(settled.len(), 1);
        settled.remove(0)
    }

    pub async fn stored(&self, id: MessageId) -> MessageRecord {
        self.store.message(id).await.expect("reads").expect("the message is there")
    }

    pub async fn status(&self, id: MessageId) -> MessageStatus {
        self.stored(id).await.message.status
    }

    pub async fn unread(&self, user: &str) -> u64 {
        self.store.unread(&UserId::from(user)).await.expect("counts")
    }
}

/// Nothing but the new status.
pub fn settlement(message: MessageId, fence: Fence, status: MessageStatus) -> Settlement {
    Settlement {
        message,
        fence,
        status,
        due_at: None,
        attempt: None,
        entry: None,
        decisions: Vec::new(),
        code: None,
        held: None,
        expected: None,
    }
}

pub fn seqs(frames: &[Frame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.seq).collect()
}

/// The frame's name on the wire.
pub fn kind(frame: &Frame) -> &'static str {
    match *frame.body {
        FrameBody::NewNotification { .. } => "new_notification",
        FrameBody::NotificationRead { .. } => "notification_read",
        FrameBody::BulkUpdate { .. } => "bulk_update",
        FrameBody::Published { .. } => "published",
    }
}

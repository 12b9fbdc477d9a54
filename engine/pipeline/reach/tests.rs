use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::channel::{Address, ContentKind, Failure, Traits, Unheard};
use crate::check::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::diagnostic::Source;
use crate::dispatch::Dispatch;
use crate::gate::{self, Answer, Facts};
use crate::model::{
    DeviceToken, DeviceType, Event, Message, Planned, Priority, Recipient, Registration, Run,
    RunStatus, User,
};
use crate::pipeline::Rules;
use crate::render;
use crate::store::memory::MemoryStore;
use crate::store::{Devices, Users};
use crate::template::Set;
use crate::{plan, workflow};

/// What was let through, or the code of why not.
type Asked = std::result::Result<Rendered, String>;

/// A user with two devices, and a pipeline that knows nobody else.
struct Scene {
    clock: Clock,
    store: MemoryStore,
    pipeline: Pipeline,
}

impl Scene {
    async fn with_devices(tokens: &[&str]) -> Self {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 7);
        let store = MemoryStore::new(clock.clone());
        let now = clock.now();
        let user = User {
            id: "42".into(),
            username: None,
            email: None,
            phone: Some("+21620000001".into()),
            first_name: None,
            last_name: None,
            locale: None,
            time_zone: None,
            role: None,
            data: serde_json::Map::new(),
            created_at: now,
            updated_at: now,
        };
        store.put_users(vec![user]).await.expect("it is stored");
        for token in tokens {
            let registration = Registration {
                device_token: DeviceToken::new(token).expect("a token"),
                device_type: DeviceType::Ios,
                device_name: None,
                app_version: None,
            };
            store.put_device(&"42".into(), &registration, now).await.expect("it is stored");
        }
        let dispatch = Dispatch::new(BTreeMap::new(), None, clock.clone(), Duration::from_secs(1));
        let rules = Rules { retry: Vec::new(), ..Rules::of(&Config::default()) };
        let (catalog, unheard) = (Arc::new(Catalog::default()), Arc::new(Unheard));
        let shared = Arc::new(store.clone());
        let pipeline = Pipeline::new(clock.clone(), shared, catalog, dispatch, unheard, rules);
        Self { clock, store, pipeline }
    }

    async fn person(&self) -> Arc<crate::model::Person> {
        let mut people = self.store.people(&["42".into()]).await.expect("it answers");
        people.pop().expect("the user is known")
    }

    /// A sensitive message, so that it needs no template, through the real gates.
    async fn rendered(&self, channel: &str, address: Address) -> Asked {
        self.asked(self.planned(channel).await, address)
    }

    fn asked(&self, planned: Planned, address: Address) -> Asked {
        let channel = planned.message.channel.as_str();
        let text = format!(
            "workflow: w\non: a\nsensitive: true\nrecipients:\n  - user: '\"42\"'\n\
             steps:\n  - send: {channel}\n    template: x\n"
        );
        let (workflow, problems) = workflow::compile(&Source::new("w.yaml", text));
        let workflow = workflow.unwrap_or_else(|| panic!("it compiles: {problems:?}"));
        let step = plan::send_step(&workflow, &"0".into()).expect("the first step sends");
        let kind = ContentKind::Text;
        let traits =
            Traits { interrupts: true, idempotent: false, address, kind, fixed_address: false };
        let facts = Facts {
            workflow: &workflow,
            step,
            traits: &traits,
            now: self.clock.now(),
            defaults: &gate::Defaults::default(),
            marketing: false,
            left_before: false,
            past: &gate::Past::default(),
        };
        match gate::ask(planned, &facts) {
            Answer::Send(permit) => Ok(render::render(*permit, None, None, &Set::default(), "UTC")
                .expect("it is discreet")),
            Answer::Drop { decision, .. } => Err(decision.code.into_owned()),
            other => panic!("unexpected: {other:?}"),
        }
    }

    async fn planned(&self, channel: &str) -> Planned {
        let now = self.clock.now();
        let event = Event {
            id: self.clock.id(),
            tenant: String::new(),
            name: "a".into(),
            actor: None,
            data: json!({}),
            at: now,
            received_at: now,
            idempotency_key: None,
            sensitive: true,
            trace: None,
            depth: 0,
            told: Vec::new(),
        };
        let run = Run {
            id: self.clock.id(),
            event: event.id,
            workflow: "w".into(),
            version: "v".into(),
            recipient: Some("42".into()),
            role: String::new(),
            contact: None,
            priority: Priority::Medium,
            key: None,
            status: RunStatus::Finished,
            position: None,
            wake_at: None,
            state: json!({}),
            started_at: now,
            sensitive: true,
            topic: None,
        };
        let message = Message {
            id: self.clock.id(),
            event: event.id,
            run: run.id,
            step: "0".into(),
            item: 0,
            channel: channel.into(),
            recipient: run.recipient.clone(),
            workflow: run.workflow.clone(),
            category: "w".into(),
            priority: run.priority,
            lane: Default::default(),
            status: MessageStatus::Leased,
            due_at: now,
            expires_at: None,
            attempt: 0,
            forgiven: 0,
            provider: None,
            receipt: None,
            code: None,
            created_at: now,
        };
        let person = Some(self.person().await);
        let recipient = Recipient { person, ..Recipient::default() };
        Planned { message, run: Arc::new(run), event: Arc::new(event), recipient }
    }

    /// What a provider's answer comes to.
    async fn ended(&self, rendered: &Rendered, outcome: Outcome) -> Ended {
        let now = self.clock.now();
        let tried = Tried {
            provider: "p".into(),
            number: 1,
            started_at: now,
            finished_at: now,
            outcome,
            retry_unknown: false,
        };
        let dispatched = Dispatched::Attempted { tried, passed: Vec::new() };
        self.pipeline.learn(rendered, &dispatched).await;
        Ended::dispatched(rendered, dispatched, &[], &self.clock).or_next_device(rendered)
    }
}

fn gone() -> Outcome {
    Outcome::InvalidRecipient { failure: Failure::new("gone", "no such device") }
}

#[tokio::test]
async fn a_device_that_is_gone_gives_place_to_the_next() {
    let scene = Scene::with_devices(&["token-of-a-phone", "token-of-a-tablet"]).await;
    let first = scene.rendered("push", Address::Device).await.expect("it is reachable");
    assert_eq!(first.to(), "token-of-a-tablet", "the newest");
    let ended = scene.ended(&first, gone()).await;
    assert_eq!((ended.status, ended.due_at), (MessageStatus::Pending, Some(scene.clock.now())));
    assert_eq!(ended.decisions[0].verdict, Verdict::Retry);

    let second = scene.rendered("push", Address::Device).await.expect("it is reachable");
    assert_eq!(second.to(), "token-of-a-phone");
    let ended = scene.ended(&second, gone()).await;
    assert_eq!((ended.status, ended.due_at), (MessageStatus::Failed, None));
    let third = scene.rendered("push", Address::Device).await;
    assert_eq!(third.err().as_deref(), Some("reachable.no_device"));
}

#[tokio::test]
async fn a_device_that_was_reached_is_the_next_to_be_used() {
    let scene = Scene::with_devices(&["token-of-a-phone", "token-of-a-tablet"]).await;
    let accepted = Outcome::Accepted { receipt: None, detail: None };
    let rendered = scene.rendered("push", Address::Device).await.expect("it is reachable");
    let before = scene.clock.now();
    scene.ended(&rendered, accepted.clone()).await;
    assert_eq!(scene.person().await.devices[1].last_used_at, Some(before));
    for (later, written) in [(59, 0), (1, 60)] {
        scene.clock.advance(Duration::from_secs(later));
        let rendered = scene.rendered("push", Address::Device).await.expect("it is reachable");
        scene.ended(&rendered, accepted.clone()).await;
        let used = scene.person().await.devices[1].last_used_at;
        assert_eq!(used, Some(before + Duration::from_secs(written)));
    }
}

#[tokio::test]
async fn a_telephone_that_will_never_work_has_bounced() {
    let scene = Scene::with_devices(&[]).await;
    let rendered = scene.rendered("sms", Address::Phone).await.expect("it is reachable");
    assert_eq!(scene.ended(&rendered, gone()).await.status, MessageStatus::Failed);
    let again = scene.rendered("sms", Address::Phone).await;
    assert_eq!(again.err().as_deref(), Some("reachable.bounced"));
    let mut retried = scene.planned("sms").await;
    retried.message.forgiven = 1;
    let retried = scene.asked(retried, Address::Phone).expect("a person asked for it");
    let accepted = Outcome::Accepted { receipt: None, detail: None };
    scene.ended(&retried, accepted).await;
    assert!(scene.rendered("sms", Address::Phone).await.is_ok(), "it works after all");
    let voice = scene.rendered("voice", Address::Phone).await;
    assert!(voice.is_ok(), "another channel may have more luck");
}

use nuncio::clock::Clock;
use nuncio::model::{Entry, Event, EventId, Message, MessageStatus, Run, RunId};
use nuncio::seal::{SealError, Sealer};
use nuncio::store::Installation as _;
use nuncio::store::sqlite::SqliteStore;
use nuncio::store::{
    Acceptance, Claim, Devices, Events, Inbox, InboxOrder, InboxQuery, Plan, Queue, Registered,
    Replay, StoreError, Users,
};
use serde_json::json;

use super::{KEY, clinic, workflow};
use crate::conformance::store::scene::{self, Scene};

const NEW_KEY: &str = "another key, which is to replace the one before";

struct Ground {
    folder: tempfile::TempDir,
    clock: Clock,
}

impl Ground {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), clock: scene::clock() }
    }

    /// The same file, with these keys.
    async fn open(&self, keys: &[&str]) -> SqliteStore {
        let url = format!("sqlite:{}", self.folder.path().join("nuncio.db").display());
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let sealer = Sealer::new(&keys, self.clock.clone()).expect("they are long enough");
        let store = SqliteStore::open(&url, self.clock.clone()).await.expect("it opens");
        store.with_sealer(sealer)
    }
}

/// Ids of an event, its run and its entry.
struct Stored {
    event: EventId,
    run: RunId,
}

/// An event with an entry, and a message that is due.
async fn store(store: &SqliteStore, clock: &Clock, sensitive: bool) -> Stored {
    let scene = Scene::new(store.clone(), clock.clone(), ());
    let event = Event { sensitive, ..scene.event() };
    let run = Run { sensitive, ..scene.run(&event, "42") };
    let delivered = scene.message(&run, "in_app");
    let delivered = Message { status: MessageStatus::Sent, attempt: 1, ..delivered };
    let attempt = scene.attempt(&delivered, nuncio::model::AttemptOutcome::Accepted);
    let entry = Entry { sensitive, ..scene.entry(&run, "Paid") };
    let stored = Stored { event: event.id, run: run.id };
    let plan = Plan {
        messages: vec![delivered, scene.message(&run, "email")],
        delivered: vec![(entry, attempt)],
        runs: vec![run],
        ..Plan::default()
    };
    store
        .accept(vec![Acceptance { event, body_hash: [1; 32], plan, emitter: None }])
        .await
        .expect("accepts");
    stored
}

fn of_everybody() -> InboxQuery {
    InboxQuery {
        user: None,
        is_read: None,
        category: None,
        priority: None,
        from: None,
        to: None,
        search: None,
        order: InboxOrder::NewestFirst,
        offset: 0,
        limit: 9,
    }
}

fn is_lost<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> bool {
    let lost = matches!(
        &answer,
        Err(StoreError::Locked { source: SealError::LostKey { id }, .. }) if id.len() == 8
    );
    assert!(lost, "{answer:?}");
    lost
}

#[tokio::test]
async fn old_values_open_with_the_old_key_and_new_ones_are_sealed_with_the_new() {
    let ground = Ground::new();
    let first = ground.open(&[KEY]).await;
    let old = store(&first, &ground.clock, true).await;
    first.close().await;
    let rotated = ground.open(&[NEW_KEY, KEY]).await;
    let new = store(&rotated, &ground.clock, true).await;
    for each in [&old, &new] {
        let record = rotated.event(each.event).await.expect("it opens").expect("it is there");
        assert_eq!(record.event.data["order"], 7);
        let entry = rotated.entry(each.run).await.expect("it opens").expect("it is there");
        assert_eq!(entry.title, "Paid");
    }
    rotated.close().await;
    let after = ground.open(&[NEW_KEY]).await;
    assert!(after.event(new.event).await.expect("it opens").is_some());
    assert!(is_lost(after.event(old.event).await));
}

#[tokio::test]
async fn a_lost_key_locks_what_it_sealed_and_nothing_else() {
    let ground = Ground::new();
    let first = ground.open(&[KEY]).await;
    let locked = store(&first, &ground.clock, true).await;
    let registration =
        serde_json::from_value(json!({"device_token": "token-of-a-phone", "device_type": "web"}));
    let registration = registration.expect("it has the shape");
    let now = ground.clock.now();
    let put = first.put_device(&"42".into(), &registration, now).await.expect("it is stored");
    assert!(matches!(put, Registered::New(_)));
    let open = store(&first, &ground.clock, false).await;
    let scene = Scene::new(first.clone(), ground.clock.clone(), ());
    let ada = crate::conformance::store::user::user(&scene, "42");
    first.put_users(vec![ada]).await.expect("it is stored");
    first.close().await;

    let store = ground.open(&[NEW_KEY]).await;
    assert!(is_lost(store.event(locked.event).await));
    assert!(is_lost(store.entry(locked.run).await));
    assert!(is_lost(store.timeline(locked.event.0).await));
    assert_eq!(store.devices(None, 9).await.expect("the list goes on"), []);
    let page = store.entries(&of_everybody()).await.expect("the list goes on");
    let shown: Vec<_> = page.entries.iter().map(|entry| entry.id).collect();
    assert_eq!((page.count, shown), (2, vec![open.run]));
    let replay = store.replay(&"42".into(), 0, 9).await.expect("the stream goes on");
    assert!(matches!(replay, Replay::Gone), "{replay:?}");
    assert!(store.event(open.event).await.expect("it is in clear").is_some());
    let people = store.people(&["42".into()]).await.expect("the person is in clear");
    assert_eq!((people.len(), people[0].devices.len()), (1, 0));
    let claim = || Claim { now, until: ground.clock.after(scene::LEASE), limit: 10 };
    let due = store.claim_messages(claim()).await.expect("the rest goes on");
    assert_eq!(due.iter().map(|due| due.event.id).collect::<Vec<_>>(), [open.event]);
    store.close().await;

    // Back with its key, what was claimed falls due again at the lease's end.
    let store = ground.open(&[NEW_KEY, KEY]).await;
    let never = |_: &_, _: &_| false;
    store.recover(now, true, &never).await.expect("recovers");
    assert_eq!(store.claim_messages(claim()).await.expect("claims").len(), 2);
}

#[tokio::test]
async fn without_a_key_nothing_sensitive_is_written() {
    let ground = Ground::new();
    let store = ground.open(&[]).await;
    let scene = Scene::new(store.clone(), ground.clock.clone(), ());
    let event = Event { sensitive: true, ..scene.event() };
    let id = event.id;
    let acceptance = Acceptance { event, body_hash: [1; 32], plan: Plan::default(), emitter: None };
    let refused = store.accept(vec![acceptance]).await;
    assert!(matches!(refused, Err(StoreError::NoKey { noun: "event" })), "{refused:?}");
    assert!(store.event(id).await.expect("it answers").is_none());
}

#[tokio::test]
async fn a_sensitive_workflow_is_not_run_without_a_key() {
    let clinic = clinic();
    let auth = "[auth]\nsecret = \"a secret that only tests know\"\n";
    clinic.write("nuncio.toml", auth);
    let refused = clinic.command(&["run"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for said in ["error[encryption.keys]", "workflows/result.yaml:3:1", "`result` is sensitive"] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("`notice` is sensitive"), "{}", refused.stderr);
    clinic.write("nuncio.toml", &format!("{auth}[encryption]\nkeys = [\"short\"]\n"));
    let refused = clinic.command(&["run"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("fewer than 32"), "{}", refused.stderr);

    std::fs::write(clinic.path("key"), format!("{KEY}\n")).expect("a file");
    let keys = format!("[encryption]\nkeys = [\"file:key\", \"{NEW_KEY}\"]\n");
    clinic.write("nuncio.toml", &format!("{auth}{keys}"));
    let shown = clinic.command(&["config"]).await;
    assert!(shown.stdout.contains("encryption.keys = [\"file:key\", \"***\"]"), "{shown:?}");
    assert!(!shown.stdout.contains(NEW_KEY) && !shown.stdout.contains(KEY), "{shown:?}");
    let node = clinic.run().await;
    assert_eq!(node.call("GET", "/readyz", None).await.0, 200);
    assert_eq!(node.stop().await, Some(0));
}

#[tokio::test]
async fn a_device_is_not_registered_without_a_key() {
    let clinic = clinic();
    std::fs::remove_file(clinic.path("workflows/result.yaml")).expect("it was there");
    clinic.write("nuncio.toml", "[auth]\nsecret = \"a secret that only tests know\"\n");
    let mut node = clinic.run().await;
    let token = node.token("42").await;
    let path = "/api/notifications/devices/";
    let device = json!({"device_token": "token-of-a-phone", "device_type": "ios"}).to_string();
    let (status, refused) = node.send("POST", path, &token, Some(device)).await;
    assert_eq!((status, &refused["error"]["code"]), (503, &json!("NOTIF_003")), "{refused}");
    assert_eq!(node.send("GET", path, &token, None).await, (200, json!({"results": []})));

    // Nor is a sensitive workflow that comes later.
    clinic.write("workflows/result.yaml", &workflow("result", true));
    node.hang_up().await;
    node.says("what was loaded before stays in force").await;
    let (_, loaded) = node.call("GET", "/v1/workflows", None).await;
    assert_eq!(loaded["results"].as_array().map(Vec::len), Some(1), "{loaded}");
}

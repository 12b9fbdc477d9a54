use std::collections::BTreeSet;

use futures_util::future::join_all;
use nuncio::model::{
    AttemptOutcome, Decision, Event, EventStatus, MessageStatus, RunStatus, Stream, UserId,
    Verdict, Version,
};
use nuncio::store::{Acceptance, Accepted, Plan};
use serde_json::json;

use super::scene::{Scene, kind, seqs};

pub async fn an_event_is_stored_with_its_plan(scene: Scene) {
    let mut event = scene.event();
    event.tenant = "north".into();
    event.actor = Some("9".into());
    event.idempotency_key = Some("order-7".into());
    let run = scene.run(&event, "42");
    let mut message = scene.message(&run, "email");
    message.expires_at = Some(scene.after(3600));
    let decision = Decision {
        at: scene.now(),
        event: event.id,
        workflow: Some(run.workflow.clone()),
        run: Some(run.id),
        message: Some(message.id),
        recipient: run.recipient.clone(),
        step: Some("0".into()),
        channel: Some("email".into()),
        verdict: Verdict::Hold,
        code: "quiet_hours.held".into(),
        reason: "held until morning".into(),
        rule: Some("user 42: quiet_hours".into()),
        until: Some(scene.after(600)),
    };
    let plan = Plan {
        runs: vec![run.clone()],
        messages: vec![message.clone()],
        decisions: vec![decision.clone()],
        ..Plan::default()
    };
    let Accepted::New { id, frames } = scene.accept(&event, plan).await else {
        panic!("the event is new");
    };
    assert_eq!(id, event.id);
    assert!(frames.is_empty());

    let record = scene.store.event(id).await.unwrap().unwrap();
    assert_eq!((record.event, record.status), (event.clone(), EventStatus::Planned));
    assert_eq!(record.runs, std::slice::from_ref(&run));
    for id in [event.id.0, run.id.0, message.id.0] {
        let timeline = scene.store.timeline(id).await.unwrap().unwrap();
        assert_eq!(timeline.event, event);
        assert_eq!(timeline.runs, std::slice::from_ref(&run));
        assert_eq!(timeline.messages, [message.clone()]);
        assert_eq!(timeline.decisions, std::slice::from_ref(&decision));
    }
    assert!(scene.store.event(scene.clock.id()).await.unwrap().is_none());
    assert!(scene.store.timeline(scene.clock.id()).await.unwrap().is_none());
}

fn keyed(scene: &Scene, key: &str) -> Event {
    Event { idempotency_key: Some(key.into()), ..scene.event() }
}

fn bare(event: &Event, body: u8) -> Acceptance {
    Acceptance { event: event.clone(), body_hash: [body; 32], plan: Plan::default(), emitter: None }
}

pub async fn a_key_is_accepted_once(scene: Scene) {
    let first = keyed(&scene, "a");
    for (event, body) in [(first.clone(), 1), (keyed(&scene, "a"), 1), (keyed(&scene, "a"), 2)] {
        let accepted = scene.store.accept(vec![bare(&event, body)]).await.unwrap();
        match (&accepted[..], body) {
            ([Accepted::New { id, .. }], 1) => assert_eq!((event.id, *id), (first.id, first.id)),
            ([Accepted::Duplicate(id)], 1) | ([Accepted::Conflict(id)], 2) => {
                assert_ne!(event.id, first.id);
                assert_eq!(*id, first.id);
                assert!(scene.store.event(event.id).await.unwrap().is_none());
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
}

pub async fn a_key_is_accepted_once_within_a_call(scene: Scene) {
    let (first, second, third) = (keyed(&scene, "a"), keyed(&scene, "a"), keyed(&scene, "a"));
    let other = keyed(&scene, "b");
    let call = vec![bare(&first, 1), bare(&second, 1), bare(&other, 1), bare(&third, 2)];
    let accepted = scene.store.accept(call).await.unwrap();
    let [
        Accepted::New { id: new, .. },
        Accepted::Duplicate(duplicate),
        Accepted::New { id: another, .. },
        Accepted::Conflict(conflict),
    ] = accepted[..]
    else {
        panic!("unexpected: {accepted:?}");
    };
    assert_eq!([new, duplicate, conflict], [first.id; 3]);
    assert_eq!(another, other.id);
}

pub async fn a_key_belongs_to_its_tenant(scene: Scene) {
    let north = Event { tenant: "north".into(), ..keyed(&scene, "a") };
    let south = Event { tenant: "south".into(), ..keyed(&scene, "a") };
    let accepted = scene.store.accept(vec![bare(&north, 1), bare(&south, 2)]).await.unwrap();
    assert!(matches!(accepted[..], [Accepted::New { .. }, Accepted::New { .. }]));
}

pub async fn concurrent_callers_of_a_key_make_one_event(scene: Scene) {
    let calls = (0..32).map(|_| {
        let (store, event) = (scene.store.clone(), keyed(&scene, "a"));
        tokio::spawn(async move { store.accept(vec![bare(&event, 1)]).await.unwrap().remove(0) })
    });
    let mut new = 0;
    let mut ids = BTreeSet::new();
    for accepted in join_all(calls).await {
        match accepted.unwrap() {
            Accepted::New { id, .. } => {
                new += 1;
                ids.insert(id);
            }
            Accepted::Duplicate(id) => {
                ids.insert(id);
            }
            Accepted::Conflict(id) => panic!("{id} has the same body"),
        }
    }
    assert_eq!((new, ids.len()), (1, 1));
}

pub async fn events_without_a_key_are_never_duplicates(scene: Scene) {
    let call = (0..3).map(|_| bare(&scene.event(), 1)).collect();
    let accepted = scene.store.accept(call).await.unwrap();
    assert_eq!(accepted.len(), 3);
    assert!(accepted.iter().all(|accepted| matches!(accepted, Accepted::New { .. })));
}

pub async fn a_repeated_event_brings_nothing_of_its_plan(scene: Scene) {
    scene.store.accept(vec![bare(&keyed(&scene, "a"), 1)]).await.unwrap();
    let (event, plan) = scene.delivery("42", |_| {});
    let event = Event { idempotency_key: Some("a".into()), ..event };
    assert!(matches!(scene.accept(&event, plan).await, Accepted::Duplicate(_)));
    assert_eq!(scene.unread("42").await, 0);
    assert_eq!(scene.store.head(&UserId::from("42")).await.unwrap(), 0);
}

pub async fn a_delivery_is_made_in_the_accepting_write(scene: Scene) {
    let (event, plan) = scene.delivery("42", |_| {});
    let (run, message) = (plan.runs[0].clone(), plan.messages[0].clone());
    let (planned, attempt) = plan.delivered[0].clone();
    let Accepted::New { frames, .. } = scene.accept(&event, plan).await else {
        panic!("the event is new");
    };
    assert_eq!(seqs(&frames), [1]);
    assert_eq!(kind(&frames[0]), "new_notification");
    assert_eq!(frames[0].stream, Stream::User("42".into()));

    let entry = scene.store.entry(run.id).await.unwrap().unwrap();
    assert_eq!(entry.seq, 1);
    assert_eq!(nuncio::model::Entry { seq: 0, ..entry }, planned);
    let record = scene.stored(message.id).await;
    assert_eq!(record.message.status, MessageStatus::Sent);
    assert_eq!(record.attempts, [attempt]);
    assert!(scene.claim_messages(10).await.is_empty());
}

pub async fn a_run_has_one_entry(scene: Scene) {
    let (event, mut plan) = scene.delivery("42", |_| {});
    let run = plan.runs[0].clone();
    let mut second = scene.message(&run, "in_app");
    second.step = "1".into();
    second.status = MessageStatus::Sent;
    second.attempt = 1;
    let attempt = scene.attempt(&second, AttemptOutcome::Accepted);
    plan.delivered.push((scene.entry(&run, "Paid again"), attempt.clone()));
    plan.messages.push(second.clone());
    let Accepted::New { frames, .. } = scene.accept(&event, plan).await else {
        panic!("the event is new");
    };
    assert_eq!(seqs(&frames), [1]);
    assert_eq!(scene.store.entry(run.id).await.unwrap().unwrap().title, "Paid");
    assert_eq!(scene.store.head(&UserId::from("42")).await.unwrap(), 1);
    assert_eq!(scene.stored(second.id).await.attempts, [attempt]);
}

pub async fn contacts_of_one_event_have_runs_of_their_own(scene: Scene) {
    let event = scene.event();
    let contact = |email: &str| nuncio::model::Run {
        recipient: None,
        contact: Some(json!({ "email": email })),
        ..scene.run(&event, "")
    };
    let runs = vec![contact("a@example.com"), contact("b@example.com")];
    scene.accept(&event, Plan { runs: runs.clone(), ..Plan::default() }).await;
    assert_eq!(scene.store.event(event.id).await.unwrap().unwrap().runs, runs);
}

pub async fn a_version_is_kept_once(scene: Scene) {
    let version = Version::from("a1b2");
    for _ in 0..2 {
        scene.store.keep_version(&version, &"order-paid".into(), "steps: []").await.unwrap();
    }
    assert_eq!(scene.store.version(&version).await.unwrap().as_deref(), Some("steps: []"));
    assert_eq!(scene.store.version(&"other".into()).await.unwrap(), None);
}

pub async fn unfinished_runs_are_counted_by_version(scene: Scene) {
    let statuses = [RunStatus::Waiting, RunStatus::Waiting, RunStatus::Finished];
    for (status, version) in statuses.into_iter().zip(["old", "new", "old"]) {
        let shape = |run: &mut nuncio::model::Run, _: &mut _| {
            run.status = status;
            run.version = version.into();
            run.wake_at = Some(scene.after(60));
        };
        scene.send("42", shape).await;
    }
    let mut used = scene.store.versions_in_use().await.unwrap();
    used.sort();
    let expected = ["new", "old"].map(|version| ("order-paid".into(), version.into(), 1));
    assert_eq!(used, expected);
}

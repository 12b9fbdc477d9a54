use nuncio::model::{
    Awaited, Event, Match, MessageStatus, Pattern, Reached, Run, RunId, RunStatus, Wait,
};
use nuncio::store::{AWAITED, Concluded, DueEvent, DueRun, Plan, Progress};
use serde_json::json;

use super::scene::{Scene, settlement};

pub fn waiting(scene: &Scene, run: &Run, awaited: Awaited) -> Wait {
    Wait { run: run.id, step: "1".into(), item: 0, began_at: scene.now(), awaited }
}

fn event(on: &str, key: Option<&str>) -> Awaited {
    Awaited::Event {
        on: on.split(' ').map(|name| Pattern::parse(name).expect("a name")).collect(),
        tenant: String::new(),
        workflow: "order-paid".into(),
        version: "a1b2".into(),
        key: key.map(Into::into),
    }
}

pub fn message(state: Reached) -> Awaited {
    Awaited::Message { step: "0".into(), item: Some(0), channel: None, state }
}

/// A run that stands still for `awaited` from its event's acceptance on.
async fn stands(scene: &Scene, user: &str, awaited: Awaited) -> RunId {
    let own = scene.event();
    let mut run = scene.run(&own, user);
    run.status = RunStatus::Waiting;
    run.position = Some("1".into());
    let waits = vec![waiting(scene, &run, awaited)];
    let id = run.id;
    scene.accept(&own, Plan { runs: vec![run], waits, ..Plan::default() }).await;
    id
}

async fn comes(scene: &Scene, name: &str) -> Event {
    let event = Event { name: name.into(), data: json!({}), ..scene.event() };
    scene.accept(&event, Plan::default()).await;
    event
}

async fn due_events(scene: &Scene) -> Vec<DueEvent> {
    scene.store.claim_events(scene.claim(10)).await.unwrap()
}

pub async fn due_runs(scene: &Scene) -> Vec<DueRun> {
    scene.store.claim_runs(scene.claim(10)).await.unwrap()
}

async fn by_key(scene: &Scene, event: &Event, key: &str) -> Vec<RunId> {
    let found = scene.store.waiting_by_key(event, &"a1b2".into(), key, 10).await.unwrap();
    found.into_iter().map(|found| found.run).collect()
}

async fn concluded(scene: &Scene, run: RunId) -> Concluded {
    scene.store.conclude(run, &"1".into(), 0).await.unwrap()
}

/// Writes that `event` ends the wait of `run`, as the event's job would.
async fn match_it(scene: &Scene, run: RunId, step: &str) {
    let due = due_events(scene).await.remove(0);
    let found = Match { run, step: step.into(), item: 0, event: due.event.id };
    let plan = Plan { matches: vec![found], ..Plan::default() };
    let progress = Progress { id: due.event.id, fence: due.fence, plan, run: None };
    assert!(scene.store.planned(vec![progress]).await.unwrap()[0].is_some());
}

pub async fn an_awaited_event_falls_due(scene: Scene) {
    comes(&scene, "bill.paid").await;
    assert!(due_events(&scene).await.is_empty(), "nobody waits");
    stands(&scene, "1", event("bill.paid refund.*", Some("7"))).await;
    comes(&scene, "bill.sent").await;
    assert!(due_events(&scene).await.is_empty(), "nobody waits for that");
    for name in ["bill.paid", "refund.made"] {
        let event = comes(&scene, name).await;
        let due = due_events(&scene).await;
        assert_eq!(due.len(), 1, "{name}");
        assert_eq!((due[0].event.id, due[0].cursor.as_deref()), (event.id, Some(AWAITED)));
        assert!(scene.store.is_awaited(&event).await.unwrap());
    }
}

pub async fn waits_are_found_by_their_key(scene: Scene) {
    let early = comes(&scene, "bill.paid").await;
    let seven = stands(&scene, "1", event("bill.paid", Some("7"))).await;
    let eight = stands(&scene, "2", event("bill.*", Some("8"))).await;
    stands(&scene, "3", event("bill.paid", None)).await;
    let paid = comes(&scene, "bill.paid").await;
    assert_eq!(by_key(&scene, &paid, "7").await, [seven]);
    assert_eq!(by_key(&scene, &paid, "8").await, [eight]);
    assert!(by_key(&scene, &paid, "9").await.is_empty());
    assert!(by_key(&scene, &early, "7").await.is_empty(), "it came before");
    let versions = scene.store.awaiting(&paid).await.unwrap();
    assert_eq!(versions, [("order-paid".into(), "a1b2".into())]);
    let elsewhere = Event { tenant: "north".into(), name: paid.name, ..scene.event() };
    scene.accept(&elsewhere, Plan::default()).await;
    assert!(!scene.store.is_awaited(&elsewhere).await.unwrap());
    assert!(by_key(&scene, &elsewhere, "7").await.is_empty());
}

pub async fn waits_with_a_match_come_in_pages(scene: Scene) {
    let mut runs = Vec::new();
    for user in ["1", "2", "3"] {
        runs.push(stands(&scene, user, event("bill.paid bill.*", None)).await);
    }
    runs.sort();
    stands(&scene, "4", event("bill.paid", Some("7"))).await;
    let paid = comes(&scene, "bill.paid").await;
    let page = scene.store.waiting_by_match(&paid, None, 2).await.unwrap();
    let ids: Vec<_> = page.iter().map(|waiting| waiting.run.id).collect();
    assert_eq!(ids, runs[..2]);
    assert!(page.iter().all(|one| one.event.id == one.run.event && one.step.as_str() == "1"));
    let page = scene.store.waiting_by_match(&paid, Some(runs[1]), 2).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].run.id, runs[2]);
}

pub async fn a_match_wakes_the_run_and_is_told_it(scene: Scene) {
    let run = stands(&scene, "1", event("bill.paid", Some("7"))).await;
    assert!(due_runs(&scene).await.is_empty());
    let paid = comes(&scene, "bill.paid").await;
    match_it(&scene, run, "1").await;
    assert!(by_key(&scene, &paid, "7").await.is_empty(), "it is not found again");
    let due = due_runs(&scene).await;
    assert_eq!(due.len(), 1);
    for _ in 0..2 {
        assert_eq!(concluded(&scene, run).await, Concluded::Matched(Some(paid.id)));
    }
}

pub async fn what_is_concluded_is_matched_no_more(scene: Scene) {
    let run = stands(&scene, "1", event("bill.paid", Some("7"))).await;
    let other = stands(&scene, "2", event("bill.paid", Some("7"))).await;
    assert_eq!(concluded(&scene, run).await, Concluded::Unmatched);
    let paid = comes(&scene, "bill.paid").await;
    assert_eq!(by_key(&scene, &paid, "7").await, [other]);
    // A match that was looked up before comes too late; so does one of a step before.
    match_it(&scene, run, "1").await;
    comes(&scene, "bill.paid").await;
    match_it(&scene, other, "0").await;
    assert!(due_runs(&scene).await.is_empty());
    assert_eq!(concluded(&scene, run).await, Concluded::Unmatched);
    assert_eq!(concluded(&scene, other).await, Concluded::Unmatched);
}

pub async fn a_run_that_goes_on_waits_no_more(scene: Scene) {
    let run = stands(&scene, "1", event("bill.paid", Some("7"))).await;
    comes(&scene, "bill.paid").await;
    match_it(&scene, run, "1").await;
    let due = due_runs(&scene).await.remove(0);
    // On to another wait, in the place of the first.
    let next = Run { status: RunStatus::Waiting, wake_at: None, ..due.run.clone() };
    let waits = vec![waiting(&scene, &next, event("bill.sent", Some("7")))];
    let plan = Plan { waits, ..Plan::default() };
    let progress = Progress { id: run, fence: due.fence, plan, run: Some(next) };
    assert!(scene.store.advanced(vec![progress]).await.unwrap()[0].is_some());
    let paid = comes(&scene, "bill.paid").await;
    assert!(by_key(&scene, &paid, "7").await.is_empty());
    let sent = comes(&scene, "bill.sent").await;
    assert_eq!(by_key(&scene, &sent, "7").await, [run]);
    assert_eq!(concluded(&scene, run).await, Concluded::Unmatched, "the old match is forgotten");
}

pub async fn an_erased_person_waits_for_nothing(scene: Scene) {
    let person = super::user::user(&scene, "1");
    scene.store.put_users(vec![person]).await.unwrap();
    let run = stands(&scene, "1", event("bill.paid", Some("7"))).await;
    scene.store.erase_user(&"1".into()).await.unwrap();
    let paid = comes(&scene, "bill.paid").await;
    assert!(by_key(&scene, &paid, "7").await.is_empty());
    assert_eq!(concluded(&scene, run).await, Concluded::Unmatched);
}

/// A run with a message by e-mail that stands still until the message is `state`.
async fn sends(scene: &Scene, status: MessageStatus, state: Reached) -> RunId {
    let own = scene.event();
    let mut run = scene.run(&own, "1");
    run.status = RunStatus::Waiting;
    run.position = Some("1".into());
    let mut sent = scene.message(&run, "email");
    sent.status = status;
    let waits = vec![waiting(scene, &run, message(state))];
    let id = run.id;
    let plan = Plan { runs: vec![run], messages: vec![sent], waits, ..Plan::default() };
    scene.accept(&own, plan).await;
    id
}

pub async fn a_state_that_holds_already_wakes_at_once(scene: Scene) {
    use MessageStatus::{Pending, Sent, Suppressed};
    let rows = [
        (Pending, Reached::Delivered, false),
        (Sent, Reached::Delivered, true),
        (Suppressed, Reached::Delivered, false),
        (Pending, Reached::Ended, false),
        (Sent, Reached::Ended, true),
        (Suppressed, Reached::Ended, true),
        (Sent, Reached::ReadOrLost, false),
        (Suppressed, Reached::ReadOrLost, true),
        (Suppressed, Reached::Read, false),
    ];
    for (status, state, wakes) in rows {
        let run = sends(&scene, status, state).await;
        let woken: Vec<_> = due_runs(&scene).await.iter().map(|due| due.run.id).collect();
        assert_eq!(woken.contains(&run), wakes, "{status:?} {state:?}");
    }
}

pub async fn a_settled_message_wakes_who_waits_for_it(scene: Scene) {
    for (status, state, wakes) in [
        (MessageStatus::Sent, Reached::Delivered, true),
        (MessageStatus::Failed, Reached::Delivered, false),
        (MessageStatus::Failed, Reached::Ended, true),
        (MessageStatus::Pending, Reached::Ended, false),
    ] {
        let run = sends(&scene, MessageStatus::Pending, state).await;
        let due = scene.claim_message().await;
        let mut settled = settlement(due.message.id, due.fence, status);
        settled.due_at = (status == MessageStatus::Pending).then(|| scene.after(3600));
        scene.settle(settled).await;
        let woken = due_runs(&scene).await;
        assert_eq!(woken.len(), usize::from(wakes), "{status:?} {state:?}");
        let expected = if wakes { Concluded::Matched(None) } else { Concluded::Unmatched };
        assert_eq!(concluded(&scene, run).await, expected);
    }
}

pub async fn a_cancelled_message_wakes_who_waits_for_its_end(scene: Scene) {
    sends(&scene, MessageStatus::Pending, Reached::Ended).await;
    let due = scene.claim_message().await;
    scene.store.cancel(due.message.id, scene.now()).await.unwrap();
    assert_eq!(due_runs(&scene).await.len(), 1);
}

pub async fn reading_wakes_who_waits_for_it(scene: Scene) {
    let read = async |how: u8| {
        let (own, mut plan) = scene.delivery("1", |_| {});
        plan.runs[0].status = RunStatus::Waiting;
        plan.runs[0].position = Some("1".into());
        plan.waits = vec![waiting(&scene, &plan.runs[0], message(Reached::Read))];
        let id = plan.runs[0].id;
        scene.accept(&own, plan).await;
        assert!(due_runs(&scene).await.is_empty());
        let (user, now) = ("1".into(), scene.now());
        match how {
            0 => drop(scene.store.mark(&user, id, Some(now)).await.unwrap()),
            1 => drop(scene.store.mark_all(&user, None, now).await.unwrap()),
            _ => drop(scene.store.mark_many(&user, &[id], now).await.unwrap()),
        }
        // Taking it back does not take back that it was read.
        scene.store.mark(&user, id, None).await.unwrap();
        assert_eq!(due_runs(&scene).await.len(), 1);
        assert_eq!(concluded(&scene, id).await, Concluded::Matched(None));
    };
    for how in 0..3 {
        read(how).await;
    }
}

//! A run that begins to wait on one node, and what it waits for on another, at the same moment.

use futures_util::future::join;
use nuncio::model::{Awaited, Event, MessageStatus, Pattern, Reached, Run, RunId, RunStatus, Wait};
use nuncio::store::{DueRun, Plan, Progress};

use super::nodes;
use crate::conformance::store::scene::{Scene, settlement};

/// Often enough that the two meet in every order.
const ROUNDS: u32 = 120;

/// A run that was claimed and is about to wait, with a message by e-mail.
async fn begun(scene: &Scene) -> DueRun {
    let event = scene.event();
    let mut run = scene.run(&event, "42");
    run.status = RunStatus::Waiting;
    run.wake_at = Some(scene.now());
    let message = scene.message(&run, "email");
    let plan = Plan { runs: vec![run], messages: vec![message], ..Plan::default() };
    scene.accept(&event, plan).await;
    let mut due = scene.store.claim_runs(scene.claim(10)).await.unwrap();
    assert_eq!(due.len(), 1);
    due.remove(0)
}

/// The run stands still for `awaited` from now on.
async fn waits(scene: &Scene, due: DueRun, awaited: Awaited) -> RunId {
    let run = Run {
        status: RunStatus::Waiting,
        position: Some("1".into()),
        wake_at: Some(scene.after(3600)),
        ..due.run
    };
    let wait = Wait { run: run.id, step: "1".into(), item: 0, began_at: scene.now(), awaited };
    let plan = Plan { waits: vec![wait], ..Plan::default() };
    let id = run.id;
    let progress = Progress { id, fence: due.fence, plan, run: Some(run) };
    assert!(scene.store.advanced(vec![progress]).await.unwrap()[0].is_some());
    id
}

fn paid(name: &str) -> Awaited {
    Awaited::Event {
        on: vec![Pattern::parse(name).expect("a name")],
        tenant: String::new(),
        workflow: "order-paid".into(),
        version: "a1b2".into(),
        key: Some("7".into()),
    }
}

/// An event either came before the wait, or its job finds the run: it is never in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_is_before_a_wait_or_falls_due_for_it() {
    let (here, there) = nodes().await;
    for round in 0..ROUNDS {
        let name = format!("bill.paid.{round}");
        let due = begun(&here).await;
        let event = Event { name: name.clone(), ..there.event() };
        // Globs too, and now the wait is ahead, now the event.
        let pattern = if round % 3 == 0 { format!("bill.*.{round}") } else { name };
        let wait = waits(&here, due, paid(&pattern));
        let comes = there.accept(&event, Plan::default());
        if round % 2 == 0 {
            join(wait, comes).await.0
        } else {
            join(comes, wait).await.1
        };
        let found = there.store.waiting_by_key(&event, &"a1b2".into(), "7", 10).await.unwrap();
        let jobs = here.store.claim_events(here.claim(10)).await.unwrap();
        let is_due = jobs.iter().any(|job| job.event.id == event.id);
        assert!(is_due || found.is_empty(), "round {round}: it counts, and nobody looks");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_that_ends_wakes_a_run_that_just_began_to_wait_for_it() {
    let (here, there) = nodes().await;
    for round in 0..ROUNDS {
        let due = begun(&here).await;
        let message = there.claim_message().await;
        let awaited = Awaited::Message {
            step: "0".into(),
            item: Some(0),
            channel: None,
            state: Reached::Ended,
        };
        let wait = waits(&here, due, awaited);
        let settled = settlement(message.message.id, message.fence, MessageStatus::Failed);
        let settles = there.settle(settled);
        let id =
            if round % 2 == 0 { join(wait, settles).await.0 } else { join(settles, wait).await.1 };
        let woken = there.store.claim_runs(there.claim(10)).await.unwrap();
        assert!(woken.iter().any(|due| due.run.id == id), "round {round}: it sleeps");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reading_wakes_a_run_that_just_began_to_wait_for_it() {
    let (here, there) = nodes().await;
    for round in 0..ROUNDS {
        let (event, mut plan) = here.delivery("42", |_| {});
        plan.runs[0].status = RunStatus::Waiting;
        plan.runs[0].wake_at = Some(here.now());
        here.accept(&event, plan).await;
        let due = here.store.claim_runs(here.claim(10)).await.unwrap().remove(0);
        let awaited = Awaited::Message {
            step: "0".into(),
            item: Some(0),
            channel: None,
            state: Reached::Read,
        };
        let (id, now) = (due.run.id, there.now());
        let wait = waits(&here, due, awaited);
        let user = "42".into();
        let reads = there.store.mark(&user, id, Some(now));
        if round % 2 == 0 {
            join(wait, reads).await.1.unwrap();
        } else {
            join(reads, wait).await.0.unwrap();
        }
        let woken = there.store.claim_runs(there.claim(10)).await.unwrap();
        assert!(woken.iter().any(|due| due.run.id == id), "round {round}: it sleeps");
    }
}

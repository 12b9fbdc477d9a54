//! A run that begins to wait on one node, and what it waits for on another, at the same moment.

use std::pin::pin;

use futures_util::future::{Either, join, select};
use nuncio::model::{
    Awaited, Event, Match, MessageStatus, Pattern, Reached, Run, RunId, RunStatus, Wait,
};
use nuncio::store::{DueRun, Plan, Progress};
use sqlx::{Connection, PgConnection};

use super::{nodes, nodes_of};
use crate::conformance::store::scene::{Scene, settlement};
use crate::harness::postgres::Postgres;

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
    waits_and_ends(scene, due, awaited, None).await
}

/// The same in one write with the end of another's wait.
async fn waits_and_ends(
    scene: &Scene,
    due: DueRun,
    awaited: Awaited,
    other: Option<RunId>,
) -> RunId {
    let run = Run {
        status: RunStatus::Waiting,
        position: Some("1".into()),
        wake_at: Some(scene.after(3600)),
        ..due.run.clone()
    };
    let wait = Wait { run: run.id, step: "1".into(), item: 0, began_at: scene.now(), awaited };
    let of = |run| Match { run, step: "1".into(), item: 0, event: due.run.event };
    let matches = other.map(of).into_iter().collect();
    let plan = Plan { waits: vec![wait], matches, ..Plan::default() };
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

/// A wait is written and not yet committed when the event comes: held up by a row that it needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_comes_while_a_wait_is_written_falls_due_for_it() {
    let database = Postgres::shared().await.database().await;
    let (here, there) = nodes_of(&database).await;
    let other = waits(&here, begun(&here).await, paid("bill.sent")).await;
    let due = begun(&here).await;
    let mut server = PgConnection::connect(&database).await.expect("the server takes us");
    let mut holder = PgConnection::connect(&database).await.expect("the server takes us");
    let mut holding = holder.begin().await.unwrap();
    let hold = sqlx::query("SELECT FROM nuncio.wait WHERE run = $1 FOR UPDATE").bind(other.0);
    hold.execute(&mut *holding).await.unwrap();

    let event = Event { name: "bill.paid".into(), ..there.event() };
    let writing = waits_and_ends(&here, due, paid("bill.paid"), Some(other));
    let accepting = async {
        held_up(&mut server, 1).await;
        let mut accepting = pin!(there.accept(&event, Plan::default()));
        // It waits for the other's end. Did it not, it would be over before.
        let waits = pin!(held_up(&mut server, 2));
        if let Either::Right((_, accepting)) = select(&mut accepting, waits).await {
            holding.rollback().await.unwrap();
            accepting.await;
        } else {
            holding.rollback().await.unwrap();
        }
    };
    let (run, ()) = join(writing, accepting).await;
    let found = there.store.waiting_by_key(&event, &"a1b2".into(), "7", 10).await.unwrap();
    assert_eq!(found.iter().map(|found| found.run).collect::<Vec<_>>(), [run]);
    let jobs = here.store.claim_events(here.claim(10)).await.unwrap();
    assert!(jobs.iter().any(|job| job.event.id == event.id), "it counts, and nobody looks");
}

/// Returns once that many transactions of the database wait for another's lock.
async fn held_up(server: &mut PgConnection, count: i64) {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *server).await.unwrap() < count {}
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

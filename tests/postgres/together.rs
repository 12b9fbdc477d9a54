//! What is collected or counted together is so over all nodes.

use std::time::Duration;

use futures_util::future::join_all;
use nuncio::model::{
    Collected, Decision, Join, Occasion, Pass, Passage, Run, RunId, RunStatus, Verdict,
};
use nuncio::store::Plan;

use super::nodes;
use crate::conformance::store::scene::Scene;

fn occasion(run: RunId) -> Occasion {
    Occasion { run, step: "0".into(), item: 0 }
}

/// A run that waits with others for a minute.
async fn join(scene: &Scene) -> Run {
    let event = scene.event();
    let run = scene.run(&event, "42");
    let run = Run { status: RunStatus::Waiting, position: Some("0".into()), ..run };
    let decision = Decision::of_run(&run, scene.now(), Verdict::Wait, "batch", "collects");
    let join = Join {
        occasion: occasion(run.id),
        tenant: String::new(),
        key: String::new(),
        at: scene.now(),
        closes_at: scene.after(60),
        slide: None,
        max_items: None,
        min_items: 0,
        leading: None,
        decision,
    };
    let plan = Plan { runs: vec![run.clone()], joins: vec![join], ..Plan::default() };
    scene.accept(&event, plan).await;
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_of_two_nodes_join_one_collection() {
    let (here, there) = nodes().await;
    let runs = (0..40).map(|turn| join(if turn % 2 == 0 { &here } else { &there }));
    let runs = join_all(runs).await;
    here.clock.set(here.after(60));
    let due = there.store.claim_runs(there.claim(100)).await.unwrap();
    assert_eq!(due.len(), 1, "one leads");
    let leader = occasion(due[0].run.id);
    for scene in [&here, &there] {
        let closed = scene.store.collect(&leader, scene.now(), None).await.unwrap();
        let Collected::Closed { count, items } = closed else { panic!("it is over") };
        assert_eq!((count, items.len()), (runs.len() as u64, runs.len()));
    }
}

/// Runs that join while their collection closes are in it or in the next: none is in none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_joins_at_the_end_is_in_this_collection_or_the_next() {
    let (here, there) = nodes().await;
    for _ in 0..20 {
        let first = join(&here).await;
        here.clock.set(here.after(60));
        let leader = occasion(first.id);
        let closing = here.store.collect(&leader, here.now(), None);
        let joining = join_all((0..4).map(|_| join(&there)));
        let (closed, joined) = futures_util::future::join(closing, joining).await;
        let Collected::Closed { count, .. } = closed.unwrap() else { panic!("it is over") };
        here.clock.set(here.after(120));
        let due = there.store.claim_runs(there.claim(100)).await.unwrap();
        let mut members = count;
        for next in due.iter().filter(|due| due.run.id != first.id) {
            let leader = occasion(next.run.id);
            let closed = here.store.collect(&leader, here.now(), None);
            let Collected::Closed { count, .. } = closed.await.unwrap() else {
                panic!("it is over")
            };
            members += count;
        }
        assert_eq!(members, 1 + joined.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn places_in_a_throttle_are_counted_over_two_nodes() {
    let (here, there) = nodes().await;
    let asked = join_all((0..40).map(|turn| {
        let scene = if turn % 2 == 0 { &here } else { &there };
        let pass = Pass {
            occasion: occasion(scene.clock.id()),
            key: [1; 32],
            limit: 3,
            window: Duration::from_secs(60),
            at: scene.now(),
            ahead: false,
        };
        async move { scene.store.pass(pass).await.unwrap() }
    }));
    assert_eq!(asked.await.iter().filter(|answer| **answer == Passage::Free).count(), 3);
}

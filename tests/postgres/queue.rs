//! Claims, keys and budgets among two nodes.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use nuncio::clock::Clock;
use nuncio::model::{Limits, MessageStatus};
use nuncio::store::{
    Acceptance, Accepted, Departed, Departure, Held, Plan, QueueName, Settlement, Spend,
};

use super::{installation, nodes};
use crate::conformance::store::scene::settlement;
use crate::harness::postgres::Postgres;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claims_of_two_nodes_never_overlap() {
    let (here, there) = nodes().await;
    let rounds = (0..300).map(|_| here.send("42", |_, _| {}));
    join_all(rounds).await;
    let workers = (0..8).map(|place: usize| {
        let node = if place.is_multiple_of(2) { &here } else { &there };
        let (store, claim) = (node.store.clone(), node.claim(7));
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let due = store.claim_messages(claim).await.unwrap();
                if due.is_empty() {
                    return mine;
                }
                mine.extend(due.iter().map(|due| due.message.id));
            }
        })
    });
    let claimed: Vec<_> =
        join_all(workers).await.into_iter().flat_map(|mine| mine.unwrap()).collect();
    let distinct: BTreeSet<_> = claimed.iter().copied().collect();
    assert_eq!((claimed.len(), distinct.len()), (300, 300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_told_to_two_nodes_makes_one_event() {
    let (here, there) = nodes().await;
    for round in 0..10 {
        let calls = (0..16).map(|place: usize| {
            let node = if place.is_multiple_of(2) { &here } else { &there };
            // Each call brings its keys in another order.
            let mut keys: Vec<String> = (0..4).map(|key| format!("{round}-{key}")).collect();
            keys.rotate_left(place % 4);
            let all = keys.into_iter().map(|key| {
                let mut event = node.event();
                event.idempotency_key = Some(key);
                Acceptance { event, body_hash: [1; 32], plan: Plan::default(), emitter: None }
            });
            node.store.accept(all.collect())
        });
        let accepted: Vec<Accepted> =
            join_all(calls).await.into_iter().flat_map(|answers| answers.unwrap()).collect();
        let new = accepted.iter().filter(|each| matches!(each, Accepted::New { .. })).count();
        let known = accepted.iter().filter(|each| matches!(each, Accepted::Duplicate(_))).count();
        assert_eq!((new, known), (4, 60), "in round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_never_spend_more_than_the_budget() {
    let (here, there) = nodes().await;
    let limits = Limits { max_per_hour: Some(5), max_per_day: Some(5) };
    for _ in 0..20 {
        here.send("42", |_, _| {}).await;
    }
    let due = here.claim_messages(20).await;
    let departures = due.iter().enumerate().map(|(place, due)| {
        let node = if place.is_multiple_of(2) { &here } else { &there };
        let spend = Spend { user: "42".into(), limits, binding: true };
        let shape = |departure: &mut Departure| departure.spend = Some(spend);
        node.depart_with(due.message.id, due.fence, shape)
    });
    let answers = join_all(departures).await;
    let left = answers.iter().filter(|answer| **answer == Departed::Left).count();
    let over = answers.iter().filter(|answer| **answer == Departed::OverBudget).count();
    assert_eq!((left, over), (5, 15));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_two_nodes_gather_has_one_leader() {
    let (here, there) = nodes().await;
    for _ in 0..20 {
        here.send("42", |_, _| {}).await;
    }
    let due = here.claim_messages(20).await;
    let later = here.after(3600);
    let settlements = due.iter().enumerate().map(|(place, due)| {
        let node = if place.is_multiple_of(2) { &here } else { &there };
        node.settle(Settlement {
            due_at: Some(later),
            held: Some(Held { gathers: Some("orders".into()) }),
            ..settlement(due.message.id, due.fence, MessageStatus::Pending)
        })
    });
    for settled in join_all(settlements).await {
        assert!(settled.is_some());
    }
    here.clock.set(later);
    let leaders = there.claim_messages(20).await;
    assert_eq!(leaders.len(), 1);
    assert!(leaders[0].leads);
    let gathered = here.store.gathered(leaders[0].message.id).await.unwrap();
    assert_eq!(gathered.len(), 19);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_hears_what_another_tells_and_not_itself() {
    let url = Postgres::shared().await.database().await;
    // Each by a clock of its own: what a manual one draws by chance is its seed's.
    let here = installation(&url, Clock::system()).await;
    let there = installation(&url, Clock::system()).await;
    // The first answer says that it listens from now on.
    let everything = vec![QueueName::Events, QueueName::Runs, QueueName::Messages];
    assert_eq!(here.told().await, everything);
    here.tell(&[QueueName::Events]).await.unwrap();
    there.tell(&[QueueName::Runs, QueueName::Messages]).await.unwrap();
    assert_eq!(here.told().await, vec![QueueName::Runs, QueueName::Messages]);
}

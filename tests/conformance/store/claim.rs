use std::collections::BTreeSet;

use futures_util::future::join_all;
use nuncio::model::{Lane, MessageStatus, Priority, RunStatus};
use nuncio::store::{Backlog, QueueName, Unsent};

use super::scene::Scene;

pub async fn the_highest_priority_goes_first_then_the_earliest(scene: Scene) {
    let (early, late) = (scene.now(), scene.after(30));
    let mut expected = Vec::new();
    for (place, priority, due_at) in [
        (4, Priority::Medium, early),
        (5, Priority::Low, early),
        (3, Priority::High, late),
        (1, Priority::Critical, late),
        (2, Priority::High, early),
        (0, Priority::Critical, early),
    ] {
        let message = scene
            .send("42", |_, message| {
                message.priority = priority;
                message.due_at = due_at;
            })
            .await;
        expected.push((place, message.id));
    }
    expected.sort();
    scene.clock.set(scene.after(60));
    let mut claimed = scene.claim_messages(4).await;
    claimed.extend(scene.claim_messages(4).await);
    let claimed: Vec<_> = claimed.iter().map(|due| due.message.id).collect();
    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    assert_eq!(claimed, expected);
}

pub async fn runs_go_by_priority_too(scene: Scene) {
    for priority in [Priority::Low, Priority::Critical, Priority::Medium, Priority::High] {
        scene
            .send("42", |run, _| {
                run.status = RunStatus::Waiting;
                run.priority = priority;
                run.wake_at = Some(scene.now());
            })
            .await;
    }
    let due = scene.store.claim_runs(scene.claim(10)).await.unwrap();
    let claimed: Vec<_> = due.iter().map(|due| due.run.priority).collect();
    assert_eq!(claimed, Priority::ALL);
}

pub async fn nothing_is_claimed_before_its_moment(scene: Scene) {
    assert_eq!(scene.store.next_due(QueueName::Messages).await.unwrap(), None);
    let message = scene.send("42", |_, message| message.due_at = scene.after(60)).await;
    scene.send("42", |_, message| message.due_at = scene.after(90)).await;
    assert!(scene.claim_messages(10).await.is_empty());
    let next = scene.store.next_due(QueueName::Messages).await.unwrap();
    assert_eq!(next, Some(message.due_at));
    scene.clock.set(message.due_at);
    assert_eq!(scene.claim_message().await.message.id, message.id);
}

pub async fn a_claim_takes_no_more_than_its_limit(scene: Scene) {
    for _ in 0..5 {
        scene.send("42", |_, _| {}).await;
    }
    assert_eq!(scene.claim_messages(0).await.len(), 0);
    assert_eq!(scene.claim_messages(3).await.len(), 3);
    assert_eq!(scene.claim_messages(3).await.len(), 2);
}

pub async fn a_claimed_message_is_nobody_elses(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert_eq!(due.message.status, MessageStatus::Leased);
    assert_eq!(scene.status(message.id).await, MessageStatus::Leased);
    assert!(scene.claim_messages(10).await.is_empty());
    assert_eq!(scene.store.next_due(QueueName::Messages).await.unwrap(), None);
}

pub async fn concurrent_claims_never_overlap(scene: Scene) {
    for _ in 0..200 {
        scene.send("42", |_, _| {}).await;
    }
    let workers = (0..8).map(|_| {
        let (store, claim) = (scene.store.clone(), scene.claim(7));
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
    assert_eq!((claimed.len(), distinct.len()), (200, 200));
}

pub async fn a_claim_brings_the_run_and_the_event(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    let record = scene.store.event(message.event).await.unwrap().unwrap();
    assert_eq!(*due.event, record.event);
    assert_eq!([(*due.run).clone()], record.runs[..]);
    assert!(!due.left_before);
}

pub async fn what_is_given_back_is_due_again_and_not_counted(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    scene.store.unsent(vec![Unsent::Message(message.id, due.fence)]).await.unwrap();
    assert_eq!(scene.status(message.id).await, MessageStatus::Pending);

    let again = scene.claim_message().await;
    assert_eq!(again.message.attempt, 0);
    assert!(!again.left_before);
    // The fence of the first claim says nothing any more.
    scene.store.unsent(vec![Unsent::Message(message.id, due.fence)]).await.unwrap();
    assert_eq!(scene.status(message.id).await, MessageStatus::Leased);
}

pub async fn the_backlog_counts_what_is_due(scene: Scene) {
    let empty = scene.store.backlog(scene.now()).await.unwrap();
    assert_eq!(empty, Backlog::default());
    let oldest = scene.now();
    for wait in [0, 30, 90] {
        scene
            .send("42", |run, message| {
                run.status = RunStatus::Waiting;
                run.wake_at = Some(scene.after(wait));
                message.due_at = scene.after(wait);
            })
            .await;
    }
    let backlog = scene.store.backlog(scene.after(60)).await.unwrap();
    assert_eq!(backlog, Backlog { events: 0, runs: 2, messages: 2, oldest: Some(oldest) });
}

pub async fn a_flood_of_one_tenant_does_not_hold_anothers_message(scene: Scene) {
    let (flood, other) = (Lane::of("acme"), Lane::of("zenith"));
    assert_ne!(flood, other);
    for _ in 0..100 {
        scene.send("42", |_, message| message.lane = flood).await;
    }
    scene.clock.advance(std::time::Duration::from_secs(5));
    let single = scene.send("7", |_, message| message.lane = other).await;
    let mut before = 0;
    loop {
        let claimed = scene.claim_messages(1).await;
        assert_eq!(claimed.len(), 1);
        if claimed[0].message.id == single.id {
            break;
        }
        before += 1;
    }
    assert!(before < usize::from(Lane::COUNT), "{before} of the flood came first");
}

pub async fn what_is_critical_goes_first_in_whatever_lane(scene: Scene) {
    for tenant in ["", "acme", "zenith", "umbrella"] {
        scene.send("42", |_, message| message.lane = Lane::of(tenant)).await;
    }
    let critical = |_: &mut _, message: &mut nuncio::model::Message| {
        message.lane = Lane::of("initech");
        message.priority = Priority::Critical;
    };
    let critical = scene.send("7", critical).await;
    assert_eq!(scene.claim_messages(1).await[0].message.id, critical.id);
    assert_eq!(scene.claim_messages(10).await.len(), 4);
}

pub async fn a_lane_is_remembered(scene: Scene) {
    let lane = Lane::of("acme");
    let message = scene.send("42", |_, message| message.lane = lane).await;
    let due = scene.claim_message().await;
    assert_eq!((due.message.lane, scene.stored(message.id).await.message.lane), (lane, lane));
    scene.store.unsent(vec![Unsent::Message(message.id, due.fence)]).await.unwrap();
    assert_eq!(scene.claim_message().await.message.lane, lane);
}

//! Streams are numbered without gaps whichever node writes.

use futures_util::future::join_all;
use nuncio::model::{Decision, FrameBody, Once, Publication, Stream, UserId, Verdict};
use nuncio::store::{Acceptance, Accepted, Plan, Replay};
use serde_json::json;

use super::nodes;
use crate::conformance::store::scene::{Scene, seqs};

const USERS: [&str; 3] = ["41", "42", "43"];

/// Delivers to all of [`USERS`] in one call, in an order of its own.
async fn deliver(scene: &Scene, turn: usize) -> Vec<(Stream, u64)> {
    let mut users = USERS;
    users.rotate_left(turn % USERS.len());
    let acceptances = users.map(|user| {
        let (event, plan) = scene.delivery(user, |_| {});
        Acceptance { event, body_hash: [1; 32], plan, emitter: None }
    });
    let accepted = scene.store.accept(acceptances.into()).await.unwrap();
    let frames = accepted.into_iter().flat_map(|accepted| match accepted {
        Accepted::New { frames, .. } => frames,
        other => panic!("all are new: {other:?}"),
    });
    frames.map(|frame| (frame.stream, frame.seq)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deliveries_of_two_nodes_leave_no_gap() {
    let (here, there) = nodes().await;
    let turns = (0..60).map(|turn| {
        let scene = if turn % 2 == 0 { &here } else { &there };
        async move {
            let given = deliver(scene, turn).await;
            // What changes an inbox beside it takes the next place too.
            let user = UserId::from(USERS[turn % USERS.len()]);
            let (_, marked) = scene.store.mark_all(&user, None, scene.now()).await.unwrap();
            given.into_iter().chain(marked.into_iter().map(|frame| (frame.stream, frame.seq)))
        }
    });
    let given: Vec<_> = join_all(turns).await.into_iter().flatten().collect();
    for user in USERS {
        let stream = Stream::User(user.into());
        let mut seqs_given: Vec<u64> =
            given.iter().filter(|(of, _)| *of == stream).map(|(_, seq)| *seq).collect();
        seqs_given.sort_unstable();
        let all: Vec<u64> = (1..=seqs_given.len() as u64).collect();
        assert_eq!(seqs_given, all);
        let Replay::Frames(frames) = here.store.replay(&user.into(), 0, 1000).await.unwrap() else {
            panic!("nothing is gone");
        };
        assert_eq!(seqs(&frames), all);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_two_nodes_publish_once_is_published_once() {
    let (here, there) = nodes().await;
    let event = here.event();
    let stream = Stream::Topic("news".into());
    let publication = |scene: &Scene| {
        let run = scene.run(&event, "42");
        Publication {
            stream: stream.clone(),
            body: FrameBody::Published { name: "tick".into(), data: json!({}) },
            decision: Decision::of_run(&run, scene.now(), Verdict::Send, "published", "told"),
            once: Some(Once {
                event: event.id,
                workflow: "order-paid".into(),
                step: "0".into(),
                item: 0,
            }),
        }
    };
    let told = join_all((0..20).map(|turn| {
        let scene = if turn % 2 == 0 { &here } else { &there };
        let plan = Plan { publications: vec![publication(scene)], ..Plan::default() };
        async move { scene.accept(&scene.event(), plan).await }
    }));
    let frames: usize = told
        .await
        .iter()
        .map(|accepted| match accepted {
            Accepted::New { frames, .. } => frames.len(),
            other => panic!("all are new: {other:?}"),
        })
        .sum();
    assert_eq!(frames, 1);
    assert_eq!(there.store.stream_head(&stream).await.unwrap(), 1);
}

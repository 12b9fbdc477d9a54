use futures_util::future::join_all;
use nuncio::model::{Frame, UserId};
use nuncio::store::{Acceptance, Accepted, Replay};

use super::scene::{Scene, kind, seqs};

async fn replay(scene: &Scene, user: &str, seq: u64, limit: usize) -> Option<Vec<Frame>> {
    match scene.store.replay(&UserId::from(user), seq, limit).await.unwrap() {
        Replay::Frames(frames) => Some(frames),
        Replay::Gone => None,
    }
}

pub async fn concurrent_deliveries_leave_no_gap(scene: Scene) {
    let calls = (0..50).map(|_| {
        let (store, (event, plan)) = (scene.store.clone(), scene.delivery("42", |_| {}));
        let acceptance = Acceptance { event, body_hash: [1; 32], plan, emitter: None };
        tokio::spawn(async move { store.accept(vec![acceptance]).await.unwrap().remove(0) })
    });
    let mut given = Vec::new();
    for accepted in join_all(calls).await {
        let Accepted::New { frames, .. } = accepted.unwrap() else { panic!("all are new") };
        given.extend(seqs(&frames));
    }
    given.sort_unstable();
    let expected: Vec<u64> = (1..=50).collect();
    assert_eq!(given, expected);
    assert_eq!(scene.store.head(&UserId::from("42")).await.unwrap(), 50);
    let replayed = replay(&scene, "42", 0, 100).await.unwrap();
    assert_eq!(seqs(&replayed), expected);
}

pub async fn a_replay_is_exactly_what_was_missed(scene: Scene) {
    let user = UserId::from("42");
    assert!(replay(&scene, "42", 0, 10).await.unwrap().is_empty());
    let first = scene.deliver("42", |_| {}).await;
    let (_, marked) = scene.store.mark(&user, first.id, Some(scene.now())).await.unwrap().unwrap();
    scene.deliver("42", |_| {}).await;
    let (_, bulk) = scene.store.mark_all(&user, None, scene.now()).await.unwrap();

    let frames = replay(&scene, "42", 0, 10).await.unwrap();
    assert_eq!(seqs(&frames), [1, 2, 3, 4]);
    let kinds: Vec<_> = frames.iter().map(kind).collect();
    let expected = ["new_notification", "notification_read", "new_notification", "bulk_update"];
    assert_eq!(kinds, expected);
    assert_eq!(*frames[1].body, *marked[0].body);
    assert_eq!(*frames[3].body, *bulk[0].body);
    assert_eq!(seqs(&replay(&scene, "42", 2, 10).await.unwrap()), [3, 4]);
    assert!(replay(&scene, "42", 4, 10).await.unwrap().is_empty());
}

pub async fn a_replay_of_too_much_is_gone(scene: Scene) {
    for _ in 0..3 {
        scene.deliver("42", |_| {}).await;
    }
    assert!(replay(&scene, "42", 0, 2).await.is_none());
    assert_eq!(seqs(&replay(&scene, "42", 1, 2).await.unwrap()), [2, 3]);
}

pub async fn a_replay_from_the_future_is_gone(scene: Scene) {
    scene.deliver("42", |_| {}).await;
    assert!(replay(&scene, "42", 2, 10).await.is_none());
    assert!(replay(&scene, "43", 1, 10).await.is_none());
}

pub async fn a_deleted_entry_leaves_a_gap(scene: Scene) {
    let first = scene.deliver("42", |_| {}).await;
    scene.deliver("42", |_| {}).await;
    scene.store.delete_many(&first.user, &[first.id], scene.now()).await.unwrap();
    assert!(replay(&scene, "42", 0, 10).await.is_none());
    assert_eq!(seqs(&replay(&scene, "42", 1, 10).await.unwrap()), [2, 3]);
    // The place is not given away again.
    assert_eq!(scene.deliver("42", |_| {}).await.seq, 4);
}

pub async fn streams_are_apart(scene: Scene) {
    assert_eq!(scene.deliver("42", |_| {}).await.seq, 1);
    assert_eq!(scene.deliver("43", |_| {}).await.seq, 1);
    assert_eq!(scene.deliver("42", |_| {}).await.seq, 2);
    assert_eq!(scene.store.head(&UserId::from("43")).await.unwrap(), 1);
    assert_eq!(scene.store.head(&UserId::from("44")).await.unwrap(), 0);
}

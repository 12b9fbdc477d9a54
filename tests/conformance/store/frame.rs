use futures_util::future::join_all;
use nuncio::model::{FrameBody, Once, RoomName, Stream};
use nuncio::store::{Plan, Replay};
use serde_json::{Value, json};

use super::scene::{Scene, seqs};

fn body(n: u64) -> FrameBody {
    FrameBody::Published { name: "tick".into(), data: json!({ "n": n }) }
}

async fn publish(scene: &Scene, stream: &Stream, n: u64) -> u64 {
    scene.store.publish(stream, body(n), scene.now()).await.unwrap().seq
}

async fn replay(scene: &Scene, stream: &Stream, seq: u64, limit: usize) -> Option<Vec<u64>> {
    match scene.store.stream_replay(stream, seq, limit).await.unwrap() {
        Replay::Frames(frames) => Some(seqs(&frames)),
        Replay::Gone => None,
    }
}

fn streams() -> [Stream; 3] {
    // One name in three streams.
    [Stream::Topic("a".into()), Stream::Room("a".into()), Stream::User("a".into())]
}

pub async fn published_frames_are_numbered_without_gaps(scene: Scene) {
    for stream in streams() {
        let calls = (0..20).map(|n| {
            let (store, stream, now) = (scene.store.clone(), stream.clone(), scene.now());
            async move { store.publish(&stream, body(n), now).await.unwrap().seq }
        });
        let mut given = join_all(calls).await;
        given.sort_unstable();
        assert_eq!(given, (1..=20).collect::<Vec<_>>());
        assert_eq!(scene.store.stream_head(&stream).await.unwrap(), 20);
        assert_eq!(replay(&scene, &stream, 17, 10).await.unwrap(), [18, 19, 20]);
        assert!(replay(&scene, &stream, 20, 10).await.unwrap().is_empty());
        assert!(replay(&scene, &stream, 21, 10).await.is_none(), "nothing of the future");
        assert!(replay(&scene, &stream, 5, 10).await.is_none(), "too much");
    }
}

pub async fn heads_are_told_of_many_streams_at_once(scene: Scene) {
    let [topic, room, user] = streams();
    scene.deliver("a", |_| {}).await;
    for (stream, count) in [(&topic, 3), (&user, 1)] {
        for n in 0..count {
            publish(&scene, stream, n).await;
        }
    }
    let asked = [user.clone(), Stream::User("user:a".into()), room, topic, user];
    assert_eq!(scene.store.stream_heads(&asked).await.unwrap(), [2, 0, 0, 3, 2]);
    assert_eq!(scene.store.stream_heads(&[]).await.unwrap(), [0; 0]);
}

pub async fn what_is_published_to_a_user_shares_the_stream_of_the_inbox(scene: Scene) {
    let user = Stream::User("42".into());
    scene.deliver("42", |_| {}).await;
    assert_eq!(publish(&scene, &user, 1).await, 2);
    assert_eq!(scene.deliver("42", |_| {}).await.seq, 3);
    assert_eq!(replay(&scene, &user, 0, 10).await.unwrap(), [1, 2, 3]);
}

pub async fn old_frames_go_and_the_numbering_stays(scene: Scene) {
    let topic = Stream::Topic("a".into());
    for n in 1..=1100 {
        publish(&scene, &topic, n).await;
    }
    assert!(replay(&scene, &topic, 0, 2000).await.is_none());
    assert_eq!(replay(&scene, &topic, 100, 2000).await.unwrap().len(), 1000);
    scene.clock.set(scene.after(3601));
    for n in 1101..=1200 {
        assert_eq!(publish(&scene, &topic, n).await, n);
    }
    assert!(replay(&scene, &topic, 1000, 2000).await.is_none(), "an hour is over");
    assert_eq!(replay(&scene, &topic, 1190, 2000).await.unwrap().len(), 10);
}

pub async fn a_publication_is_written_with_its_plan_once(scene: Scene) {
    let event = scene.event();
    let publication = |user: &str| {
        let run = scene.run(&event, user);
        let decision = nuncio::model::Decision::of_run(
            &run,
            scene.now(),
            nuncio::model::Verdict::Send,
            "published",
            "to a topic",
        );
        let once =
            Once { event: event.id, workflow: run.workflow.clone(), step: "0".into(), item: 0 };
        let stream = Stream::Topic("a".into());
        let named = nuncio::model::Publication {
            stream,
            body: body(1),
            decision: decision.clone(),
            once: Some(once),
        };
        let own = nuncio::model::Publication {
            stream: Stream::User(user.into()),
            once: None,
            ..named.clone()
        };
        Plan { runs: vec![run], publications: vec![named, own], ..Plan::default() }
    };
    let mut plan = publication("1");
    let other = publication("2");
    plan.runs.extend(other.runs);
    plan.publications.extend(other.publications);
    let accepted = scene.accept(&event, plan).await;
    let nuncio::store::Accepted::New { frames, .. } = accepted else { panic!("it is new") };
    let streams: Vec<_> = frames.iter().map(|frame| frame.stream.name()).collect();
    assert_eq!(streams, ["topic:a", "user:1", "user:2"]);
    let timeline = scene.store.timeline(event.id.0).await.unwrap().unwrap();
    assert_eq!(timeline.decisions.len(), 3);
    assert_eq!(scene.store.stream_head(&Stream::Topic("a".into())).await.unwrap(), 1);
}

pub async fn the_first_result_is_kept(scene: Scene) {
    let once =
        |item| Once { event: scene.event().id, workflow: "w".into(), step: "0".into(), item };
    let (one, other) = (once(0), once(1));
    assert_eq!(scene.store.kept(&one).await.unwrap(), None);
    assert_eq!(scene.store.keep(&one, json!({"a": 1})).await.unwrap(), json!({"a": 1}));
    assert_eq!(scene.store.keep(&one, json!(2)).await.unwrap(), json!({"a": 1}));
    assert_eq!(scene.store.kept(&one).await.unwrap(), Some(json!({"a": 1})));
    assert_eq!(scene.store.keep(&other, Value::Null).await.unwrap(), Value::Null);
}

pub async fn members_join_and_leave(scene: Scene) {
    let (room, other) = (RoomName::from("a"), RoomName::from("b"));
    let user = "42".into();
    assert!(!scene.store.is_member(&room, &user).await.unwrap());
    assert!(scene.store.join(&room, &user).await.unwrap());
    assert!(!scene.store.join(&room, &user).await.unwrap());
    assert!(scene.store.is_member(&room, &user).await.unwrap());
    assert!(!scene.store.is_member(&other, &user).await.unwrap());
    assert!(scene.store.leave(&room, &user).await.unwrap());
    assert!(!scene.store.leave(&room, &user).await.unwrap());
    assert!(!scene.store.is_member(&room, &user).await.unwrap());
}

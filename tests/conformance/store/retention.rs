use std::time::Duration;

use nuncio::model::{
    AttemptOutcome, Decision, FrameBody, MessageStatus, RoomName, RunStatus, Saying, Stream,
    Verdict,
};
use nuncio::store::{Accepted, Held, Kept, Plan, Replay, Settlement};

use super::scene::{Scene, seqs, settlement};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All that is older than a day, in the order of the floors.
async fn clear(scene: &Scene) -> Vec<(Kept, u64)> {
    let mut gone = Vec::new();
    for of in Kept::ALL {
        let rows = clear_one(scene, of, 1000).await.0;
        if rows > 0 {
            gone.push((of, rows));
        }
    }
    gone
}

/// Rows and slices of a whole pass.
async fn clear_one(scene: &Scene, of: Kept, limit: usize) -> (u64, u64) {
    let before = scene.now() - DAY;
    let (mut rows, mut slices, mut after) = (0, 0, None);
    loop {
        let pruned = scene.store.prune(of, before, after.as_ref(), limit).await.unwrap();
        rows += pruned.rows;
        slices += 1;
        after = pruned.next;
        if after.is_none() {
            return (rows, slices);
        }
    }
}

/// A message that was tried once and ended so.
async fn ended(scene: &Scene, status: MessageStatus) -> nuncio::model::Message {
    let message = scene.send("1", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(due.message.id, due.fence).await);
    let tried = scene.stored(message.id).await.message;
    let attempt = scene.attempt(&tried, AttemptOutcome::Accepted);
    let decision = Decision::of_message(&tried, scene.now(), Verdict::Fail, "test", "why");
    let settled = Settlement {
        attempt: Some(attempt),
        decisions: vec![decision],
        ..settlement(message.id, due.fence, status)
    };
    assert!(scene.settle(settled).await.is_some());
    message
}

/// The newest event stays in any case: this one is newer than what is looked at.
async fn newer(scene: &Scene) {
    scene.accept(&scene.event(), Plan::default()).await;
}

pub async fn what_has_ended_goes_from_the_leaves_to_the_event(scene: Scene) {
    let old = ended(&scene, MessageStatus::Sent).await;
    scene.clock.advance(2 * DAY);
    let young = ended(&scene, MessageStatus::Sent).await;
    let gone = clear(&scene).await;
    let expected = [Kept::Attempts, Kept::Messages, Kept::Decisions, Kept::Runs, Kept::Events]
        .map(|of| (of, 1));
    assert_eq!(gone, expected);
    assert!(scene.store.message(old.id).await.unwrap().is_none());
    assert!(scene.store.event(old.event).await.unwrap().is_none());
    assert_eq!(scene.stored(young.id).await.attempts.len(), 1);
    let told = scene.store.timeline(young.event.0).await.unwrap().expect("it is there");
    assert_eq!((told.runs.len(), told.decisions.len()), (1, 1));
    assert_eq!(clear(&scene).await, []);
}

pub async fn what_is_unfinished_stays_with_all_it_hangs_on(scene: Scene) {
    let waiting = scene.send("1", |_, message| message.due_at = scene.after(10 * 86400)).await;
    let going = scene.event();
    let mut run = scene.run(&going, "2");
    run.status = RunStatus::Waiting;
    run.wake_at = Some(scene.after(10 * 86400));
    let mut sent = scene.message(&run, "email");
    sent.status = MessageStatus::Suppressed;
    let decision = Decision::of_message(&sent, scene.now(), Verdict::Drop, "test", "why");
    let plan = Plan {
        runs: vec![run],
        messages: vec![sent.clone()],
        decisions: vec![decision],
        ..Plan::default()
    };
    scene.accept(&going, plan).await;
    let mut to_come = scene.event();
    to_come.at = scene.after(10 * 86400);
    let more = Some((to_come.at, String::new()));
    scene.accept(&to_come, Plan { more, ..Plan::default() }).await;
    newer(&scene).await;
    scene.clock.advance(5 * DAY);
    newer(&scene).await;

    // But for the first that was only there to be newer.
    assert_eq!(clear(&scene).await, [(Kept::Events, 1)]);

    assert_eq!(scene.status(waiting.id).await, MessageStatus::Pending);
    assert_eq!(scene.status(sent.id).await, MessageStatus::Suppressed);
    for event in [waiting.event, going.id, to_come.id] {
        assert!(scene.store.event(event).await.unwrap().is_some());
    }
    let told = scene.store.timeline(going.id.0).await.unwrap().expect("it is there");
    assert_eq!(told.decisions.len(), 1);
}

pub async fn dead_letters_have_a_time_of_their_own(scene: Scene) {
    let failed = ended(&scene, MessageStatus::Failed).await;
    let unknown = ended(&scene, MessageStatus::Unknown).await;
    scene.clock.advance(2 * DAY);
    newer(&scene).await;
    for of in Kept::ALL.into_iter().filter(|of| *of != Kept::DeadLetters) {
        assert_eq!(clear_one(&scene, of, 1000).await.0, 0, "{of:?}");
    }
    assert_eq!(scene.stored(failed.id).await.attempts.len(), 1);
    assert_eq!(scene.stored(unknown.id).await.attempts.len(), 1);
    let expected =
        [(Kept::DeadLetters, 2), (Kept::Decisions, 2), (Kept::Runs, 2), (Kept::Events, 2)];
    assert_eq!(clear(&scene).await, expected);
    assert!(scene.store.message(failed.id).await.unwrap().is_none());
}

pub async fn a_key_guards_as_long_as_its_event_is_kept(scene: Scene) {
    let mut event = scene.event();
    event.idempotency_key = Some("order-7".into());
    scene.accept(&event, Plan::default()).await;
    scene.clock.advance(DAY - Duration::from_secs(60));
    newer(&scene).await;
    let again = |scene: &Scene| {
        let mut again = scene.event();
        again.idempotency_key = Some("order-7".into());
        again
    };
    assert_eq!(clear(&scene).await, []);
    let answer = scene.accept(&again(&scene), Plan::default()).await;
    assert!(matches!(answer, Accepted::Duplicate(id) if id == event.id));
    scene.clock.advance(Duration::from_secs(120));
    assert_eq!(clear(&scene).await, [(Kept::Events, 1)]);
    let answer = scene.accept(&again(&scene), Plan::default()).await;
    assert!(matches!(answer, Accepted::New { .. }));
}

pub async fn a_stream_goes_on_counting_when_its_entries_are_gone(scene: Scene) {
    let user = "1".into();
    for _ in 0..3 {
        scene.deliver("1", |_| {}).await;
    }
    scene.store.mark_all(&user, None, scene.now()).await.unwrap();
    scene.clock.advance(2 * DAY);
    assert_eq!(clear_one(&scene, Kept::Inbox, 1000).await.0, 3);
    assert_eq!(clear_one(&scene, Kept::Frames, 1000).await.0, 1);
    assert_eq!(scene.store.head(&user).await.unwrap(), 4);
    assert!(matches!(scene.store.replay(&user, 2, 10).await.unwrap(), Replay::Gone));
    let entry = scene.deliver("1", |_| {}).await;
    assert_eq!(entry.seq, 5);
    let Replay::Frames(frames) = scene.store.replay(&user, 4, 10).await.unwrap() else {
        panic!("nothing is missing behind it")
    };
    assert_eq!(seqs(&frames), [5]);
}

pub async fn what_others_wait_to_be_told_of_stays(scene: Scene) {
    let due_at = scene.after(10 * 86400);
    let mut messages = Vec::new();
    for _ in 0..2 {
        let message = scene.send("1", |_, _| {}).await;
        let due = scene.claim_message().await;
        let held = Some(Held { gathers: Some("together".into()) });
        let code = Some("quiet_hours.hold".into());
        let pending = settlement(message.id, due.fence, MessageStatus::Pending);
        scene.settle(Settlement { due_at: Some(due_at), held, code, ..pending }).await;
        messages.push(message.id);
    }
    let (leader, follower) = (messages[0], messages[1]);
    assert_eq!(scene.status(follower).await, MessageStatus::Suppressed);
    scene.clock.advance(5 * DAY);
    newer(&scene).await;
    assert_eq!(clear(&scene).await, []);
    assert_eq!(scene.store.gathered(leader).await.unwrap().len(), 1);
}

pub async fn what_was_said_and_shown_goes_by_its_age(scene: Scene) {
    let room = RoomName::from("blue");
    let say = async |message: &str| {
        let saying = Saying {
            id: scene.clock.id(),
            room: room.clone(),
            user: "1".into(),
            username: "Ann".into(),
            message: message.into(),
            at: scene.now(),
        };
        scene.store.say(&saying, true).await.unwrap();
    };
    let news = Stream::Topic("news".into());
    let body = || FrameBody::Published { name: "n".into(), data: serde_json::json!({}) };
    say("old").await;
    scene.store.publish(&news, body(), scene.now()).await.unwrap();
    scene.clock.advance(2 * DAY);
    say("young").await;
    assert_eq!(clear_one(&scene, Kept::Sayings, 1000).await.0, 1);
    let said = scene.store.history(&room, None, 10).await.unwrap();
    assert_eq!(said.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [2]);
    // The room's may be gone already, with what was said after it.
    assert!(clear_one(&scene, Kept::Streams, 1000).await.0 >= 1);
    assert!(matches!(scene.store.stream_replay(&news, 0, 10).await.unwrap(), Replay::Gone));
    assert_eq!(scene.store.publish(&news, body(), scene.now()).await.unwrap().seq, 2);
}

pub async fn slices_are_bounded_and_lose_nothing(scene: Scene) {
    let mut last = None;
    for _ in 0..25 {
        last = Some(ended(&scene, MessageStatus::Sent).await);
    }
    scene.clock.advance(2 * DAY);
    newer(&scene).await;
    for of in [Kept::Attempts, Kept::Messages, Kept::Decisions, Kept::Runs, Kept::Events] {
        let one = scene.store.prune(of, scene.now() - DAY, None, 10).await.unwrap();
        assert!(one.rows <= 25, "{of:?}");
        let rest = clear_one(&scene, of, 10).await;
        assert_eq!(one.rows + rest.0, 25, "{of:?}");
    }
    let last = last.expect("there were some");
    assert!(scene.store.event(last.event).await.unwrap().is_none());
}

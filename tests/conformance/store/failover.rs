use nuncio::model::{AttemptOutcome, Decision, Message, MessageStatus, Verdict};
use nuncio::store::{Departed, Failover, Settlement, Stop};

use super::scene::{Scene, settlement};

/// What the provider `smtp` came to, as the departure to `backup` brings it.
fn failover(scene: &Scene, message: &Message, number: u32) -> Failover {
    let mut attempt = scene.attempt(message, AttemptOutcome::Retry);
    (attempt.number, attempt.provider) = (number, "smtp".into());
    let decision = Decision::of_message(
        message,
        scene.now(),
        Verdict::Retry,
        "provider.failover",
        "`backup` is asked",
    );
    Failover { attempt, decisions: vec![decision] }
}

async fn to_backup(
    scene: &Scene,
    message: &Message,
    fence: nuncio::model::Fence,
    number: u32,
) -> Departed {
    let failover = failover(scene, message, number);
    let shape = |departure: &mut nuncio::store::Departure| {
        departure.provider = "backup".into();
        departure.failover = Some(Box::new(failover));
    };
    scene.depart_with(message.id, fence, shape).await
}

pub async fn a_departure_to_the_next_provider_journals_the_one_before(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    assert_eq!(to_backup(&scene, &message, due.fence, 1).await, Departed::Left);

    let stored = scene.stored(message.id).await;
    let backup = Some("backup".into());
    assert_eq!((stored.message.status, stored.message.provider), (MessageStatus::Sending, backup));
    assert_eq!((stored.message.attempt, stored.message.forgiven), (2, 1));
    let tried: Vec<_> = stored.attempts.iter().map(|it| (it.number, it.outcome)).collect();
    assert_eq!(tried, [(1, AttemptOutcome::Retry)]);
    let timeline = scene.store.timeline(message.event.0).await.unwrap().unwrap();
    assert_eq!(timeline.decisions[0].code, "provider.failover");

    let mut attempt = scene.attempt(&message, AttemptOutcome::Accepted);
    (attempt.number, attempt.provider) = (2, "backup".into());
    let sent = settlement(message.id, due.fence, MessageStatus::Sent);
    assert!(scene.settle(Settlement { attempt: Some(attempt), ..sent }).await.is_some());
    let stored = scene.stored(message.id).await;
    assert_eq!((stored.message.status, stored.attempts.len()), (MessageStatus::Sent, 2));
}

pub async fn only_the_attempt_that_ended_is_followed_by_another(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert_eq!(to_backup(&scene, &message, due.fence, 1).await, Departed::Withdrawn, "not left");
    assert!(scene.depart(message.id, due.fence).await);
    let other = nuncio::model::Fence(due.fence.0 ^ 1);
    assert_eq!(to_backup(&scene, &message, other, 1).await, Departed::Withdrawn, "another's");
    assert_eq!(to_backup(&scene, &message, due.fence, 1).await, Departed::Left);
    assert_eq!(to_backup(&scene, &message, due.fence, 1).await, Departed::Withdrawn, "told twice");
    let stored = scene.stored(message.id).await;
    assert_eq!((stored.message.attempt, stored.attempts.len()), (2, 1));
}

pub async fn a_stop_keeps_it_from_the_next_provider(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    let stop = Stop {
        tenant: String::new(),
        key: "order 7".into(),
        workflow: None,
        before: scene.clock.id(),
        except: None,
        at: scene.now(),
        reason: "asked".into(),
        rule: None,
    };
    scene.store.stop(stop).await.unwrap();
    assert_eq!(to_backup(&scene, &message, due.fence, 1).await, Departed::Withdrawn);

    let attempt =
        Some(scene.attempt(&Message { attempt: 1, ..message.clone() }, AttemptOutcome::Retry));
    let again = settlement(message.id, due.fence, MessageStatus::Pending);
    scene.settle(Settlement { attempt, due_at: Some(scene.after(60)), ..again }).await;
    assert_eq!(scene.status(message.id).await, MessageStatus::Cancelled);
}

pub async fn a_crash_at_the_next_provider_is_its_unknown(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    assert_eq!(to_backup(&scene, &message, due.fence, 1).await, Departed::Left);
    scene
        .store
        .recover(scene.now(), true, &|_, provider| provider.as_str() == "backup")
        .await
        .unwrap();

    let stored = scene.stored(message.id).await;
    let tried: Vec<_> =
        stored.attempts.iter().map(|it| (it.number, it.provider.as_str(), it.outcome)).collect();
    let (smtp, backup) =
        ((1, "smtp", AttemptOutcome::Retry), (2, "backup", AttemptOutcome::Unknown));
    assert_eq!((stored.message.status, tried), (MessageStatus::Pending, vec![smtp, backup]));
    assert_eq!(stored.message.attempt - stored.message.forgiven, 1, "one of the budget");
}

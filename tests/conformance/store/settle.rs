use futures_util::future::join_all;
use nuncio::model::{
    Attempt, AttemptOutcome, Decision, Message, MessageStatus, ProviderName, Verdict,
};
use nuncio::store::Settlement;

use super::scene::{LEASE, Scene, seqs, settlement};

pub async fn a_departure_counts_the_attempt(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert_eq!(due.message.attempt, 0);
    assert!(scene.depart(message.id, due.fence).await);
    let stored = scene.stored(message.id).await.message;
    assert_eq!((stored.attempt, stored.status), (1, MessageStatus::Sending));
    assert_eq!(stored.provider, Some(ProviderName::from("smtp")));
}

pub async fn a_departure_needs_the_lease(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let old = scene.claim_message().await;
    scene.clock.advance(LEASE);
    scene.store.recover(scene.now(), false, &|_, _| true).await.unwrap();
    assert!(!scene.depart(message.id, old.fence).await, "nobody holds it");
    let new = scene.claim_message().await;
    assert!(!scene.depart(message.id, old.fence).await, "another holds it");
    assert!(scene.depart(message.id, new.fence).await);
    assert_eq!(scene.stored(message.id).await.message.attempt, 1);
}

pub async fn a_message_departs_once(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    assert!(!scene.depart(message.id, due.fence).await);
    assert_eq!(scene.stored(message.id).await.message.attempt, 1);
}

/// A settlement as `dispatch` ends in: with the try, and why.
fn sent(scene: &Scene, message: &Message, due: &nuncio::store::DueMessage) -> Settlement {
    let attempt = Attempt {
        number: 1,
        provider: "smtp".into(),
        detail: Some("250 queued".into()),
        receipt: Some("q-17".into()),
        ..scene.attempt(message, AttemptOutcome::Accepted)
    };
    let decision = Decision {
        at: scene.now(),
        event: message.event,
        workflow: Some(message.workflow.clone()),
        run: Some(message.run),
        message: Some(message.id),
        recipient: message.recipient.clone(),
        step: Some(message.step.clone()),
        channel: Some(message.channel.clone()),
        verdict: Verdict::Send,
        code: "sent".into(),
        reason: "accepted by smtp".into(),
        rule: None,
        until: None,
    };
    Settlement {
        attempt: Some(attempt),
        decisions: vec![decision],
        ..settlement(message.id, due.fence, MessageStatus::Sent)
    }
}

pub async fn a_settled_message_is_written_with_its_attempt_and_decisions(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    let settlement = sent(&scene, &message, &due);
    let (attempt, decisions) = (settlement.attempt.clone(), settlement.decisions.clone());
    assert_eq!(scene.settle(settlement).await.as_deref().map(seqs), Some(vec![]));

    let record = scene.stored(message.id).await;
    assert_eq!(record.message.status, MessageStatus::Sent);
    assert_eq!(record.message.receipt.as_deref(), Some("q-17"));
    assert_eq!(record.attempts, attempt.into_iter().collect::<Vec<_>>());
    let timeline = scene.store.timeline(message.id.0).await.unwrap().unwrap();
    assert_eq!(timeline.attempts, record.attempts);
    assert_eq!(timeline.decisions, decisions);
    scene.store.recover(scene.after(9999), true, &|_, _| true).await.unwrap();
    assert_eq!(scene.status(message.id).await, MessageStatus::Sent);
}

pub async fn a_message_put_off_waits_for_its_moment(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    let held = Settlement {
        due_at: Some(scene.after(600)),
        code: None,
        ..settlement(message.id, due.fence, MessageStatus::Pending)
    };
    assert!(scene.settle(held).await.is_some());
    assert!(scene.claim_messages(10).await.is_empty());
    scene.clock.set(scene.after(600));
    let again = scene.claim_message().await;
    assert_eq!((again.message.attempt, again.left_before), (0, false));
}

pub async fn an_old_fence_settles_nothing(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let old = scene.claim_message().await;
    scene.store.recover(scene.now(), true, &|_, _| true).await.unwrap();
    let late = sent(&scene, &message, &old);
    assert!(scene.settle(late.clone()).await.is_none(), "nobody holds it");
    let new = scene.claim_message().await;
    assert!(scene.settle(late).await.is_none(), "another holds it");
    let record = scene.stored(message.id).await;
    assert_eq!(record.message.status, MessageStatus::Leased);
    assert!(record.attempts.is_empty());
    let timeline = scene.store.timeline(message.event.0).await.unwrap().unwrap();
    assert!(timeline.decisions.is_empty());
    assert!(scene.settle(sent(&scene, &message, &new)).await.is_some());
}

pub async fn a_message_is_settled_once(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    let settlement = sent(&scene, &message, &due);
    assert!(scene.settle(settlement.clone()).await.is_some());
    assert!(scene.settle(settlement).await.is_none());
}

pub async fn concurrent_settlements_of_a_message_count_once(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    let calls = (0..8).map(|_| {
        let (store, settlement) = (scene.store.clone(), sent(&scene, &message, &due));
        tokio::spawn(async move { store.settle(vec![settlement]).await.unwrap()[0].is_some() })
    });
    let counted = join_all(calls).await.into_iter().filter(|call| *call.as_ref().unwrap()).count();
    assert_eq!(counted, 1);
    assert_eq!(scene.stored(message.id).await.attempts.len(), 1);
}

pub async fn a_delivery_gets_its_place_in_the_stream(scene: Scene) {
    let mut settlements = Vec::new();
    for place in 0..3 {
        scene.send("42", |_, message| message.channel = "in_app".into()).await;
        let due = scene.claim_message().await;
        let message = Message { attempt: 1, ..due.message.clone() };
        settlements.push(Settlement {
            attempt: Some(scene.attempt(&message, AttemptOutcome::Accepted)),
            entry: Some(scene.entry(&due.run, &format!("Paid {place}"))),
            ..settlement(message.id, due.fence, MessageStatus::Sent)
        });
    }
    let settled = scene.store.settle(settlements.clone()).await.unwrap();
    let frames: Vec<_> = settled.into_iter().flat_map(|frames| frames.unwrap()).collect();
    assert_eq!(seqs(&frames), [1, 2, 3]);
    for (settlement, seq) in settlements.iter().zip(1..) {
        let id = settlement.entry.as_ref().map(|entry| entry.id).unwrap();
        assert_eq!(scene.store.entry(id).await.unwrap().unwrap().seq, seq);
        assert_eq!(scene.stored(settlement.message).await.attempts.len(), 1);
    }
}

pub async fn a_retried_message_has_left_before(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    let attempt = Attempt {
        outcome: AttemptOutcome::Retry,
        receipt: None,
        ..sent(&scene, &message, &due).attempt.unwrap()
    };
    let retry = Settlement {
        due_at: Some(scene.after(60)),
        attempt: Some(attempt),
        ..settlement(message.id, due.fence, MessageStatus::Pending)
    };
    assert!(scene.settle(retry).await.is_some());
    scene.clock.set(scene.after(60));
    let again = scene.claim_message().await;
    assert_eq!((again.message.attempt, again.left_before), (1, true));
    assert!(scene.depart(message.id, again.fence).await);
    assert_eq!(scene.stored(message.id).await.message.attempt, 2);
}

pub async fn what_is_with_a_provider_is_settled_by_its_attempt(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    for status in [MessageStatus::Pending, MessageStatus::Suppressed, MessageStatus::Failed] {
        assert!(scene.settle(settlement(message.id, due.fence, status)).await.is_none());
        assert_eq!(scene.status(message.id).await, MessageStatus::Sending);
    }
    let attempt = Message { attempt: 1, ..message.clone() };
    let attempt = Some(scene.attempt(&attempt, AttemptOutcome::Retry));
    let again = settlement(message.id, due.fence, MessageStatus::Pending);
    assert!(scene.settle(Settlement { attempt, ..again }).await.is_some());
    assert_eq!(scene.status(message.id).await, MessageStatus::Pending);
}

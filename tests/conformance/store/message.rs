use nuncio::model::{MessageId, MessageStatus, Verdict};
use nuncio::store::{MessageQuery, Settlement};

use super::scene::{Scene, settlement};

async fn ids(scene: &Scene, query: MessageQuery) -> Vec<MessageId> {
    let found = scene.store.messages(&query).await.unwrap();
    found.iter().map(|record| record.message.id).collect()
}

fn all() -> MessageQuery {
    MessageQuery { limit: 100, ..MessageQuery::default() }
}

pub async fn messages_are_listed_newest_first_in_pages(scene: Scene) {
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(scene.send("42", |_, _| {}).await.id);
    }
    sent.reverse();
    assert_eq!(ids(&scene, all()).await, sent);
    let first = ids(&scene, MessageQuery { limit: 2, ..all() }).await;
    assert_eq!(first, sent[..2]);
    let after = Some(first[1]);
    assert_eq!(ids(&scene, MessageQuery { after, limit: 2, ..all() }).await, sent[2..4]);
    let after = Some(sent[4]);
    assert!(ids(&scene, MessageQuery { after, ..all() }).await.is_empty());
}

pub async fn messages_are_found_by_their_fields(scene: Scene) {
    let plain = scene.send("42", |_, _| {}).await.id;
    scene.clock.set(scene.after(60));
    let other = scene
        .send("43", |run, message| {
            run.workflow = "parcel-sent".into();
            message.workflow = "parcel-sent".into();
            message.channel = "webhook".into();
            message.status = MessageStatus::Failed;
        })
        .await
        .id;
    for query in [
        MessageQuery { user: Some("43".into()), ..all() },
        MessageQuery { workflow: Some("parcel-sent".into()), ..all() },
        MessageQuery { channel: Some("webhook".into()), ..all() },
        MessageQuery { status: Some(MessageStatus::Failed), ..all() },
        MessageQuery { since: Some(scene.now()), ..all() },
    ] {
        assert_eq!(ids(&scene, query.clone()).await, [other], "{query:?}");
    }
    let both =
        MessageQuery { user: Some("42".into()), status: Some(MessageStatus::Failed), ..all() };
    assert!(ids(&scene, both).await.is_empty());
    assert_eq!(ids(&scene, all()).await, [other, plain]);
    assert!(scene.store.message(scene.clock.id()).await.unwrap().is_none());
}

/// Sends one message through an attempt to `status`.
async fn tried(scene: &Scene, status: MessageStatus) -> MessageId {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    let code = Some("attempts.exhausted".to_owned());
    let done = Settlement { code, ..settlement(message.id, due.fence, status) };
    assert!(scene.settle(scene.tried(&due.message, done)).await.is_some());
    message.id
}

pub async fn a_dead_letter_is_retried_with_a_new_budget(scene: Scene) {
    for status in [MessageStatus::Failed, MessageStatus::Unknown, MessageStatus::Expired] {
        let id = tried(&scene, status).await;
        let code = scene.stored(id).await.message.code;
        assert_eq!(code.as_deref(), Some("attempts.exhausted"));
        scene.clock.set(scene.after(60));
        assert_eq!(scene.store.retry(id, scene.now()).await.unwrap(), Some(status));
        let message = scene.stored(id).await.message;
        assert_eq!((message.status, message.due_at), (MessageStatus::Pending, scene.now()));
        assert_eq!((message.attempt, message.forgiven), (1, 1));
        assert_eq!(message.code, None);

        let due = scene.claim_message().await;
        assert!(scene.depart(id, due.fence).await);
        assert_eq!(scene.stored(id).await.message.attempt, 2);
        let done = settlement(id, due.fence, MessageStatus::Sent);
        assert!(scene.settle(done).await.is_some());
    }
}

pub async fn an_expired_message_may_leave_when_asked(scene: Scene) {
    let message = scene.send("42", |_, message| message.expires_at = Some(scene.after(60))).await;
    let due = scene.claim_message().await;
    scene.settle(settlement(message.id, due.fence, MessageStatus::Expired)).await;
    scene.clock.set(scene.after(120));
    scene.store.retry(message.id, scene.now()).await.unwrap();
    assert_eq!(scene.claim_message().await.message.expires_at, None);
}

pub async fn only_dead_letters_are_retried(scene: Scene) {
    assert_eq!(scene.store.retry(scene.clock.id(), scene.now()).await.unwrap(), None);
    let sent = tried(&scene, MessageStatus::Sent).await;
    let waiting = scene.send("42", |_, message| message.due_at = scene.after(60)).await;
    for (id, status) in [(sent, MessageStatus::Sent), (waiting.id, MessageStatus::Pending)] {
        let before = scene.stored(id).await.message;
        assert_eq!(scene.store.retry(id, scene.now()).await.unwrap(), Some(status));
        assert_eq!(scene.stored(id).await.message, before);
    }
}

pub async fn a_waiting_message_is_cancelled(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let before = scene.store.cancel(message.id, scene.now()).await.unwrap();
    assert_eq!(before, Some(MessageStatus::Pending));
    assert_eq!(scene.status(message.id).await, MessageStatus::Cancelled);
    assert!(scene.claim_messages(10).await.is_empty());

    let timeline = scene.store.timeline(message.id.0).await.unwrap().unwrap();
    let written: Vec<_> =
        timeline.decisions.iter().map(|made| (made.verdict, &*made.code)).collect();
    assert_eq!(written, [(Verdict::Cancel, "cancelled")]);
    assert_eq!(scene.store.cancel(scene.clock.id(), scene.now()).await.unwrap(), None);
}

pub async fn a_leased_message_is_cancelled_under_its_worker(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    let before = scene.store.cancel(message.id, scene.now()).await.unwrap();
    assert_eq!(before, Some(MessageStatus::Leased));
    assert!(!scene.depart(message.id, due.fence).await);
    let late = settlement(message.id, due.fence, MessageStatus::Sent);
    assert!(scene.settle(late).await.is_none());
    assert_eq!(scene.status(message.id).await, MessageStatus::Cancelled);
}

pub async fn what_has_left_is_not_cancelled(scene: Scene) {
    let sent = tried(&scene, MessageStatus::Sent).await;
    let leaving = scene.send("42", |_, _| {}).await.id;
    let due = scene.claim_message().await;
    assert!(scene.depart(leaving, due.fence).await);
    for (id, status) in [(sent, MessageStatus::Sent), (leaving, MessageStatus::Sending)] {
        assert_eq!(scene.store.cancel(id, scene.now()).await.unwrap(), Some(status));
        assert_eq!(scene.status(id).await, status);
    }
    let done = settlement(leaving, due.fence, MessageStatus::Sent);
    assert!(scene.settle(done).await.is_some());
}

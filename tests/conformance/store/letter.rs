use nuncio::model::{MessageId, MessageStatus, Verdict};
use nuncio::store::{MessageQuery, Redrive};

use super::scene::{Scene, settlement};

fn dead() -> MessageQuery {
    MessageQuery { dead: true, limit: 100, ..MessageQuery::default() }
}

async fn letters(scene: &Scene, query: MessageQuery) -> Vec<MessageId> {
    scene.store.letters(&query).await.unwrap()
}

fn by_hand(scene: &Scene) -> Redrive {
    Redrive { at: scene.now(), reason: "redriven by key desk".into() }
}

/// A message that ended so after one attempt.
async fn ended(scene: &Scene, status: MessageStatus) -> MessageId {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    let mut done = settlement(message.id, due.fence, status);
    done.code = Some("attempts.exhausted".into());
    scene.settle(done).await.expect("it is ours");
    message.id
}

pub async fn dead_letters_are_those_that_wait_for_a_person(scene: Scene) {
    use MessageStatus::{Expired, Failed, Sent, Suppressed, Unknown};
    let mut ids = Vec::new();
    for status in [Failed, Unknown, Expired, Sent, Suppressed] {
        ids.push(ended(&scene, status).await);
    }
    assert_eq!(letters(&scene, dead()).await, ids[..2], "the oldest comes first");
    let unknown = MessageQuery { status: Some(Unknown), ..dead() };
    assert_eq!(letters(&scene, unknown).await, ids[1..2]);
    let expired = MessageQuery { status: Some(Expired), dead: false, ..dead() };
    assert_eq!(letters(&scene, expired).await, ids[2..3]);
    let listed = scene.store.messages(&dead()).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|record| record.message.id).collect();
    assert_eq!(listed, [ids[1], ids[0]], "a list has the newest first");
    assert_eq!(scene.store.count_messages(&dead()).await.unwrap(), 2);
}

pub async fn dead_letters_are_found_by_their_fields(scene: Scene) {
    let early = ended(&scene, MessageStatus::Failed).await;
    scene.clock.set(scene.after(60));
    let late = scene
        .send("43", |_, message| {
            message.status = MessageStatus::Failed;
            message.provider = Some("backup".into());
            message.code = Some("provider.rejected".into());
            message.expires_at = Some(scene.after(60));
        })
        .await
        .id;
    for query in [
        MessageQuery { user: Some("43".into()), ..dead() },
        MessageQuery { provider: Some("backup".into()), ..dead() },
        MessageQuery { code: Some("provider.rejected".into()), ..dead() },
        MessageQuery { since: Some(scene.now()), ..dead() },
        MessageQuery { after: Some(early), ..dead() },
    ] {
        assert_eq!(letters(&scene, query.clone()).await, [late], "{query:?}");
    }
    for query in [
        MessageQuery { provider: Some("smtp".into()), ..dead() },
        MessageQuery { until: Some(scene.now()), ..dead() },
        MessageQuery { in_time_at: Some(scene.after(60)), ..dead() },
        MessageQuery { limit: 1, ..dead() },
    ] {
        assert_eq!(letters(&scene, query.clone()).await, [early], "{query:?}");
    }
}

pub async fn redriven_letters_fall_due_with_a_new_budget(scene: Scene) {
    let mut ids = Vec::new();
    for status in [MessageStatus::Failed, MessageStatus::Unknown, MessageStatus::Expired] {
        ids.push(ended(&scene, status).await);
    }
    let sent = ended(&scene, MessageStatus::Sent).await;
    scene.clock.set(scene.after(60));
    let mut asked = ids.clone();
    asked.extend([sent, scene.clock.id()]);
    assert_eq!(scene.store.redrive(asked.clone(), &by_hand(&scene)).await.unwrap(), 3);
    assert_eq!(scene.store.redrive(asked, &by_hand(&scene)).await.unwrap(), 0, "not twice");
    assert_eq!(scene.status(sent).await, MessageStatus::Sent);
    for &id in &ids {
        let message = scene.stored(id).await.message;
        assert_eq!((message.status, message.due_at), (MessageStatus::Pending, scene.now()));
        assert_eq!((message.attempt, message.forgiven, message.code), (1, 1, None));
        let timeline = scene.store.timeline(id.0).await.unwrap().unwrap();
        let decision = timeline.decisions.last().expect("it is on record");
        let told = (decision.verdict, &*decision.code, decision.reason.as_str());
        assert_eq!(told, (Verdict::Retry, "redriven", "redriven by key desk"));
    }
    assert_eq!(scene.claim_messages(10).await.len(), 3);
}

pub async fn a_redriven_letter_keeps_an_end_that_lies_ahead(scene: Scene) {
    let ends = [Some(scene.after(600)), Some(scene.after(30))];
    let mut ids = Vec::new();
    for end in ends {
        let message = scene.send("42", |_, message| {
            message.status = MessageStatus::Failed;
            message.expires_at = end;
        });
        ids.push(message.await.id);
    }
    scene.clock.set(scene.after(60));
    assert_eq!(scene.store.redrive(ids.clone(), &by_hand(&scene)).await.unwrap(), 2);
    assert_eq!(scene.stored(ids[0]).await.message.expires_at, ends[0]);
    assert_eq!(scene.stored(ids[1]).await.message.expires_at, None);
}

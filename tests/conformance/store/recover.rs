use nuncio::model::{AttemptOutcome, ChannelName, Message, MessageStatus, ProviderName, RunStatus};
use nuncio::store::{Departure, Plan, QueueName, Recovered, Unsent};

use super::scene::{LEASE, Scene, settlement};

async fn recover(scene: &Scene, everything: bool) -> Recovered {
    scene.store.recover(scene.now(), everything, &|_, _| false).await.unwrap()
}

pub async fn a_lease_holds_until_its_end(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    scene.clock.advance(LEASE - std::time::Duration::from_millis(1));
    assert_eq!(recover(&scene, false).await, Recovered::default());
    assert_eq!(scene.status(message.id).await, MessageStatus::Leased);
    scene.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(recover(&scene, false).await, Recovered { released: 1, unknown: 0 });

    let again = scene.claim_message().await;
    assert_eq!((again.message.id, again.message.attempt), (message.id, 0));
    assert_ne!(again.fence, due.fence);
}

pub async fn a_renewed_lease_holds_longer(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    let until = scene.clock.after(2 * LEASE);
    scene.store.renew(QueueName::Messages, &[due.fence], until).await.unwrap();
    scene.clock.advance(LEASE);
    assert_eq!(recover(&scene, false).await, Recovered::default());
    let done = settlement(message.id, due.fence, MessageStatus::Suppressed);
    assert!(scene.settle(done).await.is_some());
}

pub async fn everything_ends_all_leases(scene: Scene) {
    scene.send("42", |_, _| {}).await;
    scene.claim_message().await;
    assert_eq!(recover(&scene, true).await, Recovered { released: 1, unknown: 0 });
    scene.claim_message().await;
}

pub async fn what_was_being_sent_is_unknown(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    let due = scene.claim_message().await;
    let departed = scene.now();
    assert!(scene.depart(message.id, due.fence).await);
    scene.clock.advance(LEASE);
    assert_eq!(recover(&scene, false).await, Recovered { released: 0, unknown: 1 });

    let record = scene.stored(message.id).await;
    assert_eq!(record.message.status, MessageStatus::Unknown);
    assert_eq!(record.attempts.len(), 1);
    let attempt = &record.attempts[0];
    assert_eq!((attempt.number, attempt.outcome), (1, AttemptOutcome::Unknown));
    assert_eq!(attempt.code.as_deref(), Some("crash"));
    assert_eq!((attempt.started_at, attempt.finished_at), (departed, scene.now()));
    assert_eq!(attempt.provider, ProviderName::from("smtp"));
    assert!(scene.claim_messages(10).await.is_empty());
    // Its worker comes back too late.
    let late = settlement(message.id, due.fence, MessageStatus::Sent);
    assert!(scene.settle(late).await.is_none());
}

pub async fn an_unknown_message_may_be_sent_again(scene: Scene) {
    let mail = scene.send("42", |_, _| {}).await;
    let text = scene.send("42", |_, message| message.channel = "sms".into()).await;
    for due in scene.claim_messages(10).await {
        assert!(scene.depart(due.message.id, due.fence).await);
    }
    scene.clock.advance(LEASE);
    let by_mail = |channel: &ChannelName, provider: &ProviderName| {
        channel.as_str() == "email" && provider.as_str() == "smtp"
    };
    let recovered = scene.store.recover(scene.now(), true, &by_mail).await.unwrap();
    assert_eq!(recovered, Recovered { released: 0, unknown: 2 });
    assert_eq!(scene.status(text.id).await, MessageStatus::Unknown);

    let again = scene.claim_message().await;
    assert_eq!((again.message.id, again.message.attempt), (mail.id, 1));
    assert!(again.left_before);
    assert!(scene.depart(mail.id, again.fence).await);
    assert_eq!(scene.stored(mail.id).await.message.attempt, 2);
}

pub async fn events_and_runs_are_due_again(scene: Scene) {
    let event = scene.event();
    let more = Some((scene.now(), "page 1".to_owned()));
    scene.accept(&event, Plan { more, ..Plan::default() }).await;
    let message = scene
        .send("42", |run, message| {
            run.status = RunStatus::Waiting;
            run.wake_at = Some(scene.now());
            message.due_at = scene.after(9999);
        })
        .await;
    assert_eq!(scene.store.claim_events(scene.claim(10)).await.unwrap().len(), 1);
    assert_eq!(scene.store.claim_runs(scene.claim(10)).await.unwrap().len(), 1);
    scene.clock.advance(LEASE);
    assert_eq!(recover(&scene, false).await, Recovered { released: 2, unknown: 0 });

    let events = scene.store.claim_events(scene.claim(10)).await.unwrap();
    assert_eq!((events[0].event.id, events[0].cursor.as_deref()), (event.id, Some("page 1")));
    assert_eq!(scene.store.claim_runs(scene.claim(10)).await.unwrap()[0].run.id, message.run);
}

pub async fn claims_of_messages_are_counted(scene: Scene) {
    let message = scene.send("42", |_, _| {}).await;
    // A claim that died with its worker counts, before and after its departure; one that was given
    // back does not.
    for (expected, leaves) in [(1, false), (2, true), (3, true), (4, false), (4, false)] {
        let due = scene.claim_message().await;
        assert_eq!((due.message.id, due.claims), (message.id, expected));
        if expected == 4 {
            let unsent = vec![Unsent::Message(message.id, due.fence)];
            scene.store.unsent(unsent).await.unwrap();
            continue;
        }
        assert_eq!(leaves, leaves && scene.depart(message.id, due.fence).await);
        scene.store.recover(scene.now(), true, &|_, _| true).await.unwrap();
    }
    let due = scene.claim_message().await;
    let later = settlement(message.id, due.fence, MessageStatus::Pending);
    assert!(scene.settle(later).await.is_some());
    assert_eq!(scene.claim_message().await.claims, 1, "it got somewhere");
}

/// It may be what they die of: it takes none of the others along again and again.
pub async fn what_loses_its_workers_stays_back(scene: Scene) {
    let suspects = [scene.send("42", |_, _| {}).await, scene.send("43", |_, _| {}).await];
    for _ in 0..3 {
        assert_eq!(scene.claim_messages(10).await.len(), 2);
        recover(&scene, true).await;
    }
    assert_eq!(scene.claim_messages(10).await.len(), 2, "three losses may be anything's");
    recover(&scene, true).await;
    assert!(scene.claim_messages(10).await.is_empty());
    let back = |losses: u64, suspect: &Message| {
        let apart = u64::from(suspect.id.0.as_bytes()[15] & 0xf) * 60;
        std::time::Duration::from_millis((losses * losses * 100).min(10_000) + apart)
    };
    for suspect in &suspects {
        let back = back(4, suspect);
        assert_eq!(scene.stored(suspect.id).await.message.due_at, scene.clock.after(back));
    }
    for losses in 5..=12_u64 {
        scene.clock.advance(std::time::Duration::from_secs(11));
        assert_eq!(scene.claim_messages(10).await.len(), 2);
        recover(&scene, true).await;
        for suspect in &suspects {
            let back = back(losses, suspect);
            assert_eq!(scene.stored(suspect.id).await.message.due_at, scene.clock.after(back));
        }
    }
}

pub async fn what_departs_meanwhile_is_not_given_up(scene: Scene) {
    let mail = scene.send("42", |_, _| {}).await;
    let text = scene.send("42", |_, message| message.channel = "sms".into()).await;
    let fence = scene.claim_messages(10).await[0].fence;
    assert!(scene.depart(mail.id, fence).await);
    scene.clock.advance(LEASE);
    // Its lease has ended; nobody has taken it yet, and it leaves while that is looked at.
    let (departed, ended) = std::sync::mpsc::channel();
    let (store, runtime, at) =
        (scene.store.clone(), tokio::runtime::Handle::current(), scene.now());
    let ended = std::sync::Mutex::new(ended);
    let meanwhile = move |_: &ChannelName, _: &ProviderName| {
        let (store, departed) = (store.clone(), departed.clone());
        let departure = Departure {
            message: text.id,
            fence,
            provider: "smsc".into(),
            at,
            spend: None,
            once: None,
            failover: None,
        };
        runtime.spawn(async move {
            let _ = departed.send(store.depart(vec![departure]).await.is_ok());
        });
        // A store that looks and writes at once lets it leave only after that.
        let _ = ended.lock().unwrap().recv_timeout(std::time::Duration::from_millis(500));
        true
    };
    scene.store.recover(scene.now(), false, &meanwhile).await.unwrap();
    assert_eq!(scene.status(mail.id).await, MessageStatus::Pending);
    scene.store.recover(scene.now(), false, &|_, _| true).await.unwrap();
    assert_eq!(scene.status(text.id).await, MessageStatus::Pending);
}

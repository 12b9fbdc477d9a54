use nuncio::model::{
    Limits, MessageStatus, Preferences, QuietHours, RunStatus, Switch, TopicName, User, UserId,
};
use nuncio::store::{Erased, MessageQuery, QueueName};
use serde_json::json;

use super::scene::{Scene, settlement};

pub(super) fn user(scene: &Scene, id: &str) -> User {
    User {
        id: id.into(),
        username: Some("ada".into()),
        email: Some("ada@example.com".into()),
        phone: None,
        first_name: Some("Ada".into()),
        last_name: Some("Lovelace".into()),
        locale: Some("en-GB".into()),
        time_zone: Some("Europe/London".into()),
        role: Some("admin".into()),
        data: json!({"plan": "gold", "seats": [1, 2]}).as_object().cloned().unwrap_or_default(),
        created_at: scene.now(),
        updated_at: scene.now(),
    }
}

fn choices() -> Preferences {
    let off = [("email".into(), false)].into();
    Preferences {
        notification_types: [("order".into(), off)].into(),
        quiet_hours: Some(QuietHours {
            enabled: true,
            start_time: "22:00".parse().expect("a time"),
            end_time: "06:30".parse().expect("a time"),
            timezone: Some("Africa/Tunis".into()),
        }),
        frequency_limits: Some(Limits { max_per_hour: Some(3), max_per_day: None }),
        workflows: [("order-paid".into(), Switch::All(false))].into(),
        topics: [("news".into(), Switch::ByChannel([("sms".into(), true)].into()))].into(),
    }
}

pub async fn a_user_is_created_then_replaced(scene: Scene) {
    let first = user(&scene, "42");
    let other = user(&scene, "43");
    let created = scene.store.put_users(vec![first.clone(), other]).await.unwrap();
    assert_eq!(created, [true, true]);
    assert_eq!(scene.store.user(&first.id).await.unwrap(), Some(first.clone()));

    scene.clock.set(scene.after(60));
    let second = User { email: None, ..user(&scene, "42") };
    assert_eq!(scene.store.put_users(vec![second.clone()]).await.unwrap(), [false]);
    let stored = scene.store.user(&first.id).await.unwrap().unwrap();
    assert_eq!(stored, User { created_at: first.created_at, ..second });
    assert_eq!(scene.store.user(&"44".into()).await.unwrap(), None);
}

pub async fn people_are_the_known_ones_with_what_they_chose(scene: Scene) {
    let (ada, bob) = (user(&scene, "42"), user(&scene, "43"));
    scene.store.put_users(vec![ada.clone(), bob.clone()]).await.unwrap();
    scene.store.put_preferences(&ada.id, choices()).await.unwrap();
    for topic in ["news", "offers"] {
        scene.store.subscribe(&topic.into(), &ada.id).await.unwrap();
    }
    let ids = [ada.id.clone(), "44".into(), bob.id.clone()];
    let mut people = scene.store.people(&ids).await.unwrap();
    people.sort_by(|a, b| a.user.id.cmp(&b.user.id));
    assert_eq!(people.len(), 2);
    assert_eq!((&people[0].user, &people[0].preferences), (&ada, &choices()));
    let mut topics = people[0].topics.clone();
    topics.sort();
    assert_eq!(topics, ["news", "offers"].map(TopicName::from));
    assert_eq!((&people[1].user, &people[1].preferences), (&bob, &Preferences::default()));
    assert!(people[1].topics.is_empty());
}

pub async fn a_change_is_seen_at_once(scene: Scene) {
    let ada = user(&scene, "42");
    let ids = [ada.id.clone()];
    scene.store.put_users(vec![ada.clone()]).await.unwrap();
    assert_eq!(scene.store.people(&ids).await.unwrap()[0].user, ada);

    let news = TopicName::from("news");
    scene.store.put_preferences(&ada.id, choices()).await.unwrap();
    assert_eq!(scene.store.people(&ids).await.unwrap()[0].preferences, choices());
    scene.store.subscribe(&news, &ada.id).await.unwrap();
    assert_eq!(scene.store.people(&ids).await.unwrap()[0].topics, std::slice::from_ref(&news));
    scene.store.unsubscribe(&news, &ada.id).await.unwrap();
    assert!(scene.store.people(&ids).await.unwrap()[0].topics.is_empty());
    let renamed = User { first_name: Some("Augusta".into()), ..ada.clone() };
    scene.store.put_users(vec![renamed.clone()]).await.unwrap();
    assert_eq!(scene.store.people(&ids).await.unwrap()[0].user, renamed);
    scene.store.erase_user(&ada.id).await.unwrap();
    assert!(scene.store.people(&ids).await.unwrap().is_empty());
}

pub async fn preferences_may_come_before_the_user(scene: Scene) {
    let id = UserId::from("42");
    assert_eq!(scene.store.preferences(&id).await.unwrap(), Preferences::default());
    scene.store.put_preferences(&id, choices()).await.unwrap();
    assert_eq!(scene.store.preferences(&id).await.unwrap(), choices());
    assert!(scene.store.people(std::slice::from_ref(&id)).await.unwrap().is_empty());
    scene.store.put_users(vec![user(&scene, "42")]).await.unwrap();
    assert_eq!(scene.store.people(&[id]).await.unwrap()[0].preferences, choices());
}

pub async fn subscribers_come_in_pages(scene: Scene) {
    let news = TopicName::from("news");
    for id in ["b", "10", "9", "a"] {
        assert!(scene.store.subscribe(&news, &id.into()).await.unwrap());
        assert!(!scene.store.subscribe(&news, &id.into()).await.unwrap());
    }
    scene.store.subscribe(&"other".into(), &"z".into()).await.unwrap();
    let first = scene.store.subscribers(&news, None, 3).await.unwrap();
    assert_eq!(first, ["10", "9", "a"].map(UserId::from));
    let rest = scene.store.subscribers(&news, Some(&first[2]), 3).await.unwrap();
    assert_eq!(rest, [UserId::from("b")]);

    assert!(scene.store.unsubscribe(&news, &"b".into()).await.unwrap());
    assert!(!scene.store.unsubscribe(&news, &"b".into()).await.unwrap());
    assert_eq!(scene.store.subscribers(&news, None, 9).await.unwrap().len(), 3);
    assert!(scene.store.subscribers(&"none".into(), None, 9).await.unwrap().is_empty());
}

pub async fn an_erased_person_is_gone_and_the_counts_stay(scene: Scene) {
    let (id, news) = (UserId::from("42"), TopicName::from("news"));
    scene.store.put_users(vec![user(&scene, "42")]).await.unwrap();
    scene.store.put_preferences(&id, choices()).await.unwrap();
    scene.store.subscribe(&news, &id).await.unwrap();
    scene.store.subscribe(&news, &"43".into()).await.unwrap();
    let entry = scene.deliver("42", |_| {}).await;
    let others = scene.deliver("43", |_| {}).await;

    let erased = scene.store.erase_user(&id).await.unwrap();
    assert_eq!(erased, Some(Erased { entries: 1, messages: 1, subscriptions: 1 }));
    assert_eq!(scene.store.user(&id).await.unwrap(), None);
    assert_eq!(scene.store.preferences(&id).await.unwrap(), Preferences::default());
    assert!(scene.store.entry(entry.id).await.unwrap().is_none());
    assert!(scene.store.entry(others.id).await.unwrap().is_some());
    assert_eq!(scene.store.subscribers(&news, None, 9).await.unwrap(), [UserId::from("43")]);

    let all = MessageQuery { limit: 9, ..MessageQuery::default() };
    assert_eq!(scene.store.messages(&all).await.unwrap().len(), 2);
    let theirs = MessageQuery { user: Some(id), ..all };
    assert!(scene.store.messages(&theirs).await.unwrap().is_empty());
    let timeline = scene.store.timeline(entry.event.0).await.unwrap().unwrap();
    assert_eq!(timeline.event.data, json!({}));
    assert!(timeline.runs.iter().all(|run| run.recipient.is_none()));
}

pub async fn what_was_to_be_sent_to_an_erased_person_is_not(scene: Scene) {
    let id = UserId::from("42");
    scene.store.put_users(vec![user(&scene, "42")]).await.unwrap();
    let leased = scene.send("42", |_, _| {}).await;
    let fence = scene.claim_message().await.fence;
    let waiting = scene
        .send("42", |run, _| {
            run.status = RunStatus::Waiting;
            run.wake_at = Some(scene.now());
        })
        .await;
    scene.store.erase_user(&id).await.unwrap();
    for message in [&leased, &waiting] {
        assert_eq!(scene.status(message.id).await, MessageStatus::Cancelled);
    }
    let late = settlement(leased.id, fence, MessageStatus::Sent);
    assert!(scene.settle(late).await.is_none());
    assert!(scene.claim_messages(10).await.is_empty());
    assert_eq!(scene.store.next_due(QueueName::Runs).await.unwrap(), None);
}

pub async fn erasing_nobody_says_so(scene: Scene) {
    assert_eq!(scene.store.erase_user(&"42".into()).await.unwrap(), None);
    scene.store.put_users(vec![user(&scene, "42")]).await.unwrap();
    let erased = scene.store.erase_user(&"42".into()).await.unwrap();
    assert_eq!(erased, Some(Erased::default()));
    assert_eq!(scene.store.erase_user(&"42".into()).await.unwrap(), None);
}

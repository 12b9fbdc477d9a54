use nuncio::model::{FrameBody, Priority, RunId, UserId};
use nuncio::store::{InboxOrder, InboxQuery};

use super::scene::{Scene, kind, seqs};

fn of(user: &str) -> InboxQuery {
    InboxQuery {
        user: Some(user.into()),
        is_read: None,
        category: None,
        priority: None,
        from: None,
        to: None,
        search: None,
        order: InboxOrder::NewestFirst,
        offset: 0,
        limit: 100,
    }
}

async fn titles(scene: &Scene, query: InboxQuery) -> Vec<String> {
    let page = scene.store.entries(&query).await.unwrap();
    page.entries.into_iter().map(|entry| entry.title).collect()
}

pub async fn entries_are_found_by_their_fields(scene: Scene) {
    let plain = scene.deliver("42", |entry| entry.title = "plain".into()).await;
    scene.clock.set(scene.after(60));
    let later = scene.now();
    let odd = scene
        .deliver("42", |entry| {
            entry.title = "Odd One".into();
            entry.message = "100% of it\\_".into();
            entry.category = "parcel".into();
            entry.priority = Priority::High;
        })
        .await;
    scene.store.mark(&odd.user, odd.id, Some(later)).await.unwrap();
    scene.deliver("43", |entry| entry.title = "another's".into()).await;
    for query in [
        InboxQuery { is_read: Some(true), ..of("42") },
        InboxQuery { category: Some("parcel".into()), ..of("42") },
        InboxQuery { priority: Some(Priority::High), ..of("42") },
        InboxQuery { from: Some(later), ..of("42") },
        InboxQuery { search: Some("oDD o".into()), ..of("42") },
        InboxQuery { search: Some("100%".into()), ..of("42") },
        InboxQuery { search: Some("\\_".into()), ..of("42") },
    ] {
        assert_eq!(titles(&scene, query.clone()).await, ["Odd One"], "{query:?}");
    }
    let until = InboxQuery { to: Some(plain.created_at), ..of("42") };
    assert_eq!(titles(&scene, until).await, ["plain"]);
    let nothing = InboxQuery { search: Some("_aid".into()), ..of("42") };
    assert!(titles(&scene, nothing).await.is_empty());
    let everybody = scene.store.entries(&InboxQuery { user: None, ..of("") }).await.unwrap();
    assert_eq!((everybody.count, everybody.entries.len()), (3, 3));
}

pub async fn entries_come_in_the_order_asked(scene: Scene) {
    let priorities = [Priority::Low, Priority::Critical, Priority::Medium];
    for (title, priority) in ["first", "second", "third"].into_iter().zip(priorities) {
        scene.clock.set(scene.after(60));
        let shape = |entry: &mut nuncio::model::Entry| {
            entry.title = title.into();
            entry.priority = priority;
        };
        scene.deliver("42", shape).await;
    }
    for (order, expected) in [
        (InboxOrder::OldestFirst, ["first", "second", "third"]),
        (InboxOrder::NewestFirst, ["third", "second", "first"]),
        (InboxOrder::LowestFirst, ["first", "third", "second"]),
        (InboxOrder::HighestFirst, ["second", "third", "first"]),
    ] {
        assert_eq!(titles(&scene, InboxQuery { order, ..of("42") }).await, expected);
    }
}

pub async fn entries_come_in_pages_with_their_count(scene: Scene) {
    for place in 0..5 {
        scene.clock.set(scene.after(60));
        scene.deliver("42", |entry| entry.title = place.to_string()).await;
    }
    let order = InboxOrder::OldestFirst;
    let page = InboxQuery { order, offset: 2, limit: 2, ..of("42") };
    let found = scene.store.entries(&page).await.unwrap();
    assert_eq!(found.count, 5);
    assert_eq!(titles(&scene, page).await, ["2", "3"]);
    let past = scene.store.entries(&InboxQuery { offset: 9, ..of("42") }).await.unwrap();
    assert_eq!((past.count, past.entries.len()), (5, 0));
}

pub async fn marking_tells_the_stream_once(scene: Scene) {
    let entry = scene.deliver("42", |_| {}).await;
    let now = Some(scene.after(60));
    let (marked, frames) = scene.store.mark(&entry.user, entry.id, now).await.unwrap().unwrap();
    assert_eq!(marked.read_at, now);
    assert_eq!((seqs(&frames), kind(&frames[0])), (vec![2], "notification_read"));
    let FrameBody::NotificationRead { notification_id, read_at } = &*frames[0].body else {
        panic!("unexpected: {frames:?}");
    };
    assert_eq!((*notification_id, *read_at), (entry.id, now));
    assert_eq!(scene.unread("42").await, 0);

    let later = Some(scene.after(90));
    let (same, frames) = scene.store.mark(&entry.user, entry.id, later).await.unwrap().unwrap();
    assert_eq!((same.read_at, frames.len()), (now, 0));
    let (unread, frames) = scene.store.mark(&entry.user, entry.id, None).await.unwrap().unwrap();
    assert_eq!((unread.read_at, seqs(&frames)), (None, vec![3]));
    assert_eq!(scene.unread("42").await, 1);

    let others = UserId::from("43");
    assert!(scene.store.mark(&others, entry.id, now).await.unwrap().is_none());
    assert!(scene.store.mark(&entry.user, scene.clock.id(), now).await.unwrap().is_none());
    assert_eq!(scene.unread("42").await, 1);
}

pub async fn marking_all_may_be_narrowed(scene: Scene) {
    let user = UserId::from("42");
    for category in ["order", "order", "parcel"] {
        scene.deliver("42", |entry| entry.category = category.into()).await;
    }
    scene.deliver("43", |_| {}).await;
    let order = "order".into();
    let (changed, frames) = scene.store.mark_all(&user, Some(&order), scene.now()).await.unwrap();
    assert_eq!((changed, seqs(&frames)), (2, vec![4]));
    let expected = FrameBody::BulkUpdate {
        action: "mark_all_read".into(),
        affected_count: 2,
        notification_type: Some(order),
    };
    assert_eq!(*frames[0].body, expected);
    let (changed, _) = scene.store.mark_all(&user, None, scene.now()).await.unwrap();
    assert_eq!(changed, 1);
    let (changed, frames) = scene.store.mark_all(&user, None, scene.now()).await.unwrap();
    assert_eq!((changed, frames.len()), (0, 0));
    assert_eq!((scene.unread("42").await, scene.unread("43").await), (0, 1));
}

pub async fn marking_many_names_those_of_others(scene: Scene) {
    let (user, mine) = (UserId::from("42"), scene.deliver("42", |_| {}).await.id);
    let also_mine = scene.deliver("42", |_| {}).await.id;
    let theirs = scene.deliver("43", |_| {}).await.id;
    let missing: RunId = scene.clock.id();
    let ids = [mine, theirs, mine, missing, also_mine];
    let (changed, others, frames) = scene.store.mark_many(&user, &ids, scene.now()).await.unwrap();
    assert_eq!((changed, others), (2, vec![theirs, missing]));
    assert_eq!((seqs(&frames), kind(&frames[0])), (vec![3], "bulk_update"));
    assert_eq!((scene.unread("42").await, scene.unread("43").await), (0, 1));
}

pub async fn deleting_many_names_those_of_others(scene: Scene) {
    let (user, mine) = (UserId::from("42"), scene.deliver("42", |_| {}).await.id);
    let kept = scene.deliver("42", |_| {}).await.id;
    let theirs = scene.deliver("43", |_| {}).await.id;
    let ids = [mine, theirs, mine];
    let (deleted, others, frames) =
        scene.store.delete_many(&user, &ids, scene.now()).await.unwrap();
    assert_eq!((deleted, others), (1, vec![theirs]));
    let expected = FrameBody::BulkUpdate {
        action: "bulk_delete".into(),
        affected_count: 1,
        notification_type: None,
    };
    assert_eq!((seqs(&frames), &*frames[0].body), (vec![3], &expected));

    assert!(scene.store.entry(mine).await.unwrap().is_none());
    assert!(scene.store.entry(kept).await.unwrap().is_some());
    assert!(scene.store.entry(theirs).await.unwrap().is_some());
    assert!(scene.store.mark(&user, mine, None).await.unwrap().is_none());
    assert_eq!(scene.store.entries(&of("42")).await.unwrap().count, 1);
    let (deleted, others, frames) =
        scene.store.delete_many(&user, &[mine], scene.now()).await.unwrap();
    assert_eq!((deleted, others, frames.len()), (0, vec![mine], 0));
}

pub async fn the_deliveries_of_an_entry_are_those_of_its_run(scene: Scene) {
    let (event, mut plan) = scene.delivery("42", |_| {});
    let run = plan.runs[0].clone();
    plan.messages.push(scene.message(&run, "email"));
    scene.accept(&event, plan).await;
    scene.deliver("42", |_| {}).await;
    let found = scene.store.deliveries(run.id).await.unwrap();
    let mut channels: Vec<_> = found
        .iter()
        .map(|(message, attempts)| (message.channel.as_str(), attempts.len()))
        .collect();
    channels.sort_unstable();
    assert_eq!(channels, [("email", 0), ("in_app", 1)]);
    assert!(scene.store.deliveries(scene.clock.id()).await.unwrap().is_empty());
}

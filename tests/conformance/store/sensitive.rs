use nuncio::model::{Entry, Event, Run, RunStatus, UserId};
use nuncio::store::{Accepted, InboxOrder, InboxQuery, Plan, Progress, Replay};
use serde_json::json;

use super::scene::{Scene, settlement};

/// An event with a run that waits and a message that is due, all sensitive.
fn planned(scene: &Scene) -> (Event, Run, Plan) {
    let event = Event { sensitive: true, ..scene.event() };
    let run = Run {
        sensitive: true,
        status: RunStatus::Waiting,
        wake_at: Some(scene.now()),
        position: Some("1".into()),
        ..scene.run(&event, "42")
    };
    let messages = vec![scene.message(&run, "email")];
    let plan = Plan { runs: vec![run.clone()], messages, ..Plan::default() };
    (event, run, plan)
}

pub async fn a_sensitive_event_and_its_runs_are_read_as_they_were_written(scene: Scene) {
    let (event, run, plan) = planned(&scene);
    assert!(matches!(scene.accept(&event, plan).await, Accepted::New { .. }));
    let stored = scene.store.event(event.id).await.unwrap().expect("it is there");
    assert_eq!((&stored.event, &stored.runs), (&event, &vec![run.clone()]));
    let timeline = scene.store.timeline(run.id.0).await.unwrap().expect("it is there");
    assert_eq!((&timeline.event, &timeline.runs), (&event, &vec![run.clone()]));

    let due = scene.claim_message().await;
    assert_eq!((&*due.event, &*due.run), (&event, &run));
    let mut due = scene.store.claim_runs(scene.claim(1)).await.unwrap().remove(0);
    assert_eq!(*due.event, event);
    assert_eq!((&due.run.state, due.run.sensitive), (&run.state, true));
    due.run.state = json!({"vars": {"n": 2}, "steps": {}});
    due.run.status = RunStatus::Finished;
    let (id, fence, after) = (due.run.id, due.fence, due.run.clone());
    let progress = Progress { id, fence, plan: Plan::default(), run: Some(due.run) };
    assert!(scene.store.advanced(vec![progress]).await.unwrap()[0].is_some());
    let stored = scene.store.event(event.id).await.unwrap().expect("it is there");
    assert_eq!(stored.runs[0].state, after.state);
}

pub async fn a_sensitive_event_to_come_keeps_its_data(scene: Scene) {
    let event = Event { sensitive: true, ..scene.event() };
    let plan = Plan { more: Some((scene.now(), "here".into())), ..Plan::default() };
    scene.accept(&event, plan).await;
    let due = scene.store.claim_events(scene.claim(1)).await.unwrap().remove(0);
    assert_eq!((due.event, due.cursor.as_deref()), (event, Some("here")));
}

pub async fn a_sensitive_contact_has_one_run(scene: Scene) {
    let event = Event { sensitive: true, ..scene.event() };
    let contact = |email: &str| Run {
        sensitive: true,
        recipient: None,
        contact: Some(json!({"email": email})),
        ..scene.run(&event, "")
    };
    let first = contact("ada@example.com");
    let runs = vec![first.clone(), contact("ada@example.com"), contact("bob@example.com")];
    scene.accept(&event, Plan { runs, ..Plan::default() }).await;
    let runs = scene.store.event(event.id).await.unwrap().expect("it is there").runs;
    let contacts: Vec<_> = runs.iter().map(|run| run.contact.clone().unwrap()).collect();
    assert_eq!(
        contacts,
        [json!({"email": "ada@example.com"}), json!({"email": "bob@example.com"})]
    );
    assert_eq!(runs[0], first);
}

fn secret(entry: &mut Entry) {
    entry.title = "Your results".into();
    entry.message = "They are fine.".into();
    entry.sensitive = true;
}

pub async fn a_sensitive_entry_is_read_and_told_as_it_was_written(scene: Scene) {
    let (event, plan) = scene.delivery("42", secret);
    let entry = Entry { seq: 1, ..plan.delivered[0].0.clone() };
    let Accepted::New { frames, .. } = scene.accept(&event, plan).await else {
        panic!("the event is new");
    };
    assert_eq!(scene.store.entry(entry.id).await.unwrap(), Some(entry.clone()));
    let (marked, _) =
        scene.store.mark(&entry.user, entry.id, None).await.unwrap().expect("it is theirs");
    assert_eq!(marked, entry);
    let Replay::Frames(replayed) = scene.store.replay(&entry.user, 0, 9).await.unwrap() else {
        panic!("nothing is gone");
    };
    let expected = nuncio::model::FrameBody::from(&entry);
    assert_eq!((&*frames[0].body, &*replayed[0].body), (&expected, &expected));
}

pub async fn a_sensitive_entry_may_be_settled(scene: Scene) {
    let message = scene.send("42", |run, message| {
        run.sensitive = true;
        message.channel = "in_app".into();
    });
    let message = message.await;
    let due = scene.claim_message().await;
    let mut entry = scene.entry(&due.run, "");
    secret(&mut entry);
    let mut settled = settlement(message.id, due.fence, nuncio::model::MessageStatus::Sent);
    settled.entry = Some(entry.clone());
    let frames = scene.settle(settled).await.expect("the lease is ours");
    let entry = Entry { seq: 1, ..entry };
    assert_eq!(*frames[0].body, nuncio::model::FrameBody::from(&entry));
    assert_eq!(scene.store.entry(entry.id).await.unwrap(), Some(entry));
}

pub async fn a_search_finds_a_sensitive_entry_by_its_public_title_alone(scene: Scene) {
    scene.deliver("42", secret).await;
    let public = scene
        .deliver("42", |entry| {
            secret(entry);
            entry.public_title = Some("A letter from us".into());
        })
        .await;
    let found = async |search: &str| {
        let query = InboxQuery {
            user: Some(UserId::from("42")),
            is_read: None,
            category: None,
            priority: None,
            from: None,
            to: None,
            search: Some(search.into()),
            order: InboxOrder::NewestFirst,
            offset: 0,
            limit: 9,
        };
        let page = scene.store.entries(&query).await.unwrap();
        assert_eq!(page.count, page.entries.len() as u64);
        page.entries
    };
    assert_eq!(found("LETTER").await, [public]);
    for hidden in ["results", "fine", "orders", "sealed", "a"] {
        let known = usize::from("a letter from us".contains(hidden));
        assert_eq!(found(hidden).await.len(), known, "{hidden}");
    }
}

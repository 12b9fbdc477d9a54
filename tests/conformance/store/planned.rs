use nuncio::model::{
    Decision, Event, EventId, EventStatus, Fence, MessageStatus, RunId, RunStatus, Verdict,
};
use nuncio::store::{Accepted, DueEvent, DueRun, Plan, Progress, QueueName, Unsent};
use serde_json::json;

use super::scene::{Scene, seqs};

async fn waiting_event(scene: &Scene, plan: Plan) -> Event {
    let event = scene.event();
    let more = Some((scene.after(60), "page 1".to_owned()));
    let accepted = scene.accept(&event, Plan { more, ..plan }).await;
    assert!(matches!(accepted, Accepted::New { .. }));
    event
}

async fn claim_event(scene: &Scene) -> DueEvent {
    let mut due = scene.store.claim_events(scene.claim(10)).await.unwrap();
    assert_eq!(due.len(), 1, "one event is due");
    due.remove(0)
}

async fn claim_run(scene: &Scene) -> DueRun {
    let mut due = scene.store.claim_runs(scene.claim(10)).await.unwrap();
    assert_eq!(due.len(), 1, "one run is due");
    due.remove(0)
}

fn progress<Id>(id: Id, fence: Fence, plan: Plan) -> Progress<Id> {
    Progress { id, fence, plan, run: None }
}

async fn plan(scene: &Scene, id: EventId, fence: Fence, plan: Plan) -> Option<Vec<u64>> {
    let planned = scene.store.planned(vec![progress(id, fence, plan)]).await.unwrap();
    planned[0].as_deref().map(seqs)
}

pub async fn an_event_to_come_waits_for_its_moment(scene: Scene) {
    let event = waiting_event(&scene, Plan::default()).await;
    let record = scene.store.event(event.id).await.unwrap().unwrap();
    assert_eq!(record.status, EventStatus::Waiting);
    assert!(scene.store.claim_events(scene.claim(10)).await.unwrap().is_empty());
    let next = scene.store.next_due(QueueName::Events).await.unwrap();
    assert_eq!(next, Some(scene.after(60)));

    scene.clock.set(scene.after(60));
    let due = claim_event(&scene).await;
    assert_eq!((due.event, due.cursor.as_deref(), due.attempt), (event, Some("page 1"), 1));
    assert!(scene.store.claim_events(scene.claim(10)).await.unwrap().is_empty());
    assert_eq!(scene.store.next_due(QueueName::Events).await.unwrap(), None);
}

pub async fn an_event_is_planned_page_by_page(scene: Scene) {
    let event = waiting_event(&scene, Plan::default()).await;
    scene.clock.set(scene.after(60));
    let due = claim_event(&scene).await;
    let page = Plan {
        runs: vec![scene.run(&event, "1")],
        more: Some((scene.now(), "page 2".into())),
        ..Plan::default()
    };
    assert_eq!(plan(&scene, event.id, due.fence, page).await, Some(vec![]));

    let due = claim_event(&scene).await;
    assert_eq!(due.cursor.as_deref(), Some("page 2"));
    let page = Plan { runs: vec![scene.run(&event, "2")], ..Plan::default() };
    assert_eq!(plan(&scene, event.id, due.fence, page).await, Some(vec![]));
    let record = scene.store.event(event.id).await.unwrap().unwrap();
    assert_eq!((record.runs.len(), record.status), (2, EventStatus::Planned));
    assert!(scene.store.claim_events(scene.claim(10)).await.unwrap().is_empty());
}

pub async fn a_run_planned_twice_is_left_out_with_all_it_brings(scene: Scene) {
    let (_, first) = scene.delivery("42", |_| {});
    let event = waiting_event(&scene, Plan::default()).await;
    let adopt = |mut plan: Plan| {
        plan.runs[0].event = event.id;
        plan.messages[0].event = event.id;
        plan.delivered[0].0.event = event.id;
        plan.decisions.push(Decision {
            at: scene.now(),
            event: event.id,
            workflow: None,
            run: Some(plan.runs[0].id),
            message: Some(plan.messages[0].id),
            recipient: None,
            step: None,
            channel: None,
            verdict: Verdict::Send,
            code: "sent".into(),
            reason: "delivered".into(),
            rule: None,
            until: None,
        });
        plan
    };
    scene.clock.set(scene.after(60));
    let due = claim_event(&scene).await;
    let more = Some((scene.now(), "page 2".to_owned()));
    let page = Plan { more, ..adopt(first) };
    assert_eq!(plan(&scene, event.id, due.fence, page).await, Some(vec![1]));

    let (_, again) = scene.delivery("42", |_| {});
    let due = claim_event(&scene).await;
    assert_eq!(plan(&scene, event.id, due.fence, adopt(again)).await, Some(vec![]));
    let timeline = scene.store.timeline(event.id.0).await.unwrap().unwrap();
    assert_eq!((timeline.runs.len(), timeline.messages.len()), (1, 1));
    assert_eq!((timeline.attempts.len(), timeline.decisions.len()), (1, 1));
    assert_eq!(scene.unread("42").await, 1);
}

pub async fn a_message_planned_twice_is_left_out(scene: Scene) {
    let event = scene.event();
    let run = scene.run(&event, "42");
    let first = scene.message(&run, "email");
    let again = scene.message(&run, "email");
    let mut item = scene.message(&run, "email");
    item.item = 1;
    let channel = scene.message(&run, "webhook");
    let messages = vec![first.clone(), again, item.clone(), channel.clone()];
    scene.accept(&event, Plan { runs: vec![run], messages, ..Plan::default() }).await;
    let timeline = scene.store.timeline(event.id.0).await.unwrap().unwrap();
    let mut kept: Vec<_> = timeline.messages.iter().map(|message| message.id).collect();
    kept.sort();
    assert_eq!(kept, [first.id, item.id, channel.id]);
}

pub async fn an_old_fence_plans_nothing(scene: Scene) {
    let event = waiting_event(&scene, Plan::default()).await;
    scene.clock.set(scene.after(60));
    let old = claim_event(&scene).await;
    scene.store.recover(scene.now(), true, &|_, _| true).await.unwrap();
    let new = claim_event(&scene).await;
    assert_ne!(old.fence, new.fence);

    let page = || Plan { runs: vec![scene.run(&event, "1")], ..Plan::default() };
    assert_eq!(plan(&scene, event.id, old.fence, page()).await, None);
    let record = scene.store.event(event.id).await.unwrap().unwrap();
    assert_eq!((record.runs.len(), record.status), (0, EventStatus::Waiting));
    assert_eq!(plan(&scene, event.id, new.fence, page()).await, Some(vec![]));
    assert_eq!(plan(&scene, event.id, new.fence, page()).await, None);
}

async fn waiting_run(scene: &Scene) -> RunId {
    let message = scene
        .send("42", |run, message| {
            run.status = RunStatus::Waiting;
            run.position = Some("1".into());
            run.wake_at = Some(scene.now());
            message.status = MessageStatus::Sent;
        })
        .await;
    message.run
}

pub async fn a_run_goes_on_where_it_was_left(scene: Scene) {
    let id = waiting_run(&scene).await;
    let due = claim_run(&scene).await;
    assert_eq!((due.run.id, due.run.status, due.attempt), (id, RunStatus::Running, 1));
    assert_eq!(due.run.position.as_ref().map(|step| step.as_str()), Some("1"));
    assert_eq!(due.event.id, due.run.event);

    let mut run = due.run.clone();
    run.status = RunStatus::Waiting;
    run.position = Some("2".into());
    run.wake_at = Some(scene.after(60));
    run.state = json!({"vars": {"n": 2}});
    let mut message = scene.message(&run, "email");
    message.step = "1".into();
    let plan = Plan { messages: vec![message], ..Plan::default() };
    let step = Progress { run: Some(run.clone()), ..progress(id, due.fence, plan) };
    assert!(scene.store.advanced(vec![step]).await.unwrap()[0].is_some());
    assert_eq!(scene.store.event(run.event).await.unwrap().unwrap().runs, [run.clone()]);
    assert_eq!(scene.claim_messages(10).await.len(), 1);

    assert!(scene.store.claim_runs(scene.claim(10)).await.unwrap().is_empty());
    assert_eq!(scene.store.next_due(QueueName::Runs).await.unwrap(), Some(scene.after(60)));
    scene.clock.set(scene.after(60));
    let due = claim_run(&scene).await;
    let finished = nuncio::model::Run {
        status: RunStatus::Finished,
        position: None,
        wake_at: None,
        ..due.run.clone()
    };
    let step = Progress { run: Some(finished), ..progress(id, due.fence, Plan::default()) };
    assert!(scene.store.advanced(vec![step]).await.unwrap()[0].is_some());
    assert_eq!(scene.store.next_due(QueueName::Runs).await.unwrap(), None);
}

pub async fn a_run_claimed_by_another_does_not_advance(scene: Scene) {
    let id = waiting_run(&scene).await;
    let old = claim_run(&scene).await;
    scene.store.recover(scene.now(), true, &|_, _| true).await.unwrap();
    let new = claim_run(&scene).await;
    let finish = |due: &DueRun| {
        let run = nuncio::model::Run { status: RunStatus::Finished, ..due.run.clone() };
        Progress { run: Some(run), ..progress(id, due.fence, Plan::default()) }
    };
    let advanced = scene.store.advanced(vec![finish(&old), finish(&new)]).await.unwrap();
    assert!(advanced[0].is_none() && advanced[1].is_some());
}

pub async fn claims_of_events_and_runs_are_counted(scene: Scene) {
    waiting_event(&scene, Plan::default()).await;
    waiting_run(&scene).await;
    scene.clock.set(scene.after(60));
    // A claim that died with its worker counts; one that was given back does not.
    for expected in [1, 2, 3, 3] {
        let (event, run) = (claim_event(&scene).await, claim_run(&scene).await);
        assert_eq!((event.attempt, run.attempt), (expected, expected));
        if expected == 3 {
            let unsent = vec![
                Unsent::Event(event.event.id, event.fence),
                Unsent::Run(run.run.id, run.fence),
            ];
            scene.store.unsent(unsent).await.unwrap();
        } else {
            scene.store.recover(scene.now(), true, &|_, _| true).await.unwrap();
        }
    }
}

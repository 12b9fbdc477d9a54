use nuncio::model::{MessageStatus, RunStatus};
use nuncio::store::{CalendarQuery, Due, Plan, Progress, Stop, Stopped, Unplanned};

use super::scene::{Scene, settlement};

fn order(scene: &Scene, key: &str) -> Stop {
    Stop {
        tenant: String::new(),
        workflow: None,
        key: key.into(),
        before: scene.clock.id(),
        except: None,
        at: scene.now(),
        reason: "asked".into(),
        rule: None,
    }
}

async fn stop(scene: &Scene, order: Stop) -> Stopped {
    scene.store.stop(order).await.expect("stops")
}

/// Where a run waits, its worker claimed it, or its message is on the way: what is asked first
/// decides, and the other finds nothing left to do.
pub async fn a_claimed_run_that_is_stopped_writes_nothing(scene: Scene) {
    let event = scene.event();
    let mut run = scene.run(&event, "1");
    run.status = RunStatus::Waiting;
    run.position = Some("1".into());
    run.wake_at = Some(scene.now());
    scene.accept(&event, Plan { runs: vec![run.clone()], ..Plan::default() }).await;
    let due = scene.store.claim_runs(scene.claim(1)).await.unwrap().remove(0);

    let stopped = stop(&scene, order(&scene, "order 7")).await;
    assert_eq!(stopped.runs, [run.id]);
    let plan = Plan { messages: vec![scene.message(&run, "email")], ..Plan::default() };
    let progress = Progress { id: run.id, fence: due.fence, plan, run: Some(due.run) };
    assert!(scene.store.advanced(vec![progress]).await.unwrap()[0].is_none());
    let record = scene.store.event(event.id).await.unwrap().unwrap();
    assert_eq!(record.runs[0].status, RunStatus::Cancelled);
    let timeline = scene.store.timeline(event.id.0).await.unwrap().unwrap();
    assert!(timeline.messages.is_empty());
    let codes: Vec<_> = timeline.decisions.iter().map(|each| each.code.as_ref()).collect();
    assert_eq!(codes, ["cancelled"]);
}

pub async fn a_leased_message_that_is_stopped_does_not_leave(scene: Scene) {
    let message = scene.send("1", |_, _| {}).await;
    let due = scene.claim_message().await;
    let stopped = stop(&scene, order(&scene, "order 7")).await;
    assert_eq!(stopped.messages, [message.id]);
    assert!(!scene.depart(message.id, due.fence).await);
    assert_eq!(scene.status(message.id).await, MessageStatus::Cancelled);
}

pub async fn what_is_leaving_when_stopped_is_not_tried_again(scene: Scene) {
    let message = scene.send("1", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    let stopped = stop(&scene, order(&scene, "order 7")).await;
    assert_eq!((stopped.leaving, stopped.messages), (vec![message.id], vec![]));
    assert_eq!(scene.status(message.id).await, MessageStatus::Sending);

    let mut again = settlement(message.id, due.fence, MessageStatus::Pending);
    again.due_at = Some(scene.after(60));
    scene.settle(scene.tried(&due.message, again)).await.expect("the lease held");
    assert_eq!(scene.status(message.id).await, MessageStatus::Cancelled);
}

pub async fn what_left_before_it_was_stopped_is_sent(scene: Scene) {
    let message = scene.send("1", |_, _| {}).await;
    let due = scene.claim_message().await;
    assert!(scene.depart(message.id, due.fence).await);
    stop(&scene, order(&scene, "order 7")).await;
    scene.settle(settlement(message.id, due.fence, MessageStatus::Sent)).await.expect("held");
    assert_eq!(scene.status(message.id).await, MessageStatus::Sent);
}

pub async fn a_stop_means_its_key_tenant_and_workflow(scene: Scene) {
    let mine = scene.send("1", |_, _| {}).await;
    let orders = [
        order(&scene, "order 8"),
        Stop { tenant: "north".into(), ..order(&scene, "order 7") },
        Stop { workflow: Some("another".into()), ..order(&scene, "order 7") },
        Stop { except: Some(mine.run), ..order(&scene, "order 7") },
        Stop { before: mine.event, ..order(&scene, "order 7") },
    ];
    for order in orders {
        assert_eq!(stop(&scene, order).await, Stopped::default());
    }
    assert_eq!(scene.status(mine.id).await, MessageStatus::Pending);
}

pub async fn recipients_still_to_be_told_are_not(scene: Scene) {
    let event = scene.event();
    let unplanned =
        Unplanned { event: event.id, workflow: "order-paid".into(), key: "order 7".into() };
    let plan = Plan {
        more: Some((scene.now(), "page 1".into())),
        unplanned: vec![unplanned],
        ..Plan::default()
    };
    scene.accept(&event, plan).await;
    let due = scene.store.claim_events(scene.claim(1)).await.unwrap().remove(0);
    assert!(due.stopped.is_empty());
    let stopped = stop(&scene, order(&scene, "order 7")).await;
    assert_eq!(stopped.unplanned, [(event.id, "order-paid".into())]);

    // A page that was made before the stop, and is written after it.
    let page = Plan {
        runs: vec![scene.run(&event, "1")],
        more: Some((scene.now(), "page 2".into())),
        ..Plan::default()
    };
    let progress = Progress { id: event.id, fence: due.fence, plan: page, run: None };
    assert!(scene.store.planned(vec![progress]).await.unwrap()[0].is_some());
    assert!(scene.store.event(event.id).await.unwrap().unwrap().runs.is_empty());
    let due = scene.store.claim_events(scene.claim(1)).await.unwrap().remove(0);
    assert_eq!(due.stopped, ["order-paid".into()]);
}

pub async fn the_calendar_shows_what_is_planned(scene: Scene) {
    let later = scene.send("1", |_, message| message.due_at = scene.after(120)).await;
    let event = scene.event();
    let mut run = scene.run(&event, "2");
    run.status = RunStatus::Waiting;
    run.wake_at = Some(scene.after(60));
    scene.accept(&event, Plan { runs: vec![run.clone()], ..Plan::default() }).await;
    let to_come = scene.event();
    let more = Some((scene.after(180), String::new()));
    scene.accept(&to_come, Plan { more, ..Plan::default() }).await;

    let all = CalendarQuery {
        user: None,
        workflow: None,
        from: scene.now(),
        until: scene.after(3600),
        after: None,
        limit: 10,
    };
    let read = async |query: &CalendarQuery| scene.store.calendar(query).await.expect("reads");
    let lines = read(&all).await;
    let ids: Vec<_> = lines.iter().map(nuncio::store::Planned::id).collect();
    assert_eq!(ids, [run.id.0, later.id.0, to_come.id.0]);
    assert!(matches!(&lines[0].due, Due::Run(found) if found.id == run.id));

    let rest = read(&CalendarQuery { after: Some((lines[0].at, ids[0])), ..all.clone() }).await;
    assert_eq!(rest, lines[1..]);
    assert_eq!(read(&CalendarQuery { limit: 1, ..all.clone() }).await, lines[..1]);
    assert_eq!(read(&CalendarQuery { user: Some("1".into()), ..all.clone() }).await, lines[1..2]);
    assert_eq!(read(&CalendarQuery { until: scene.after(120), ..all }).await, lines[..1]);
}

use std::time::Duration;

use nuncio::model::{
    Collected, Decision, EventId, Item, Join, Occasion, Run, RunId, RunStatus, Slide, Verdict,
};
use nuncio::store::{Claim, DueRun, MOST_ITEM_BYTES, Plan, Progress};
use serde_json::json;

use super::scene::Scene;

const STEP: &str = "0";

/// Runs wait together for a minute, as `shape` makes it.
async fn join(scene: &Scene, user: &str, shape: impl FnOnce(&mut Join)) -> Run {
    let event = scene.event();
    let mut run = waiting(scene.run(&event, user));
    run.state = json!({});
    let join = joining(scene, &run, shape);
    let plan = Plan { runs: vec![run.clone()], joins: vec![join], ..Plan::default() };
    scene.accept(&event, plan).await;
    run
}

fn waiting(run: Run) -> Run {
    Run { status: RunStatus::Waiting, position: Some(STEP.into()), ..run }
}

fn joining(scene: &Scene, run: &Run, shape: impl FnOnce(&mut Join)) -> Join {
    let decision = Decision::of_run(run, scene.now(), Verdict::Wait, "batch", "collects");
    let mut join = Join {
        occasion: occasion(run.id),
        tenant: String::new(),
        key: String::new(),
        at: scene.now(),
        closes_at: scene.after(60),
        slide: None,
        max_items: None,
        min_items: 0,
        leading: None,
        decision,
    };
    shape(&mut join);
    join
}

fn occasion(run: RunId) -> Occasion {
    Occasion { run, step: STEP.into(), item: 0 }
}

async fn collect(scene: &Scene, run: &Run) -> Collected {
    let next = Some(scene.after(3600));
    scene.store.collect(&occasion(run.id), scene.now(), next).await.expect("collects")
}

/// The events of a closed collection.
async fn collected(scene: &Scene, run: &Run) -> Vec<EventId> {
    let Collected::Closed { count, items } = collect(scene, run).await else {
        panic!("it is over");
    };
    assert_eq!(count, items.len() as u64);
    let event = |item: Item| match item {
        Item::Event(event) => event.id,
        Item::Collected(earlier) => panic!("it stands for nobody else: {earlier}"),
    };
    items.into_iter().map(event).collect()
}

async fn stored(scene: &Scene, run: &Run) -> Run {
    scene.store.event(run.event).await.unwrap().unwrap().runs.remove(0)
}

async fn claim(scene: &Scene) -> DueRun {
    let mut due = scene.store.claim_runs(scene.claim(10)).await.unwrap();
    assert_eq!(due.len(), 1, "one run is due");
    due.remove(0)
}

async fn nothing_is_due(scene: &Scene) {
    assert!(scene.store.claim_runs(scene.claim(10)).await.unwrap().is_empty());
}

/// The run goes on, as `plan` says, and ends so.
async fn end(scene: &Scene, due: DueRun, status: RunStatus, plan: Plan) {
    let run = Run { status, position: None, wake_at: None, ..due.run };
    let progress = Progress { id: run.id, fence: due.fence, plan, run: Some(run) };
    assert!(scene.store.advanced(vec![progress]).await.unwrap()[0].is_some());
}

/// A waiting run ends where it stands.
async fn leave(scene: &Scene, run: &Run) {
    let leaves = vec![(run.id, scene.now())];
    let event = scene.event();
    scene.accept(&event, Plan { leaves, ..Plan::default() }).await;
}

pub async fn the_first_leads_and_goes_on_for_those_that_follow(scene: Scene) {
    let first = join(&scene, "42", |_| {}).await;
    let end_of_it = scene.after(60);
    assert_eq!(stored(&scene, &first).await.wake_at, Some(end_of_it));
    scene.clock.set(scene.after(30));
    let second = join(&scene, "42", |_| {}).await;
    let other = join(&scene, "43", |_| {}).await;
    assert_eq!(stored(&scene, &second).await.wake_at, None);
    assert_eq!(stored(&scene, &other).await.wake_at, Some(scene.after(60)));
    assert_eq!(
        collect(&scene, &first).await,
        Collected::Open { until: end_of_it, count: 2 },
        "it is not over"
    );

    scene.clock.set(end_of_it);
    let due = claim(&scene).await;
    assert_eq!(due.run.id, first.id);
    assert_eq!(collected(&scene, &first).await, [first.event, second.event]);
    let closes = vec![occasion(first.id)];
    end(&scene, due, RunStatus::Finished, Plan { closes, ..Plan::default() }).await;
    let followed = stored(&scene, &second).await;
    assert_eq!((followed.status, followed.position), (RunStatus::Finished, None));
    assert_eq!(stored(&scene, &other).await.status, RunStatus::Waiting);
}

pub async fn tenants_steps_and_keys_are_apart(scene: Scene) {
    join(&scene, "42", |_| {}).await;
    let tenant = join(&scene, "42", |join| join.tenant = "north".into()).await;
    let key = join(&scene, "42", |join| join.key = "b".into()).await;
    let step = join(&scene, "42", |join| join.occasion.step = "1".into()).await;
    for run in [tenant, key, step] {
        assert_eq!(stored(&scene, &run).await.wake_at, Some(scene.after(60)), "it leads");
    }
}

pub async fn a_run_says_whom_it_waits_with(scene: Scene) {
    let first = join(&scene, "42", |_| {}).await;
    let second = join(&scene, "42", |_| {}).await;
    let decisions = |run: &Run| {
        let (store, event) = (scene.store.clone(), run.event.0);
        async move { store.timeline(event).await.unwrap().unwrap().decisions }
    };
    let leads = decisions(&first).await.remove(0);
    assert_eq!((&*leads.code, leads.until), ("batch", Some(scene.after(60))));
    let follows = decisions(&second).await.remove(0);
    assert_eq!((&*follows.code, follows.until), ("batch.joined", Some(scene.after(60))));
    assert_eq!(follows.reason, format!("goes on with run {}", first.id));
}

pub async fn a_run_joins_once(scene: Scene) {
    let first = join(&scene, "42", |_| {}).await;
    let second = join(&scene, "42", |_| {}).await;
    for run in [&first, &second] {
        let again = joining(&scene, run, |_| {});
        scene.accept(&scene.event(), Plan { joins: vec![again], ..Plan::default() }).await;
    }
    assert_eq!(stored(&scene, &first).await.wake_at, Some(scene.after(60)));
    assert_eq!(stored(&scene, &second).await.wake_at, None);
    scene.clock.set(scene.after(60));
    assert_eq!(collected(&scene, &first).await, [first.event, second.event]);
}

pub async fn nobody_joins_what_is_closed(scene: Scene) {
    let first = join(&scene, "42", |_| {}).await;
    scene.clock.set(scene.after(60));
    let late = join(&scene, "42", |_| {}).await;
    assert_eq!(stored(&scene, &late).await.wake_at, Some(scene.after(60)));
    assert_eq!(collected(&scene, &first).await, [first.event]);
    let later = join(&scene, "42", |_| {}).await;
    assert_eq!(collected(&scene, &first).await, [first.event], "asked again, it is the same");
    scene.clock.set(scene.after(60));
    assert_eq!(collected(&scene, &late).await, [late.event, later.event]);
}

pub async fn concurrent_joins_make_one_collection(scene: Scene) {
    let joins = (0..30).map(|_| join(&scene, "42", |_| {}));
    let runs = futures_util::future::join_all(joins).await;
    scene.clock.set(scene.after(60));
    let leader = claim(&scene).await.run;
    let mut events = collected(&scene, &leader).await;
    assert_eq!(events[0], leader.event);
    events.sort();
    let mut all: Vec<_> = runs.iter().map(|run| run.event).collect();
    all.sort();
    assert_eq!(events, all);
}

pub async fn an_end_that_slides_takes_the_leader_along(scene: Scene) {
    let slide = |seconds| Slide { by: Duration::from_secs(60), most: Duration::from_secs(seconds) };
    let slides = |join: &mut Join| join.slide = Some(slide(100));
    let first = join(&scene, "42", slides).await;
    let latest = scene.after(100);
    scene.clock.set(scene.after(30));
    join(&scene, "42", slides).await;
    assert_eq!(stored(&scene, &first).await.wake_at, Some(scene.after(60)));
    scene.clock.set(scene.after(59));
    join(&scene, "42", slides).await;
    assert_eq!(stored(&scene, &first).await.wake_at, Some(latest));
    nothing_is_due(&scene).await;
    scene.clock.set(latest);
    assert_eq!(claim(&scene).await.run.id, first.id);
}

pub async fn a_full_collection_is_over_at_once(scene: Scene) {
    let two = |join: &mut Join| join.max_items = Some(2);
    let first = join(&scene, "42", two).await;
    let second = join(&scene, "42", two).await;
    assert_eq!(claim(&scene).await.run.id, first.id);
    let third = join(&scene, "42", two).await;
    assert_eq!(collected(&scene, &first).await, [first.event, second.event]);
    assert_eq!(stored(&scene, &third).await.wake_at, Some(scene.after(60)));
}

/// What joins while the leader looks wakes it again, though the leader writes after it.
pub async fn a_leader_that_is_at_work_hears_of_a_full_collection(scene: Scene) {
    let two = |join: &mut Join| join.max_items = Some(2);
    let first = join(&scene, "42", two).await;
    // A worker whose clock is ahead.
    let early = Claim { now: scene.after(60), until: scene.after(120), limit: 1 };
    let due = scene.store.claim_runs(early).await.unwrap().remove(0);
    join(&scene, "42", two).await;
    let again = joining(&scene, &first, two);
    let plan = Plan { joins: vec![again], ..Plan::default() };
    let stays = waiting(Run { wake_at: Some(scene.after(60)), ..due.run });
    let progress = Progress { id: first.id, fence: due.fence, plan, run: Some(stays) };
    scene.store.advanced(vec![progress]).await.unwrap();
    assert_eq!(claim(&scene).await.run.id, first.id);
}

pub async fn too_few_stay_together_for_the_next_moment(scene: Scene) {
    let three = |join: &mut Join| join.min_items = 3;
    let first = join(&scene, "42", three).await;
    let second = join(&scene, "42", three).await;
    scene.clock.set(scene.after(60));
    let next = scene.after(3600);
    let open = Collected::Open { until: next, count: 2 };
    assert_eq!(collect(&scene, &first).await, open);
    assert_eq!(collect(&scene, &first).await, open, "asked again, it is the same");
    let third = join(&scene, "42", three).await;
    assert_eq!(stored(&scene, &third).await.wake_at, None);
    scene.clock.set(next);
    let events = [first.event, second.event, third.event];
    assert_eq!(collected(&scene, &first).await, events);
}

pub async fn a_leading_run_goes_on_at_once_and_alone(scene: Scene) {
    let leading = |join: &mut Join| join.leading = Some(Duration::from_secs(60));
    let first = join(&scene, "42", leading).await;
    let due = claim(&scene).await;
    assert_eq!(due.run.id, first.id);
    assert_eq!(collected(&scene, &first).await, [first.event]);
    let closes = vec![occasion(first.id)];
    end(&scene, due, RunStatus::Finished, Plan { closes, ..Plan::default() }).await;

    scene.clock.set(scene.after(40));
    let second = join(&scene, "42", leading).await;
    let third = join(&scene, "42", leading).await;
    nothing_is_due(&scene).await;
    scene.clock.set(scene.after(20));
    assert_eq!(collected(&scene, &second).await, [second.event, third.event]);
    // A window without anything in it comes between.
    scene.clock.set(scene.after(60));
    scene.store.recover(scene.now(), false, &|_, _| true).await.unwrap();
    join(&scene, "42", leading).await;
    let due = scene.store.claim_runs(scene.claim(10)).await.unwrap();
    assert_eq!(due.len(), 2, "the one that waited, and the new one");
}

pub async fn a_follower_who_leaves_is_not_counted(scene: Scene) {
    let first = join(&scene, "42", |_| {}).await;
    let second = join(&scene, "42", |_| {}).await;
    let third = join(&scene, "42", |_| {}).await;
    leave(&scene, &second).await;
    scene.clock.set(scene.after(60));
    assert_eq!(collected(&scene, &first).await, [first.event, third.event]);
}

pub async fn the_oldest_takes_over_from_a_leader_who_leaves(scene: Scene) {
    let first = join(&scene, "42", |_| {}).await;
    scene.clock.set(scene.after(30));
    let second = join(&scene, "42", |_| {}).await;
    let third = join(&scene, "42", |_| {}).await;
    leave(&scene, &first).await;
    assert_eq!(stored(&scene, &second).await.wake_at, Some(scene.after(30)));
    assert_eq!(stored(&scene, &third).await.wake_at, None);
    scene.clock.set(scene.after(30));
    assert_eq!(collected(&scene, &second).await, [second.event, third.event]);
}

pub async fn a_leader_that_fails_at_work_is_followed(scene: Scene) {
    let first = join(&scene, "42", |_| {}).await;
    let second = join(&scene, "42", |_| {}).await;
    scene.clock.set(scene.after(60));
    let due = claim(&scene).await;
    let leaves = vec![(first.id, scene.now())];
    end(&scene, due, RunStatus::Failed, Plan { leaves, ..Plan::default() }).await;
    assert_eq!(claim(&scene).await.run.id, second.id);
    assert_eq!(collected(&scene, &second).await, [second.event]);
}

pub async fn what_everybody_left_is_gone(scene: Scene) {
    let first = join(&scene, "42", |_| {}).await;
    scene.clock.set(scene.after(30));
    leave(&scene, &first).await;
    let second = join(&scene, "42", |_| {}).await;
    assert_eq!(stored(&scene, &second).await.wake_at, Some(scene.after(60)));
}

pub async fn a_window_goes_on_without_the_one_that_waited_in_it(scene: Scene) {
    let leading = |join: &mut Join| join.leading = Some(Duration::from_secs(60));
    join(&scene, "42", leading).await;
    let ends = scene.after(60);
    scene.clock.set(scene.after(30));
    let second = join(&scene, "42", leading).await;
    leave(&scene, &second).await;
    let third = join(&scene, "42", leading).await;
    assert_eq!(stored(&scene, &third).await.wake_at, Some(ends));
    scene.clock.set(ends);
    assert_eq!(collected(&scene, &third).await, [third.event]);
}

pub async fn a_run_that_is_left_out_joins_nothing(scene: Scene) {
    let (event, unknown) = (scene.event(), waiting(scene.run(&scene.event(), "42")));
    let joins = vec![joining(&scene, &unknown, |_| {})];
    scene.accept(&event, Plan { joins, ..Plan::default() }).await;
    let first = join(&scene, "42", |_| {}).await;
    let event = scene.event();
    let (run, again) = (waiting(scene.run(&event, "42")), waiting(scene.run(&event, "42")));
    let joins = [&run, &again].map(|run| joining(&scene, run, |_| {})).into();
    scene.accept(&event, Plan { runs: vec![run, again], joins, ..Plan::default() }).await;
    scene.clock.set(scene.after(60));
    assert_eq!(collected(&scene, &first).await, [first.event, event.id]);
}

pub async fn too_much_data_is_counted_and_left_out(scene: Scene) {
    let large = "x".repeat(MOST_ITEM_BYTES / 3);
    let mut leader = None;
    for _ in 0..4 {
        let mut event = scene.event();
        event.data = json!({ "text": large });
        let run = waiting(scene.run(&event, "42"));
        let joins = vec![joining(&scene, &run, |_| {})];
        scene.accept(&event, Plan { runs: vec![run.clone()], joins, ..Plan::default() }).await;
        leader.get_or_insert(run);
    }
    scene.clock.set(scene.after(60));
    let Collected::Closed { count, items } = collect(&scene, &leader.unwrap()).await else {
        panic!("it is over");
    };
    assert_eq!((count, items.len()), (4, 2));
}

pub async fn an_erased_person_waits_for_nothing(scene: Scene) {
    let first = join(&scene, "42", |_| {}).await;
    scene.store.put_users(vec![user(&scene, "42")]).await.unwrap();
    scene.store.erase_user(&"42".into()).await.unwrap();
    scene.clock.set(scene.after(60));
    nothing_is_due(&scene).await;
    let other = join(&scene, "42", |_| {}).await;
    assert_eq!(stored(&scene, &other).await.wake_at, Some(scene.after(60)));
    assert_eq!(stored(&scene, &first).await.status, RunStatus::Cancelled);
}

fn user(scene: &Scene, id: &str) -> nuncio::model::User {
    nuncio::model::User {
        id: id.into(),
        username: None,
        email: None,
        phone: None,
        first_name: None,
        last_name: None,
        locale: None,
        time_zone: None,
        role: None,
        data: serde_json::Map::new(),
        created_at: scene.now(),
        updated_at: scene.now(),
    }
}

use futures_util::future::join_all;
use jiff::Timestamp;
use nuncio::model::{
    Decision, Limits, Message, MessageId, MessageStatus, Preferences, Priority, TopicName, Verdict,
};
use nuncio::store::{
    Asking, Departed, Departure, DueMessage, Held, Once, Settlement, Spend, Spending,
};

use super::scene::{Scene, settlement};

const SOME: Limits = Limits { max_per_hour: Some(2), max_per_day: Some(3) };

fn spend(limits: Limits) -> Spend {
    Spend { user: "42".into(), limits, binding: true }
}

/// A message for user 42 that is claimed.
async fn claimed(scene: &Scene) -> DueMessage {
    scene.send("42", |_, _| {}).await;
    scene.claim_message().await
}

async fn depart(scene: &Scene, due: &DueMessage, spend: Spend) -> Departed {
    let shape = |departure: &mut Departure| departure.spend = Some(spend);
    scene.depart_with(due.message.id, due.fence, shape).await
}

async fn spending(scene: &Scene, message: MessageId) -> Spending {
    let (user, now) = ("42".into(), scene.now());
    let asking = Asking { user, message, priority: Priority::Medium, now };
    scene.store.spending(&asking).await.unwrap()
}

/// Puts a claimed message off until `due_at`, with the code of a gate.
async fn put_off(
    scene: &Scene,
    due: &DueMessage,
    due_at: Timestamp,
    code: &str,
    key: Option<&str>,
) {
    let held = Settlement {
        due_at: Some(due_at),
        code: Some(code.into()),
        held: Some(Held { gathers: key.map(Into::into) }),
        ..settlement(due.message.id, due.fence, MessageStatus::Pending)
    };
    assert!(scene.settle(held).await.is_some());
}

/// Ends a claimed message, as a stage does that says no.
async fn end(scene: &Scene, due: &DueMessage, status: MessageStatus) {
    let no = Decision::of_message(&due.message, scene.now(), Verdict::Drop, "expired", "no");
    let ended = Settlement { decisions: vec![no], ..settlement(due.message.id, due.fence, status) };
    assert!(scene.settle(ended).await.is_some());
}

pub async fn a_departure_spends_while_there_is_room(scene: Scene) {
    let first = claimed(&scene).await;
    assert_eq!(depart(&scene, &first, spend(SOME)).await, Departed::Left);
    scene.clock.set(scene.after(60));
    let second = claimed(&scene).await;
    assert_eq!(depart(&scene, &second, spend(SOME)).await, Departed::Left);
    let third = claimed(&scene).await;
    assert_eq!(depart(&scene, &third, spend(SOME)).await, Departed::OverBudget);
    let stored = scene.stored(third.message.id).await.message;
    assert_eq!((stored.status, stored.attempt), (MessageStatus::Leased, 0), "nothing was changed");
    let at = vec![second.message.created_at - jiff::SignedDuration::from_secs(60), scene.now()];
    assert_eq!(spending(&scene, third.message.id).await, Spending { at, ahead: 0 });

    let passes = Spend { binding: false, ..spend(SOME) };
    assert_eq!(depart(&scene, &third, passes).await, Departed::Left, "critical");
    scene.clock.set(scene.after(3600));
    let fourth = claimed(&scene).await;
    assert_eq!(depart(&scene, &fourth, spend(SOME)).await, Departed::OverBudget, "of the day");
    scene.clock.set(scene.after(23 * 3600));
    scene.store.recover(scene.now(), true, &|_, _| true).await.unwrap();
    let due = scene.claim_messages(9).await;
    let fourth = due.iter().find(|due| due.message.id == fourth.message.id).unwrap();
    assert_eq!(depart(&scene, fourth, spend(SOME)).await, Departed::Left, "a day later");
}

pub async fn concurrent_departures_never_pass_the_limit(scene: Scene) {
    for _ in 0..12 {
        scene.send("42", |_, _| {}).await;
    }
    let due = scene.claim_messages(12).await;
    let departures = due.into_iter().map(|due| {
        let store = scene.store.clone();
        let departure = Departure {
            message: due.message.id,
            fence: due.fence,
            provider: "smtp".into(),
            at: scene.now(),
            spend: Some(spend(SOME)),
            once: None,
            failover: None,
        };
        tokio::spawn(async move { store.depart(vec![departure]).await.unwrap()[0] })
    });
    let answers: Vec<_> = join_all(departures).await.into_iter().map(Result::unwrap).collect();
    let left = answers.iter().filter(|answer| **answer == Departed::Left).count();
    assert_eq!(left, 2);
    assert!(answers.iter().all(|answer| *answer != Departed::Withdrawn));
}

pub async fn a_message_spends_once_and_gives_back_what_it_did_not_use(scene: Scene) {
    let due = claimed(&scene).await;
    assert_eq!(depart(&scene, &due, spend(SOME)).await, Departed::Left);
    let retry = settlement(due.message.id, due.fence, MessageStatus::Pending);
    assert!(scene.settle(scene.tried(&due.message, retry)).await.is_some());
    let again = scene.claim_message().await;
    let unbound = Spend { binding: false, ..spend(SOME) };
    assert_eq!(depart(&scene, &again, unbound).await, Departed::Left);
    assert_eq!(spending(&scene, due.message.id).await.at.len(), 1);

    let waits = claimed(&scene).await;
    put_off(&scene, &waits, scene.after(600), "budget.hour", None).await;
    let failed = settlement(due.message.id, again.fence, MessageStatus::Failed);
    assert!(scene.settle(scene.tried(&again.message, failed)).await.is_some());
    assert_eq!(spending(&scene, due.message.id).await.at, []);
    assert_eq!(scene.claim_message().await.message.id, waits.message.id, "there is room again");
}

pub async fn a_limit_that_comes_later_counts_what_left_before(scene: Scene) {
    let due = claimed(&scene).await;
    assert_eq!(depart(&scene, &due, spend(Limits::default())).await, Departed::Left);
    let sent = settlement(due.message.id, due.fence, MessageStatus::Sent);
    assert!(scene.settle(sent).await.is_some());
    let said = Preferences { frequency_limits: Some(SOME), ..Preferences::default() };
    scene.store.put_preferences(&"42".into(), said).await.unwrap();
    assert_eq!(spending(&scene, due.message.id).await.at, [scene.now()]);
}

pub async fn those_put_off_are_counted_in_their_order(scene: Scene) {
    let mut all = Vec::new();
    for priority in [Priority::Low, Priority::High, Priority::Medium] {
        let message = scene.send("42", |_, message| message.priority = priority).await;
        all.push(message.id);
    }
    scene.send("43", |_, _| {}).await;
    for due in scene.claim_messages(9).await {
        put_off(&scene, &due, scene.after(60), "budget.hour", None).await;
    }
    let younger = scene.send("42", |_, message| message.priority = Priority::Medium).await;
    assert_eq!(spending(&scene, younger.id).await.ahead, 0, "none is due");
    scene.clock.set(scene.after(60));
    assert_eq!(spending(&scene, younger.id).await.ahead, 2);
    assert_eq!(spending(&scene, all[2]).await.ahead, 1);
    scene.claim_messages(9).await;
    assert_eq!(spending(&scene, younger.id).await.ahead, 2, "a lease changes nothing");
}

pub async fn a_change_of_wishes_asks_again(scene: Scene) {
    let due = claimed(&scene).await;
    put_off(&scene, &due, scene.after(600), "quiet_hours.held", None).await;
    assert!(scene.claim_messages(9).await.is_empty());
    scene.store.put_preferences(&"42".into(), Preferences::default()).await.unwrap();
    let again = scene.claim_message().await;
    put_off(&scene, &again, scene.after(600), "budget.day", None).await;
    scene.store.put_users(vec![super::user::user(&scene, "42")]).await.unwrap();
    let again = scene.claim_message().await;
    let retry = Settlement {
        due_at: Some(scene.after(600)),
        ..settlement(again.message.id, again.fence, MessageStatus::Pending)
    };
    assert!(scene.settle(retry).await.is_some());
    scene.store.put_users(vec![super::user::user(&scene, "42")]).await.unwrap();
    assert!(scene.claim_messages(9).await.is_empty(), "a retry is no wish of the user's");
}

pub async fn the_same_departs_once_in_its_window(scene: Scene) {
    let once = |scene: &Scene| Once {
        key: [7; 32],
        since: scene.now() - jiff::SignedDuration::from_mins(10),
        until: scene.after(600),
    };
    let try_once = async |due: &DueMessage| {
        let once = once(&scene);
        let shape = |departure: &mut Departure| departure.once = Some(once);
        scene.depart_with(due.message.id, due.fence, shape).await
    };
    let first = claimed(&scene).await;
    assert_eq!(scene.store.sent_like(&once(&scene)).await.unwrap(), None);
    assert_eq!(try_once(&first).await, Departed::Left);
    let like = scene.store.sent_like(&once(&scene)).await.unwrap();
    assert_eq!(like, Some((first.message.id, scene.now())));
    let second = claimed(&scene).await;
    assert_eq!(try_once(&second).await, Departed::Duplicate);
    assert_eq!(scene.status(second.message.id).await, MessageStatus::Leased);
    let failed = settlement(first.message.id, first.fence, MessageStatus::Failed);
    assert!(scene.settle(scene.tried(&first.message, failed)).await.is_some());
    assert_eq!(try_once(&second).await, Departed::Left, "the first was not sent after all");
    scene.clock.set(scene.after(600));
    let third = claimed(&scene).await;
    assert_eq!(try_once(&third).await, Departed::Left, "out of the window");
}

/// Three that wait for each other; the first leads.
async fn three_gathered(scene: &Scene) -> [Message; 3] {
    let mut all = Vec::new();
    for _ in 0..3 {
        let due = claimed(scene).await;
        put_off(scene, &due, scene.after(60), "quiet_hours.batched", Some("k")).await;
        all.push(due.message);
    }
    all.try_into().expect("they are three")
}

pub async fn what_is_gathered_has_one_leader(scene: Scene) {
    let [first, second, third] = three_gathered(&scene).await;
    assert_eq!(scene.status(first.id).await, MessageStatus::Pending);
    for told in [&second, &third] {
        let told = scene.stored(told.id).await.message;
        assert_eq!(told.status, MessageStatus::Suppressed);
        assert_eq!(told.code.as_deref(), Some("quiet_hours.batched"));
    }
    scene.clock.set(scene.after(60));
    let leader = scene.claim_message().await;
    assert!(leader.leads && leader.message.id == first.id);
    let told = scene.store.gathered(first.id).await.unwrap();
    let ids: Vec<_> = told.iter().map(|one| one.message.id).collect();
    assert_eq!(ids, [second.id, third.id]);
    assert!(told.iter().all(|one| one.run.id == one.message.run));
    assert!(told.iter().all(|one| one.event.id == one.message.event));
}

pub async fn nobody_joins_a_leader_that_is_on_its_way(scene: Scene) {
    let [first, ..] = three_gathered(&scene).await;
    scene.clock.set(scene.after(60));
    let leader = scene.claim_message().await;
    let late = claimed(&scene).await;
    put_off(&scene, &late, scene.after(60), "quiet_hours.batched", Some("k")).await;
    assert_eq!(scene.status(late.message.id).await, MessageStatus::Pending, "it leads itself");
    assert!(scene.depart(first.id, leader.fence).await);
    let retry = Settlement {
        due_at: Some(scene.after(600)),
        ..settlement(first.id, leader.fence, MessageStatus::Pending)
    };
    assert!(scene.settle(scene.tried(&leader.message, retry)).await.is_some());
    let later = claimed(&scene).await;
    put_off(&scene, &later, scene.after(60), "quiet_hours.batched", Some("k")).await;
    let told = scene.store.gathered(late.message.id).await.unwrap();
    assert_eq!(told[0].message.id, later.message.id, "the first one left before");
    assert_eq!(scene.store.gathered(first.id).await.unwrap().len(), 2);
}

pub async fn a_leader_put_off_again_may_join_another_with_all_it_led(scene: Scene) {
    let [first, ..] = three_gathered(&scene).await;
    scene.clock.set(scene.after(60));
    let leader = scene.claim_message().await;
    let other = claimed(&scene).await;
    put_off(&scene, &other, scene.after(60), "quiet_hours.batched", Some("k")).await;
    put_off(&scene, &leader, scene.after(60), "quiet_hours.batched", Some("k")).await;
    assert_eq!(scene.status(first.id).await, MessageStatus::Suppressed);
    assert_eq!(scene.store.gathered(first.id).await.unwrap().len(), 0);
    assert_eq!(scene.store.gathered(other.message.id).await.unwrap().len(), 3);
}

pub async fn a_leader_that_is_not_sent_sets_the_others_free(scene: Scene) {
    let [first, second, third] = three_gathered(&scene).await;
    scene.store.cancel(first.id, scene.now()).await.unwrap();
    let free: Vec<_> = scene.claim_messages(9).await.into_iter().map(|due| due.message).collect();
    assert_eq!(free.iter().map(|one| one.id).collect::<Vec<_>>(), [second.id, third.id]);
    assert!(free.iter().all(|one| one.code.is_none()));

    let [first, second, third] = three_gathered(&scene).await;
    scene.clock.set(scene.after(60));
    let leader = scene.claim_messages(9).await.into_iter().find(|due| due.message.id == first.id);
    end(&scene, &leader.unwrap(), MessageStatus::Expired).await;
    let free: Vec<_> =
        scene.claim_messages(9).await.into_iter().map(|due| due.message.id).collect();
    assert_eq!(free, [second.id, third.id]);

    let [first, second, _] = three_gathered(&scene).await;
    scene.clock.set(scene.after(60));
    let leader = scene.claim_messages(9).await.into_iter().find(|due| due.message.id == first.id);
    end(&scene, &leader.unwrap(), MessageStatus::Failed).await;
    assert_eq!(scene.status(second.id).await, MessageStatus::Suppressed, "a retry tells of them");
    scene.store.retry(first.id, scene.now()).await.unwrap();
    assert!(scene.claim_message().await.leads);
}

pub async fn a_run_remembers_its_topic(scene: Scene) {
    scene.send("42", |run, _| run.topic = Some(TopicName::from("shop:1"))).await;
    let due = scene.claim_message().await;
    assert_eq!(due.run.topic, Some("shop:1".into()));
}

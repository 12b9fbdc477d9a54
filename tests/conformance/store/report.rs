use nuncio::model::{
    Attempt, AttemptOutcome, Bounce, Expected, Fate, MessageId, MessageStatus, Reached, Report,
    RunStatus, Verdict,
};
use nuncio::store::Plan;

use super::scene::{Scene, settlement};
use super::wait::{due_runs, message as awaits, waiting};

/// A message that `smtp` took under the id `receipt`, and of which it is to report.
async fn taken(scene: &Scene, receipt: &str, delivery: bool) -> MessageId {
    let message = scene.send("42", |_, _| {}).await;
    take(scene, receipt, delivery).await;
    message.id
}

async fn take(scene: &Scene, receipt: &str, delivery: bool) {
    let due = scene.claim_message().await;
    assert!(scene.depart(due.message.id, due.fence).await);
    let mut done = settlement(due.message.id, due.fence, MessageStatus::Sent);
    done.attempt = Some(Attempt {
        message: due.message.id,
        number: 1,
        provider: "smtp".into(),
        started_at: scene.now(),
        finished_at: scene.now(),
        outcome: AttemptOutcome::Accepted,
        code: None,
        detail: None,
        receipt: Some(receipt.into()),
    });
    done.expected = Some(Expected { delivery, sent_to: sent_to() });
    scene.settle(done).await.expect("it is ours");
}

fn sent_to() -> Bounce {
    Bounce::of(&"email".into(), "ana@example.com")
}

fn report(scene: &Scene, receipt: &str, fate: Fate) -> Report {
    let reason = format!("smtp reports: {}", fate.as_str());
    Report { provider: "smtp".into(), receipt: receipt.into(), fate, at: scene.now(), reason }
}

pub async fn a_report_finds_its_message(scene: Scene) {
    let id = taken(&scene, "q-1", true).await;
    let found = scene.store.reported(&"smtp".into(), "q-1").await.unwrap().expect("it is known");
    assert_eq!((found.message.id, found.sent_to), (id, sent_to()));
    assert_eq!(scene.store.reported(&"other".into(), "q-1").await.unwrap(), None);
    assert_eq!(scene.store.reported(&"smtp".into(), "q-2").await.unwrap(), None);
    let unknown = report(&scene, "q-2", Fate::Delivered);
    assert!(!scene.store.report(&unknown).await.unwrap());
}

pub async fn a_report_moves_a_message_forward_alone(scene: Scene) {
    use Fate::{Bounced, Complained, Delivered};
    let id = taken(&scene, "q-1", true).await;
    for (fate, moves, status) in [
        (Delivered, true, MessageStatus::Delivered),
        (Delivered, false, MessageStatus::Delivered),
        (Bounced, true, MessageStatus::Bounced),
        (Delivered, false, MessageStatus::Bounced),
        (Complained, true, MessageStatus::Complained),
        (Bounced, false, MessageStatus::Complained),
        (Complained, false, MessageStatus::Complained),
    ] {
        let moved = scene.store.report(&report(&scene, "q-1", fate)).await.unwrap();
        assert_eq!((moved, scene.status(id).await), (moves, status), "{fate:?}");
    }
    let timeline = scene.store.timeline(id.0).await.unwrap().unwrap();
    let told: Vec<_> = timeline.decisions.iter().map(|made| (made.verdict, &*made.code)).collect();
    let expected = [
        (Verdict::Deliver, "report.delivered"),
        (Verdict::Fail, "report.bounced"),
        (Verdict::Deliver, "report.complained"),
    ];
    assert_eq!(told, expected);
    assert_eq!(scene.stored(id).await.message.code.as_deref(), Some("report.complained"));
}

/// Whether a run that waits for `state` of a message was woken: by the provider's yes, and by its
/// report.
async fn woken(scene: &Scene, receipt: &str, state: Reached, fate: Fate) -> [bool; 2] {
    let own = scene.event();
    let mut run = scene.run(&own, "42");
    run.status = RunStatus::Waiting;
    run.position = Some("1".into());
    let message = scene.message(&run, "email");
    let waits = vec![waiting(scene, &run, awaits(state))];
    let id = run.id;
    let plan = Plan { runs: vec![run], messages: vec![message], waits, ..Plan::default() };
    scene.accept(&own, plan).await;
    take(scene, receipt, true).await;
    let is_due = async || {
        let due = due_runs(scene).await;
        due.iter().any(|due| due.run.id == id)
    };
    let at_once = is_due().await;
    assert!(scene.store.report(&report(scene, receipt, fate)).await.unwrap());
    [at_once, is_due().await]
}

pub async fn a_delivery_to_be_reported_is_waited_for(scene: Scene) {
    use Fate::{Bounced, Delivered};
    for (number, (state, fate, expected)) in [
        (Reached::Delivered, Delivered, [false, true]),
        (Reached::Delivered, Bounced, [false, false]),
        (Reached::DeliveredOrLost, Delivered, [false, true]),
        (Reached::DeliveredOrLost, Bounced, [false, true]),
        (Reached::Ended, Delivered, [true, false]),
        (Reached::ReadOrLost, Delivered, [false, false]),
        (Reached::ReadOrLost, Bounced, [false, true]),
    ]
    .into_iter()
    .enumerate()
    {
        let found = woken(&scene, &format!("q-{number}"), state, fate).await;
        assert_eq!(found, expected, "{state:?} {fate:?}");
    }
}

pub async fn an_erased_message_is_reported_no_more(scene: Scene) {
    let user = super::user::user(&scene, "42");
    scene.store.put_users(vec![user]).await.unwrap();
    taken(&scene, "q-1", true).await;
    scene.store.erase_user(&"42".into()).await.unwrap().expect("there is one");
    assert_eq!(scene.store.reported(&"smtp".into(), "q-1").await.unwrap(), None);
    assert!(!scene.store.report(&report(&scene, "q-1", Fate::Bounced)).await.unwrap());
}

use std::sync::Arc;
use std::time::Duration;

use nuncio::dispatch::Installed;
use nuncio::model::{MessageId, MessageStatus};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::scene::{BY_OWN_HOOK, count, deliver, hook, hooks, messages, sink_pair, staged, told};
use crate::harness::sink::{Answer, Sink};
use crate::harness::stage::Stage;

type Work = Vec<(MessageId, JoinHandle<()>)>;

/// Turns the clock until all but `busy` of the workers are done.
async fn until_only(stage: &Stage, work: &Work, busy: usize) {
    while work.iter().filter(|(_, work)| !work.is_finished()).count() > busy {
        stage.clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
}

/// Lets the sink answer, and waits for everybody.
async fn release(signal: &Notify, work: Work) {
    for (_, work) in work {
        while !work.is_finished() {
            signal.notify_waiters();
            tokio::task::yield_now().await;
        }
        work.await.expect("it ends");
    }
}

async fn order(stage: &Stage, sink: &Sink) -> nuncio::model::EventId {
    stage.event("order.paid", json!({ "user": "42", "url": sink.url("/") })).await
}

#[tokio::test]
async fn a_host_that_hangs_holds_its_share_and_no_more() {
    let (hanging, well) = sink_pair().await;
    let signal = Arc::new(Notify::new());
    hanging.answer_always(Answer::status(200).after(&signal));
    let hook = Installed { concurrency: 8, ..hook("hook", None).await };
    let stage = staged(&[BY_OWN_HOOK], "webhook", vec![hook]).await;
    for _ in 0..30 {
        order(&stage, &hanging).await;
    }
    for _ in 0..10 {
        order(&stage, &well).await;
    }

    let work = deliver(&stage, 40).await;
    well.reached(10).await;
    hanging.reached(4).await;
    until_only(&stage, &work, 4).await;

    assert_eq!((hanging.count(), well.count()), (4, 10));
    let put_off: Vec<_> =
        messages(&stage).await.into_iter().filter(|one| one.attempts.is_empty()).collect();
    let waiting = put_off.iter().filter(|one| one.message.status == MessageStatus::Pending);
    assert_eq!(waiting.count(), 26, "they hold no worker");
    let held = put_off.iter().find(|one| one.message.status == MessageStatus::Pending);
    let held = held.expect("some").message.event;
    assert_eq!(told(&stage, held).await, ["hold provider.busy"]);
    hanging.clear();
    release(&signal, work).await;
    stage.live(Duration::from_secs(120)).await;
    assert_eq!(count(&stage, MessageStatus::Sent).await, 40);
}

#[tokio::test]
async fn a_provider_that_hangs_holds_as_many_workers_as_it_may_have_sends() {
    let (hanging, _) = sink_pair().await;
    let signal = Arc::new(Notify::new());
    hanging.answer_always(Answer::status(200).after(&signal));
    let hook = Installed { concurrency: 3, ..hook("hook", Some(hanging.url("/"))).await };
    let stage = hooks(vec![hook]).await;
    for _ in 0..20 {
        stage.event("order.paid", json!({ "user": "42", "order": "o-1" })).await;
    }
    let mut work = deliver(&stage, 10).await;
    hanging.reached(3).await;
    until_only(&stage, &work, 3).await;

    // Now that it is known to hang, nobody waits for it at all: the clock stands still.
    let later = deliver(&stage, 10).await;
    for (_, work) in later {
        work.await.expect("it ends");
    }
    assert_eq!(hanging.count(), 3);
    hanging.clear();
    work.retain(|(_, work)| !work.is_finished());
    release(&signal, work).await;
    stage.live(Duration::from_secs(120)).await;
    assert_eq!(count(&stage, MessageStatus::Sent).await, 20);
}

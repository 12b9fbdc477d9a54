use super::told;

told! {
    cancel_on_stops_the_runs_of_the_key_alone
    restart_on_stops_and_begins_again
    a_cancel_step_stops_other_runs
    one_call_may_begin_and_stop
    recipients_not_yet_looked_up_are_not_told
    an_event_to_come_is_stopped_before_its_moment
    by_hand_everything_of_a_key_is_stopped
    a_batch_goes_on_without_what_is_stopped
    a_wait_that_is_stopped_is_not_ended_by_its_event
}

mod story {
    use std::time::Duration;

    use nuncio::model::{MessageStatus, RunStatus};
    use nuncio::store::{MessageQuery, Stop};
    use serde_json::json;

    use crate::harness::stage::Stage;
    use crate::steps::Ground;

    const LATER: &str = "workflow: later
on: order.placed
key: event.data.order
cancel_on: order.cancelled
restart_on: order.moved
recipients: {user: event.data.user}
steps:
  - delay: 1h
  - send: email
    template: later
";
    const TEMPLATE: (&str, &str) =
        ("templates/later/email.hbs", "---\nsubject: later\n---\n{{event.data.order}}");

    async fn later(ground: Ground) -> Stage {
        ground.stage(&[("workflows/later.yaml", LATER), TEMPLATE]).await
    }

    fn bodies(stage: &Stage) -> Vec<String> {
        stage.sent().iter().map(|sent| sent.body.trim().to_owned()).collect()
    }

    fn order(stage: &Stage, key: &str) -> Stop {
        Stop {
            tenant: String::new(),
            workflow: None,
            key: key.into(),
            before: stage.clock.id(),
            except: None,
            at: stage.clock.now(),
            reason: "asked".into(),
            rule: None,
        }
    }

    pub async fn cancel_on_stops_the_runs_of_the_key_alone(ground: Ground) {
        let stage = later(ground).await;
        let first = stage.event("order.placed", json!({"order": 1, "user": 7})).await;
        stage.event("order.placed", json!({"order": 2, "user": 7})).await;
        stage.settle().await;
        stage.event("order.cancelled", json!({"order": 1})).await;
        stage.live(Duration::from_hours(2)).await;
        assert_eq!(bodies(&stage), ["2"]);
        let codes = stage.codes(first).await;
        assert_eq!(codes, ["delay", "cancelled"]);
        let record = stage.store.event(first).await.expect("answers").expect("known");
        assert_eq!(record.runs[0].status, RunStatus::Cancelled);
    }

    pub async fn restart_on_stops_and_begins_again(ground: Ground) {
        let stage = later(ground).await;
        stage.event("order.placed", json!({"order": 1, "user": 7})).await;
        stage.live(Duration::from_mins(50)).await;
        stage.event("order.moved", json!({"order": 1, "user": 8})).await;
        stage.live(Duration::from_hours(2)).await;
        let to: Vec<String> = stage.sent().into_iter().map(|sent| sent.to).collect();
        assert_eq!(to, ["eight@shop.example"]);
        assert_eq!(stage.sent()[0].at.to_string(), "2026-03-01T10:50:00Z");
    }

    pub async fn a_cancel_step_stops_other_runs(ground: Ground) {
        let cancels = "workflow: cancels
on: order.paid
steps:
  - cancel: {workflow: later, key: event.data.order}
";
        let files =
            [("workflows/later.yaml", LATER), ("workflows/cancels.yaml", cancels), TEMPLATE];
        let stage = ground.stage(&files).await;
        stage.event("order.placed", json!({"order": 1, "user": 7})).await;
        stage.event("order.placed", json!({"order": 2, "user": 7})).await;
        stage.event("order.paid", json!({"order": 1})).await;
        stage.live(Duration::from_hours(2)).await;
        assert_eq!(bodies(&stage), ["2"]);
    }

    pub async fn one_call_may_begin_and_stop(ground: Ground) {
        let stage = later(ground).await;
        let events = ["order.placed", "order.cancelled", "order.placed"].map(|name| {
            let event = json!({"name": name, "data": {"order": 1, "user": 7}});
            nuncio::ingest::Incoming::parse(event, usize::MAX).expect("its shape is sound")
        });
        let accepted = nuncio::pipeline::Accept::accept(&*stage.pipeline, events.into()).await;
        assert_eq!(accepted.expect("the store answers").len(), 3);
        stage.live(Duration::from_hours(2)).await;
        assert_eq!(bodies(&stage), ["1"], "only what was placed after the cancellation");
    }

    pub async fn recipients_not_yet_looked_up_are_not_told(ground: Ground) {
        let wide =
            LATER.replace("recipients: {user: event.data.user}", "recipients: {everyone: true}");
        let stage = ground.stage(&[("workflows/later.yaml", &wide), TEMPLATE]).await;
        let event = stage.event("order.placed", json!({"order": 1})).await;
        stage.event("order.cancelled", json!({"order": 1})).await;
        stage.live(Duration::from_hours(2)).await;
        assert!(stage.sent().is_empty());
        assert_eq!(stage.codes(event).await, ["cancelled"]);
    }

    pub async fn an_event_to_come_is_stopped_before_its_moment(ground: Ground) {
        let stage = later(ground).await;
        let event = json!({"name": "order.placed", "data": {"order": 1, "user": 7},
            "at": "2026-03-01T12:00:00Z"});
        stage.accept(event).await;
        stage.live(Duration::from_hours(1)).await;
        stage.event("order.cancelled", json!({"order": 1})).await;
        stage.live(Duration::from_hours(24)).await;
        assert!(stage.sent().is_empty());
    }

    pub async fn by_hand_everything_of_a_key_is_stopped(ground: Ground) {
        let held = LATER.replace("  - delay: 1h\n", "");
        let stage = ground.stage(&[("workflows/later.yaml", &held), TEMPLATE]).await;
        stage.event("order.placed", json!({"order": 1, "user": 7})).await;
        let stopped = stage.store.stop(order(&stage, "1")).await.expect("the store answers");
        assert_eq!((stopped.runs.len(), stopped.messages.len()), (0, 1), "{stopped:?}");
        let again = stage.store.stop(order(&stage, "1")).await.expect("the store answers");
        assert_eq!(again, nuncio::store::Stopped::default());
        stage.live(Duration::from_hours(2)).await;
        assert!(stage.sent().is_empty());
        let query = MessageQuery { limit: 10, ..MessageQuery::default() };
        let messages = stage.store.messages(&query).await.expect("the store answers");
        assert_eq!(messages[0].message.status, MessageStatus::Cancelled);
    }

    pub async fn a_batch_goes_on_without_what_is_stopped(ground: Ground) {
        let batch = LATER.replace("  - delay: 1h\n", "  - batch: {window: 10m, key: '\"all\"'}\n");
        let template = ("templates/later/email.hbs", "---\nsubject: later\n---\n{{count}}");
        let stage = ground.stage(&[("workflows/later.yaml", &batch), template]).await;
        for order in 1..=3 {
            stage.event("order.placed", json!({"order": order, "user": 7})).await;
            stage.settle().await;
        }
        let stopped = stage.store.stop(order(&stage, "1")).await.expect("the store answers");
        assert_eq!((stopped.runs.len(), stopped.batches.len()), (1, 1), "{stopped:?}");
        stage.live(Duration::from_hours(1)).await;
        assert_eq!(bodies(&stage), ["2"], "the other two, led by the second");
        let sent = &stage.sent()[0];
        assert_eq!(sent.at.to_string(), "2026-03-01T09:10:00Z");
    }

    pub async fn a_wait_that_is_stopped_is_not_ended_by_its_event(ground: Ground) {
        let wait =
            LATER.replace("  - delay: 1h\n", "  - wait_for: {event: order.paid, timeout: 2h}\n");
        let stage = ground.stage(&[("workflows/later.yaml", &wait), TEMPLATE]).await;
        stage.event("order.placed", json!({"order": 1, "user": 7})).await;
        stage.event("order.placed", json!({"order": 2, "user": 7})).await;
        stage.settle().await;
        stage.event("order.cancelled", json!({"order": 1})).await;
        stage.event("order.paid", json!({"order": 1})).await;
        stage.event("order.paid", json!({"order": 2})).await;
        stage.live(Duration::from_hours(3)).await;
        assert_eq!(bodies(&stage), ["2"]);
    }
}

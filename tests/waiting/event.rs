//! `wait_for` an event.

use nuncio::diagnostic::{Format, render_all};
use nuncio::model::{RunStatus, Verdict};
use serde_json::json;

use super::stage::{Ground, Stage, everywhere};

const SMS: (&str, &str) = ("templates/dunning/sms.hbs", "{{event.data.order}} is not paid\n");

/// "Unless it was paid meanwhile": by the workflow's key.
const DUNNING: &str = "workflow: dunning
on: order.placed
category: billing
key: event.data.order
recipients: [{ user: event.data.user }]
steps:
  - id: paid
    wait_for:
      event: [payment.received, refund.*]
      timeout: 3d
      on_match: stop
  - send: sms
    template: dunning
";

fn files(workflow: &'static str) -> [(&'static str, &'static str); 2] {
    [("workflows/dunning.yaml", workflow), SMS]
}

#[tokio::test]
async fn what_came_in_time_ends_the_wait() {
    everywhere(&files(DUNNING), |stage| async move {
        stage.user("42", true).await;
        let placed = stage.emit("order.placed", json!({"order": "a", "user": "42"})).await;
        let other = stage.emit("order.placed", json!({"order": "b", "user": "42"})).await;
        stage.pass("2h").await;
        let paid = stage.emit("payment.received", json!({"order": "a"})).await;
        assert_eq!(stage.status(placed).await, RunStatus::Finished);
        let step = stage.step(placed, "paid").await;
        assert_eq!(step["status"], "matched");
        assert_eq!(step["result"]["event"]["id"], json!(paid));
        let codes = stage.codes(placed, Verdict::Wait).await;
        assert_eq!(codes, ["wait_for", "wait_for.matched"]);
        // The other's key is another one, and so is an event that has no such field.
        stage.emit("payment.received", json!({"invoice": "b"})).await;
        assert_eq!(stage.status(other).await, RunStatus::Waiting);

        stage.pass("72h").await;
        assert_eq!(stage.left(), ["sms +33612345678"]);
        assert_eq!(stage.step(other, "paid").await, json!({"status": "timed_out"}));
        let codes = stage.codes(other, Verdict::Wait).await;
        assert_eq!(codes, ["wait_for", "wait_for.timeout"]);
    })
    .await;
}

#[tokio::test]
async fn a_glob_and_the_tenant_are_kept_to() {
    everywhere(&files(DUNNING), |stage| async move {
        stage.user("42", true).await;
        let order = json!({"order": "a", "user": "42"});
        let placed =
            stage.accept(vec![json!({"name": "order.placed", "data": order, "tenant": "north"})]);
        let placed = placed.await[0];
        stage.settle().await;
        stage.emit("refund.made", json!({"order": "a"})).await;
        assert_eq!(stage.status(placed).await, RunStatus::Waiting, "that was another tenant's");
        let refund = json!({"name": "refund.made", "data": {"order": "a"}, "tenant": "north"});
        stage.accept(vec![refund]).await;
        stage.settle().await;
        assert_eq!(stage.status(placed).await, RunStatus::Finished);
    })
    .await;
}

#[tokio::test]
async fn only_what_came_after_the_wait_began_counts() {
    everywhere(&files(DUNNING), |stage| async move {
        stage.user("42", true).await;
        let early = json!({"name": "payment.received", "data": {"order": "a"}});
        let place = json!({"name": "order.placed", "data": {"order": "a", "user": "42"}});
        let placed = stage.accept(vec![early.clone(), place.clone()]).await[1];
        stage.settle().await;
        assert_eq!(stage.status(placed).await, RunStatus::Waiting);
        // In one call, later is later.
        let mut again = place;
        again["data"]["order"] = json!("c");
        let mut paid = early;
        paid["data"]["order"] = json!("c");
        let placed = stage.accept(vec![again, paid]).await[0];
        stage.settle().await;
        assert_eq!(stage.status(placed).await, RunStatus::Finished);
    })
    .await;
}

#[tokio::test]
async fn an_event_to_come_ends_the_wait_at_its_moment() {
    everywhere(&files(DUNNING), |stage| async move {
        stage.user("42", true).await;
        let later = json!({"name": "payment.received", "data": {"order": "a"},
            "at": "2026-03-01T12:00:00Z"});
        stage.accept(vec![later]).await;
        let placed = stage.emit("order.placed", json!({"order": "a", "user": "42"})).await;
        stage.pass("2h").await;
        assert_eq!(stage.status(placed).await, RunStatus::Waiting);
        stage.pass("2h").await;
        assert_eq!(stage.status(placed).await, RunStatus::Finished);
        assert_eq!(stage.left(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_match_of_its_own_sees_both_events() {
    let workflow = "workflow: dunning
on: order.placed
category: billing
recipients: [{ user: event.data.user }]
steps:
  - id: paid
    wait_for:
      event: payment.received
      match: incoming.data.amount >= event.data.total && incoming.actor == recipient.id
      on_match:
        - set: { paid: steps.paid.result.event.data.amount }
        - send: sms
          template: dunning
  - stop: true
";
    everywhere(&files(workflow), |stage| async move {
        stage.user("42", true).await;
        let data = json!({"order": "a", "user": "42", "total": 10});
        let placed = stage.emit("order.placed", data).await;
        let pay = |actor: &str, amount: i64| {
            vec![json!({"name": "payment.received", "actor": actor, "data": {"amount": amount}})]
        };
        for (actor, amount) in [("42", 9), ("43", 10)] {
            stage.accept(pay(actor, amount)).await;
            stage.settle().await;
            assert_eq!(stage.status(placed).await, RunStatus::Waiting);
        }
        // Without a timeout it waits without end.
        stage.pass("8760h").await;
        assert_eq!(stage.status(placed).await, RunStatus::Waiting);
        stage.accept(pay("42", 12)).await;
        stage.settle().await;
        assert_eq!(stage.status(placed).await, RunStatus::Finished);
        assert_eq!(stage.left().len(), 1);
        assert_eq!(stage.run(placed).await.state["vars"]["paid"], 12);
    })
    .await;
}

#[tokio::test]
async fn a_key_of_many_runs_ends_all_their_waits() {
    let workflow = "workflow: dunning
on: order.placed
category: billing
key: event.data.order
recipients: [{ topic: '\"all\"' }]
steps:
  - wait_for: { event: payment.received, timeout: 1h, on_match: stop }
  - send: sms
    template: dunning
";
    let stage = Stage::new(Ground::Sqlite, true, &files(workflow)).await;
    for id in 0..1200 {
        stage.user(&id.to_string(), true).await;
        stage.store.subscribe(&"all".into(), &id.to_string().into()).await.expect("subscribes");
    }
    let placed = stage.emit("order.placed", json!({"order": "a"})).await;
    stage.emit("payment.received", json!({"order": "a"})).await;
    let timeline = stage.store.timeline(placed.0).await.expect("reads").expect("is there");
    assert_eq!(timeline.runs.len(), 1200);
    assert!(timeline.runs.iter().all(|run| run.status == RunStatus::Finished));
    assert_eq!(stage.left(), Vec::<String>::new());
}

/// The moments at which a process may die around the end of a wait.
#[tokio::test]
async fn a_wait_that_was_concluded_stays_so_through_a_crash() {
    let workflow = "workflow: dunning
on: order.placed
category: billing
key: event.data.order
recipients: [{ user: event.data.user }]
steps:
  - wait_for: { event: payment.received, timeout: 1h, on_match: stop }
  - send: sms
    template: dunning
";
    for ground in [Ground::Memory, Ground::Sqlite] {
        let stage = Stage::new(ground, false, &files(workflow)).await;
        stage.user("42", true).await;
        let order = |name: &str| json!({"order": name, "user": "42"});
        let (late, timely) = (
            stage.emit("order.placed", order("late")).await,
            stage.emit("order.placed", order("timely")).await,
        );
        // It was concluded without a match, and its worker died; then the event came.
        let run = stage.run(late).await;
        stage.store.conclude(run.id, &"0".into(), 0).await.expect("the store answers");
        stage.emit("payment.received", json!({"order": "late"})).await;
        // It was matched and concluded, and its worker died; then its time was over.
        stage.accept(vec![json!({"name": "payment.received", "data": order("timely")})]).await;
        let due = stage.store.claim_events(nuncio::store::Claim {
            now: stage.clock.now(),
            until: stage.clock.after(std::time::Duration::from_secs(60)),
            limit: 1,
        });
        stage.pipeline.expand(due.await.expect("claims").remove(0)).await;
        let run = stage.run(timely).await;
        stage.store.conclude(run.id, &"0".into(), 0).await.expect("the store answers");
        stage.pass("2h").await;
        assert_eq!(stage.left().len(), 1);
        assert_eq!(stage.codes(late, Verdict::Wait).await, ["wait_for", "wait_for.timeout"]);
        assert_eq!(stage.codes(timely, Verdict::Wait).await, ["wait_for", "wait_for.matched"]);
    }
}

#[test]
fn a_wait_that_nothing_can_end_is_refused() {
    let workflow = "workflow: w
on: a.b
recipients: [{ user: event.data.user }]
steps:
  - wait_for: { event: c.d }
  - wait_for: { message: { step: nowhere, state: read }, timeout: 1h }
  - wait_for: { event: 'c d', match: incoming.data.x == 1 }
";
    let folder = crate::check::folder(&[("workflows/w.yaml", workflow)]);
    let told = crate::check::load(folder.path()).diagnostics;
    let codes: Vec<_> = told.iter().map(|one| (one.code, one.line)).collect();
    let expected = [("wait_for.key", 5), ("step.unknown", 6), ("event.name", 7)];
    assert_eq!(codes, expected, "{}", render_all(&told, Format::Text { colour: false }));
}

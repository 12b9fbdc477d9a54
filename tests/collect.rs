//! Events that come together: `batch`, `digest` and `throttle`, from the event to the one message.

mod batch;
mod crash;
mod digest;
mod throttle;

use std::time::Duration;

use jiff::Timestamp;
use nuncio::explain::Row;
use nuncio::model::{EventId, Run, RunStatus};
use serde_json::{Value, json};

use super::check::{folder, load};
use super::harness::stage::{On, Stage};

const START: &str = "2026-03-01T09:00:00Z";

/// Every behaviour on every store.
macro_rules! on_both {
    ($($behaviour:ident)+) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    super::$behaviour(super::On::Memory).await;
                }
            )+
        }
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour(super::On::Sqlite).await;
                }
            )+
        }
    };
}
use on_both;

/// A workflow whose only step before the mail is `step`, and users 1 and 2.
async fn stage(on: On, step: &str) -> Stage {
    let workflow = format!(
        "workflow: w
on: order.paid
key: string(event.data.n)
recipients: [{{ user: event.data.user }}]
steps:
  - {step}
    id: together
  - send: email
    template: w
"
    );
    let files = [
        ("workflows/w.yaml", workflow.as_str()),
        ("templates/w/email.hbs", "---\nsubject: s\n---\nx\n"),
    ];
    let stage = Stage::new(on, &files).await;
    stage.put("1", Some("one@example.org"), Some("Europe/Paris")).await;
    stage.user("2", "two@example.org").await;
    stage
}

/// An event for user 1, and all that it makes due at once.
async fn paid(stage: &Stage, n: i64) -> EventId {
    told(stage, json!({ "user": "1", "n": n })).await
}

#[test]
fn what_could_never_be_collected_is_refused() {
    let steps = [
        "batch: { window: 10m, max_items: 10001 }",
        "batch: { window: 10m, max_window: 5m }",
        "digest: { cron: '@daily', min_items: 10001 }",
        "throttle: { limit: 10001, window: 1h }",
    ];
    let codes = steps.map(|step| {
        let text = format!("workflow: w\non: a\nsteps:\n  - {step}\n");
        let loaded = load(folder(&[("workflows/w.yaml", &text)]).path());
        loaded.diagnostics.iter().map(|one| one.code).collect::<Vec<_>>()
    });
    assert_eq!(codes, [["count.large"], ["batch.max_window"], ["count.large"], ["count.large"]]);
}

async fn told(stage: &Stage, data: Value) -> EventId {
    let event = stage.event("order.paid", data).await;
    stage.settle().await;
    event
}

async fn run(stage: &Stage, event: EventId) -> Run {
    let record = stage.store.event(event).await.unwrap().expect("the event is stored");
    record.runs.into_iter().next().expect("it has a run")
}

async fn status(stage: &Stage, event: EventId) -> RunStatus {
    run(stage, event).await.status
}

/// The numbers of the events that the run of `event` went on for, and how many it says they are.
async fn went_on_for(stage: &Stage, event: EventId) -> (u64, Vec<i64>) {
    let run = run(stage, event).await;
    let collected = &run.state["collected"];
    let items = collected["items"].as_array().cloned().unwrap_or_default();
    let numbers = items.iter().filter_map(|item| item["data"]["n"].as_i64()).collect();
    (collected["count"].as_u64().unwrap_or_default(), numbers)
}

/// Minutes after the start at which a mail left.
fn left(stage: &Stage) -> Vec<i64> {
    let start: Timestamp = START.parse().unwrap();
    let sent = stage.sent();
    sent.iter().map(|sent| sent.at.duration_since(start).as_secs() / 60).collect()
}

async fn row(stage: &Stage, event: EventId, code: &str) -> Option<Row> {
    stage.rows(event).await.into_iter().find(|row| row.code == code)
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

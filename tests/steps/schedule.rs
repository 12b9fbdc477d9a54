use super::told;

told! {
    a_message_leaves_at_each_moment
    moments_that_are_past_are_skipped_and_say_so
    loops_inside_loops_keep_their_messages_apart
}

mod story {
    use std::time::Duration;

    use serde_json::json;

    use crate::steps::Ground;

    const REMINDER: (&str, &str) = (
        "workflows/reminder.yaml",
        "workflow: reminder
on: visit.planned
recipients: {user: event.data.user}
steps:
  - schedule:
      before: event.data.starts_at
      by: [30m, 24h, 2h]
    steps:
      - send: email
        template: reminder
",
    );
    const TEMPLATE: (&str, &str) =
        ("templates/reminder/email.hbs", "---\nsubject: soon\n---\nIt begins.");

    fn times(stage: &crate::harness::stage::Stage) -> Vec<String> {
        stage.sent().iter().map(|sent| format!("{:.0}", sent.at)).collect()
    }

    pub async fn a_message_leaves_at_each_moment(ground: Ground) {
        let stage = ground.stage(&[REMINDER, TEMPLATE]).await;
        let data = json!({"user": 7, "starts_at": "2026-03-05T10:00:00Z"});
        let event = stage.event("visit.planned", data).await;
        stage.live(Duration::from_hours(24 * 7)).await;
        assert_eq!(
            times(&stage),
            ["2026-03-04T10:00:00Z", "2026-03-05T08:00:00Z", "2026-03-05T09:30:00Z"],
        );
        let codes = stage.codes(event).await;
        assert_eq!(codes.iter().filter(|code| *code == "schedule").count(), 3, "{codes:?}");
    }

    pub async fn moments_that_are_past_are_skipped_and_say_so(ground: Ground) {
        let stage = ground.stage(&[REMINDER, TEMPLATE]).await;
        let data = json!({"user": 7, "starts_at": "2026-03-01T10:00:00Z"});
        let event = stage.event("visit.planned", data).await;
        stage.live(Duration::from_hours(24)).await;
        assert_eq!(times(&stage), ["2026-03-01T09:30:00Z"]);
        let codes = stage.codes(event).await;
        assert_eq!(codes.iter().filter(|code| *code == "schedule.past").count(), 2, "{codes:?}");
    }

    pub async fn loops_inside_loops_keep_their_messages_apart(ground: Ground) {
        let nested = "workflow: reminder
on: visit.planned
recipients: {user: event.data.user}
steps:
  - schedule:
      before: event.data.starts_at
      by: [2h, 1h]
    steps:
      - schedule: {after: now, by: [1m, 2m]}
        steps:
          - send: email
            template: reminder
";
        let stage = ground.stage(&[("workflows/reminder.yaml", nested), TEMPLATE]).await;
        let data = json!({"user": 7, "starts_at": "2026-03-02T10:00:00Z"});
        let event = stage.event("visit.planned", data).await;
        stage.live(Duration::from_hours(48)).await;
        let timeline = stage.store.timeline(event.0).await.expect("answers").expect("known");
        let mut items: Vec<u32> = timeline.messages.iter().map(|message| message.item).collect();
        items.sort_unstable();
        assert_eq!(items, [0, 1, 2, 3], "{:?}", times(&stage));
    }
}

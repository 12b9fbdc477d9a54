use super::told;

told! {
    an_emitted_event_starts_other_workflows_once
    emit_may_name_whom_to_tell
    once_is_once_for_all_recipients
    events_in_a_row_end
    an_emitted_event_that_does_not_fit_says_so
}

mod story {
    use std::time::Duration;

    use serde_json::json;

    use crate::steps::Ground;

    const TELL: (&str, &str) = (
        "workflows/tell.yaml",
        "workflow: tell
on: order.due
recipients: {user: event.data.user}
steps:
  - send: email
    template: tell
",
    );
    const TEMPLATE: (&str, &str) =
        ("templates/tell/email.hbs", "---\nsubject: due\n---\n{{event.data.user}}");

    fn makes(steps: &str) -> String {
        format!(
            "workflow: makes\non: order.placed\nrecipients: {{list: event.data.users}}\nsteps:\n{steps}"
        )
    }

    async fn told(ground: Ground, steps: &str) -> Vec<String> {
        let makes = makes(steps);
        let stage = ground.stage(&[("workflows/makes.yaml", &makes), TELL, TEMPLATE]).await;
        stage.event("order.placed", json!({"users": [7, 8]})).await;
        stage.live(Duration::from_hours(1)).await;
        let mut told: Vec<String> = stage.sent().into_iter().map(|sent| sent.to).collect();
        told.sort();
        told
    }

    const SEVEN: &str = "seven@shop.example";
    const EIGHT: &str = "eight@shop.example";

    pub async fn an_emitted_event_starts_other_workflows_once(ground: Ground) {
        let steps = "  - emit: {event: order.due, data: {user: recipient.id}}\n";
        assert_eq!(told(ground, steps).await, [EIGHT, SEVEN]);
    }

    pub async fn emit_may_name_whom_to_tell(ground: Ground) {
        let steps = "  - emit: {event: order.due, data: {user: '\"8\"'}, to: recipient.id}\n";
        assert_eq!(told(ground, steps).await, [EIGHT, SEVEN]);
    }

    pub async fn once_is_once_for_all_recipients(ground: Ground) {
        let steps = "  - emit: {event: order.due, data: {user: '\"7\"'}, once: true}\n";
        assert_eq!(told(ground, steps).await, [SEVEN]);
    }

    pub async fn events_in_a_row_end(ground: Ground) {
        let again = "workflow: again\non: order.placed\nsteps:\n  - emit: {event: order.placed, \
                     data: {n: event.data.n + 1}}\n    if: event.data.n < 100\n";
        let stage = ground.stage(&[("workflows/again.yaml", again)]).await;
        stage.event("order.placed", json!({"n": 0})).await;
        stage.live(Duration::from_hours(1)).await;
        let counted = stage.store.versions_in_use().await.expect("the store answers");
        assert!(counted.is_empty(), "every run has ended: {counted:?}");
        let backlog = stage.store.backlog(stage.clock.now()).await.expect("the store answers");
        assert_eq!(backlog.events, 0);
    }

    pub async fn an_emitted_event_that_does_not_fit_says_so(ground: Ground) {
        let makes = makes("  - emit: {event: order.due, data: {user: '[1]'}}\n");
        let events =
            "order.due:\n  type: object\n  properties: {user: {type: [string, integer]}}\n";
        let stage = ground
            .stage(&[
                ("workflows/makes.yaml", &makes),
                ("workflows/events.yaml", events),
                TELL,
                TEMPLATE,
            ])
            .await;
        let event = stage.event("order.placed", json!({"users": [7]})).await;
        stage.live(Duration::from_hours(1)).await;
        assert!(stage.sent().is_empty());
        assert!(stage.codes(event).await.contains(&"event.schema".to_owned()));
    }
}

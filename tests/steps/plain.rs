use super::told;

told! {
    a_run_goes_on_after_its_delays
    local_time_is_the_recipients
    a_moment_that_has_passed_goes_on_at_once
    branches_take_the_first_arm_that_holds
    variables_outlive_a_wait
    a_step_that_fails_ends_its_run_unless_it_says_otherwise
    stop_ends_the_run
}

mod story {
    use std::time::Duration;

    use nuncio::model::RunStatus;
    use serde_json::json;

    use crate::harness::stage::Stage;
    use crate::steps::Ground;

    const TEMPLATE: (&str, &str) =
        ("templates/note/email.hbs", "---\nsubject: note\n---\n{{default vars.word \"-\"}}");

    async fn stage(ground: Ground, steps: &str) -> Stage {
        let workflow = format!(
            "workflow: note\non: note.made\nrecipients: {{user: '\"7\"'}}\nsteps:\n{steps}"
        );
        ground.stage(&[("workflows/note.yaml", &workflow), TEMPLATE]).await
    }

    fn sent(stage: &Stage) -> Vec<String> {
        let line = |sent: &nuncio::channel::capture::Captured| {
            format!("{:.0} {}", sent.at, sent.body.trim())
        };
        stage.sent().iter().map(line).collect()
    }

    const SEND: &str = "  - send: email\n    template: note\n";

    pub async fn a_run_goes_on_after_its_delays(ground: Ground) {
        let steps = format!("{SEND}  - delay: 90m\n{SEND}  - delay: {{for: PT24H}}\n{SEND}");
        let stage = stage(ground, &steps).await;
        stage.event("note.made", json!({})).await;
        stage.live(Duration::from_hours(48)).await;
        assert_eq!(
            sent(&stage),
            ["2026-03-01T09:00:00Z -", "2026-03-01T10:30:00Z -", "2026-03-02T10:30:00Z -"],
        );
    }

    pub async fn local_time_is_the_recipients(ground: Ground) {
        let steps = format!("  - delay: {{until: event.data.at}}\n{SEND}");
        let stage = stage(ground, &steps).await;
        stage.put("7", Some("seven@shop.example"), Some("America/New_York")).await;
        stage.event("note.made", json!({"at": "2026-03-10T08:00:00"})).await;
        stage.live(Duration::from_hours(24 * 14)).await;
        assert_eq!(sent(&stage), ["2026-03-10T12:00:00Z -"], "summer time began on the 8th");
    }

    pub async fn a_moment_that_has_passed_goes_on_at_once(ground: Ground) {
        let steps = format!("  - delay: {{before: event.data.at, by: 2h}}\n{SEND}");
        let stage = stage(ground, &steps).await;
        stage.event("note.made", json!({"at": "2026-03-01T10:00:00Z"})).await;
        stage.settle().await;
        assert_eq!(sent(&stage).len(), 1);
    }

    pub async fn branches_take_the_first_arm_that_holds(ground: Ground) {
        let steps = format!(
            "  - branch:
      - if: event.data.n > 10
        steps: [{{set: {{word: '\"much\"'}}}}]
      - if: event.data.n > 5
        steps: [{{set: {{word: '\"some\"'}}}}]
      - else:
          - set: {{word: '\"little\"'}}
{SEND}"
        );
        let stage = stage(ground, &steps).await;
        for n in [11, 7, 1] {
            stage.event("note.made", json!({"n": n})).await;
            stage.settle().await;
        }
        let words: Vec<String> = stage.sent().iter().map(|one| one.body.trim().into()).collect();
        assert_eq!(words, ["much", "some", "little"]);
    }

    pub async fn variables_outlive_a_wait(ground: Ground) {
        let steps = format!("  - set: {{word: '\"kept\"'}}\n  - delay: 1h\n{SEND}");
        let stage = stage(ground, &steps).await;
        stage.event("note.made", json!({})).await;
        stage.live(Duration::from_hours(2)).await;
        assert_eq!(sent(&stage), ["2026-03-01T10:00:00Z kept"]);
    }

    pub async fn a_step_that_fails_ends_its_run_unless_it_says_otherwise(ground: Ground) {
        for (word, sends, status) in [
            ("fail", 0, RunStatus::Failed),
            ("skip", 1, RunStatus::Finished),
            ("continue", 1, RunStatus::Finished),
        ] {
            let steps =
                format!("  - set: {{word: event.data.missing}}\n    on_error: {word}\n{SEND}");
            let stage = stage(ground, &steps).await;
            let event = stage.event("note.made", json!({})).await;
            stage.settle().await;
            assert_eq!(sent(&stage).len(), sends, "{word}");
            let record = stage.store.event(event).await.expect("answers").expect("known");
            assert_eq!(record.runs[0].status, status, "{word}");
            let rows = stage.rows(event).await;
            let failed = rows.iter().find(|row| row.code == "expression.failed");
            assert_eq!(failed.and_then(|row| row.step.clone()), Some("0".into()));
        }
    }

    pub async fn stop_ends_the_run(ground: Ground) {
        let steps = format!("{SEND}  - stop: {{if: event.data.enough}}\n{SEND}");
        let stage = stage(ground, &steps).await;
        stage.event("note.made", json!({"enough": true})).await;
        stage.settle().await;
        assert_eq!(sent(&stage).len(), 1);
        stage.event("note.made", json!({"enough": false})).await;
        stage.settle().await;
        assert_eq!(sent(&stage).len(), 3);
    }
}

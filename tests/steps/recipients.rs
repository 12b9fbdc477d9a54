use super::told;

told! {
    everyone_is_told_once_in_pages
    a_rule_may_ask_something_of_each_recipient
    somebody_named_by_several_rules_is_told_once
}

mod story {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use nuncio::model::EventStatus;
    use serde_json::json;

    use crate::steps::Ground;

    const TEMPLATE: (&str, &str) =
        ("templates/told/email.hbs", "---\nsubject: told\n---\n{{recipient.id}}");

    fn workflow(recipients: &str) -> String {
        format!(
            "workflow: told\non: news.out\nrecipients:\n{recipients}steps:\n  - send: email\n    template: told\n"
        )
    }

    pub async fn everyone_is_told_once_in_pages(ground: Ground) {
        let workflow = workflow("  - everyone: true\n  - user: '\"8\"'\n");
        let stage = ground.stage(&[("workflows/told.yaml", &workflow), TEMPLATE]).await;
        for number in 1000..1700 {
            stage.user(&number.to_string(), "all@shop.example").await;
        }
        let event = json!({"name": "news.out", "data": {}, "actor": 7});
        let event = stage.accept(event).await;
        let waiting = stage.store.event(event).await.expect("answers").expect("known");
        assert_eq!((waiting.status, waiting.planned), (EventStatus::Waiting, 0));
        stage.live(Duration::from_hours(1)).await;
        let record = stage.store.event(event).await.expect("answers").expect("known");
        assert_eq!((record.status, record.planned), (EventStatus::Planned, 701));
        assert_eq!(record.runs.len(), 100, "a record shows the first of them");
        let told: Vec<String> =
            stage.sent().iter().map(|sent| sent.body.trim().to_owned()).collect();
        let each: BTreeSet<&String> = told.iter().collect();
        assert_eq!((told.len(), each.len()), (701, 701), "700 and user 8, not the actor");
        assert!(!each.contains(&"7".to_owned()));
    }

    pub async fn a_rule_may_ask_something_of_each_recipient(ground: Ground) {
        let workflow = workflow("  - list: event.data.who\n    if: recipient.id != \"8\"\n");
        let stage = ground.stage(&[("workflows/told.yaml", &workflow), TEMPLATE]).await;
        let event = stage.event("news.out", json!({"who": [7, "8", 9]})).await;
        stage.live(Duration::from_hours(1)).await;
        assert_eq!(stage.sent().len(), 1);
        let mut codes = stage.codes(event).await;
        codes.sort();
        assert_eq!(codes, ["accepted", "recipient.if_false", "recipient.unknown"]);
    }

    pub async fn somebody_named_by_several_rules_is_told_once(ground: Ground) {
        let workflow =
            workflow("  - user: '\"7\"'\n  - list: '[\"7\", \"8\", \"8\"]'\n  - everyone: true\n");
        let stage = ground.stage(&[("workflows/told.yaml", &workflow), TEMPLATE]).await;
        stage.event("news.out", json!({})).await;
        stage.live(Duration::from_hours(1)).await;
        assert_eq!(stage.sent().len(), 2);
    }
}

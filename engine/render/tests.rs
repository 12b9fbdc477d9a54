use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Reason, RenderError, content, parcel};
use crate::model::{
    Event, Message, MessageStatus, Person, Planned, Preferences, Presence, Priority, Recipient,
    Run, RunStatus, User,
};
use crate::template::Set;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn planned(channel: &str) -> Planned {
    let (event, run) = (Uuid::from_u128(1).into(), Uuid::from_u128(2).into());
    let now = at("2026-11-21T10:00:00Z");
    Planned {
        message: Message {
            id: Uuid::from_u128(3).into(),
            event,
            run,
            step: "0".into(),
            item: 0,
            channel: channel.into(),
            recipient: Some("42".into()),
            workflow: "order-shipped".into(),
            category: "orders".into(),
            priority: Priority::High,
            lane: Default::default(),
            status: MessageStatus::Leased,
            due_at: now,
            expires_at: None,
            attempt: 0,
            forgiven: 0,
            provider: None,
            receipt: None,
            code: None,
            created_at: now,
        },
        run: Arc::new(Run {
            id: run,
            event,
            workflow: "order-shipped".into(),
            version: "v".into(),
            recipient: Some("42".into()),
            role: "buyer".into(),
            contact: None,
            priority: Priority::High,
            key: Some("7".into()),
            status: RunStatus::Running,
            position: None,
            wake_at: None,
            state: json!({ "vars": { "total": 12 }, "steps": {} }),
            started_at: now,
            sensitive: false,
            topic: None,
        }),
        event: Arc::new(Event {
            id: event,
            tenant: String::new(),
            name: "order.shipped".into(),
            actor: None,
            data: json!({ "order": "A \"1\"" }),
            at: now,
            received_at: now,
            idempotency_key: None,
            depth: 0,
            told: Vec::new(),
            sensitive: false,
            trace: None,
        }),
        recipient: Recipient {
            person: Some(Arc::new(person(now))),
            contact: None,
            role: "buyer".into(),
            presence: Presence { online: true, last_seen: Some(now) },
        },
    }
}

fn person(now: Timestamp) -> Person {
    let user = User {
        id: "42".into(),
        username: Some("ada".into()),
        email: Some("ada@example.org".into()),
        phone: None,
        first_name: Some("Ada".into()),
        last_name: Some("Lovelace".into()),
        locale: Some("fr-CA".into()),
        time_zone: Some("Africa/Tunis".into()),
        role: None,
        data: serde_json::Map::new(),
        created_at: now,
        updated_at: now,
    };
    Person {
        user,
        preferences: Preferences::default(),
        topics: vec!["news".into()],
        devices: Vec::new(),
        bounces: Vec::new(),
    }
}

fn templates(files: &[(&str, &str)]) -> Set {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let (set, problems) = Set::build(files.collect());
    assert_eq!(problems, []);
    set
}

fn body(channel: &str, source: &str, data: Option<Value>) -> Result<String, Reason> {
    let set = templates(&[(&format!("templates/a/b/{channel}.hbs"), source)]);
    let now = at("2026-11-21T10:00:05Z");
    content(&planned(channel), Some("a/b"), data, &set, "UTC", now).map(|content| content.body)
}

#[test]
fn a_template_sees_every_name_that_an_expression_sees() {
    let source = "{{event.id}} {{event.name}} {{event.data.order}} {{event.at}} [{{event.tenant}}]\n\
        {{recipient.id}} {{recipient.as}} {{recipient.name}} {{recipient.username}} \
        {{recipient.first_name}} {{recipient.last_name}} {{recipient.email}} {{recipient.locale}} \
        {{recipient.time_zone}} {{recipient.online}} {{recipient.last_seen}} \
        {{#each recipient.topics}}{{this}}{{/each}}\n\
        {{run.id}} {{run.priority}} {{run.key}} {{run.started_at}} {{vars.total}} {{data.link}} {{now}}";
    let body = body("sms", source, Some(json!({ "link": "/x" }))).expect("rendered");
    assert_eq!(
        body,
        "00000000-0000-0000-0000-000000000001 order.shipped A \"1\" 2026-11-21T10:00:00Z []\n\
         42 buyer Ada Lovelace ada Ada Lovelace ada@example.org fr-CA Africa/Tunis true \
         2026-11-21T10:00:00Z news\n\
         00000000-0000-0000-0000-000000000002 high 7 2026-11-21T10:00:00Z 12 /x \
         2026-11-21T10:00:05Z"
    );
}

#[test]
fn a_field_without_a_value_is_an_error_with_its_place() {
    let reason = body("sms", "Hello\n  {{recipient.phone}}", None).expect_err("no phone");
    let error = RenderError { message: Box::new(planned("sms").message), reason };
    assert_eq!(error.place().as_deref(), Some("templates/a/b/sms.hbs:2"));
    assert_eq!(error.to_string(), "templates/a/b/sms.hbs:2:3: missing field `recipient.phone`");
}

#[test]
fn a_contact_is_a_recipient_by_the_fields_the_event_gave() {
    let set = templates(&[("templates/a/b/sms.hbs", "{{recipient.name}} {{recipient.as}}")]);
    let mut planned = planned("sms");
    planned.recipient.person = None;
    planned.recipient.contact = Some(json!({ "name": "Bo", "email": "bo@example.org" }));
    let content = content(&planned, Some("a/b"), None, &set, "UTC", at("2026-11-21T10:00:05Z"));
    assert_eq!(content.map(|content| content.body), Ok("Bo buyer".to_owned()));
}

#[test]
fn a_webhook_without_a_template_carries_the_event_and_other_channels_fail() {
    let (set, now) = (Set::default(), at("2026-11-21T10:00:05Z"));
    let webhook = content(&planned("webhook"), None, None, &set, "UTC", now).expect("rendered");
    assert_eq!(webhook.kind, "json");
    assert_eq!(
        webhook.body,
        r#"{"type":"order.shipped","timestamp":"2026-11-21T10:00:00Z","data":{"order":"A \"1\""}}"#
    );
    for template in [None, Some("a/b")] {
        let reason =
            content(&planned("in_app"), template, None, &set, "UTC", now).expect_err("none");
        assert!(matches!(reason, Reason::NoTemplate(_)), "{reason:?}");
    }
}

#[test]
fn a_parcel_keeps_its_key_over_attempts() {
    let (planned, now) = (planned("email"), at("2026-11-21T10:00:05Z"));
    let first = parcel(&planned, "ada@example.org", crate::model::Content::default(), 1, now);
    let second = parcel(&planned, "ada@example.org", crate::model::Content::default(), 2, now);
    assert_eq!(first.idempotency_key, "00000000-0000-0000-0000-000000000003");
    assert_eq!(first.idempotency_key, second.idempotency_key);
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_eq!(first.extra["workflow"], "order-shipped");
    assert_eq!(first.extra["event"], "order.shipped");
    assert_eq!(first.extra["sent_at"], "2026-11-21T10:00:05Z");
}

#[test]
fn what_a_step_collected_is_a_count_and_its_items() {
    let source = "{{count}}:{{#each items}} {{slot}}={{data.slot}}@{{at}} {{id}} {{name}}{{/each}}";
    let set = templates(&[("templates/a/b/sms.hbs", source)]);
    let mut planned = planned("sms");
    let item = |id: &str, slot: &str| {
        json!({ "id": id, "name": "slot.added", "at": "2026-11-21T10:00:00Z", "actor": null,
            "data": { "slot": slot, "id": "not the event's" } })
    };
    let now = at("2026-11-21T10:00:05Z");
    let reason = content(&planned, Some("a/b"), None, &set, "UTC", now).expect_err("no batch");
    assert!(matches!(reason, Reason::Template(error) if error.message == "missing field `count`"));
    let mut run = Run::clone(&planned.run);
    run.state["collected"] =
        json!({ "count": 2, "items": [item("e1", "9:00"), item("e2", "9:30")] });
    planned.run = Arc::new(run);
    let content = content(&planned, Some("a/b"), None, &set, "UTC", now);
    assert_eq!(
        content.map(|content| content.body),
        Ok("2: 9:00=9:00@2026-11-21T10:00:00Z e1 slot.added 9:30=9:30@2026-11-21T10:00:00Z e2 \
            slot.added"
            .to_owned())
    );
}

#[test]
fn a_recipient_without_a_zone_reads_the_one_of_the_configuration() {
    let set = templates(&[("templates/a/b/sms.hbs", "{{time event.at}}")]);
    let mut planned = planned("sms");
    planned.recipient.person = None;
    let now = at("2026-11-21T10:00:05Z");
    let content = content(&planned, Some("a/b"), None, &set, "Asia/Tokyo", now);
    assert_eq!(content.map(|content| content.body), Ok("7:00 PM".to_owned()));
}

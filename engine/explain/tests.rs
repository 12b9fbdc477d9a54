use serde_json::json;

use super::*;
use crate::clock::Clock;
use crate::model::{Event, EventStatus, MessageStatus, Priority};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("it is in range")
}

fn message(event: &Event, clock: &Clock) -> Message {
    Message {
        id: clock.id(),
        event: event.id,
        run: clock.id(),
        step: "0".into(),
        item: 0,
        channel: "email".into(),
        recipient: Some("42".into()),
        workflow: "order-paid".into(),
        category: "billing".into(),
        priority: Priority::High,
        lane: Default::default(),
        status: MessageStatus::Sent,
        due_at: at(60),
        expires_at: None,
        attempt: 2,
        forgiven: 0,
        provider: Some("smtp".into()),
        receipt: Some("r-1".into()),
        code: None,
        created_at: at(0),
    }
}

fn timeline() -> Timeline {
    let clock = Clock::manual(at(0), 7);
    let event = Event {
        id: clock.id(),
        tenant: String::new(),
        name: "order.paid".into(),
        actor: None,
        data: json!({}),
        at: at(0),
        received_at: at(0),
        idempotency_key: None,
        depth: 0,
        told: Vec::new(),
        sensitive: false,
        trace: None,
    };
    let message = message(&event, &clock);
    let decision =
        |second, verdict, code, reason| decision(&message, second, verdict, code, reason);
    let attempt = |number, second, outcome, receipt: Option<&str>| Attempt {
        message: message.id,
        number,
        provider: "smtp".into(),
        started_at: at(second),
        finished_at: at(second),
        outcome,
        code: None,
        detail: None,
        receipt: receipt.map(Into::into),
    };
    let mut hold = decision(1, Verdict::Hold, "quiet_hours.held", "held until 08:00 UTC");
    hold.until = Some(at(60));
    let decisions = vec![
        hold,
        decision(60, Verdict::Send, "quiet_hours.held", "the night is over"),
        decision(60, Verdict::Retry, "attempts.retry", "the provider asked to come again"),
    ];
    let attempts = vec![
        attempt(1, 60, AttemptOutcome::Retry, None),
        attempt(2, 120, AttemptOutcome::Accepted, Some("r-1")),
    ];
    Timeline {
        event,
        status: EventStatus::Planned,
        runs: vec![],
        messages: vec![message],
        attempts,
        decisions,
    }
}

fn decision(
    message: &Message,
    second: i64,
    verdict: Verdict,
    code: &'static str,
    reason: &str,
) -> Decision {
    Decision {
        rule: Some("user 42: quiet_hours".into()),
        ..Decision::of_message(message, at(second), verdict, code, reason.to_owned())
    }
}

#[test]
fn one_send_row_an_attempt_among_the_decisions_in_the_order_of_time() {
    let rows = rows(&timeline());
    let seen: Vec<_> = rows.iter().map(|row| (row.decision.as_str(), &*row.code)).collect();
    let expected = [
        ("hold", "quiet_hours.held"),
        ("send", "retry"),
        ("retry", "attempts.retry"),
        ("send", "accepted"),
    ];
    assert_eq!(seen, expected);
    assert!(rows[1].reason.ends_with("; the night is over"), "{}", rows[1].reason);
    assert_eq!(rows[3].receipt.as_deref(), Some("r-1"));
}

#[test]
fn a_row_is_written_as_the_specification_says() {
    let timeline = timeline();
    let message = &timeline.messages[0];
    let row = serde_json::to_value(&rows(&timeline)[0]).expect("a row is JSON");
    let expected = json!({
        "at": "1970-01-01T00:00:01.000Z",
        "event": timeline.event.id,
        "workflow": "order-paid",
        "run": message.run,
        "recipient": "42",
        "step": "0",
        "channel": "email",
        "decision": "hold",
        "code": "quiet_hours.held",
        "reason": "held until 08:00 UTC",
        "rule": "user 42: quiet_hours",
        "until": "1970-01-01T00:01:00.000Z",
        "message": message.id,
    });
    assert_eq!(row, expected);
}

#[test]
fn people_get_columns() {
    let text = text(&timeline());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with("order.paid  "));
    let column = |line: &str| line.find("user 42");
    assert!(lines[1..].iter().all(|line| column(line) == column(lines[1])), "{text}");
    assert!(lines[4].ends_with("attempt 2 by smtp: accepted, receipt r-1"), "{text}");
}

#[test]
fn a_held_row_reads_as_a_person_would_say_it() {
    let row = Row {
        decision: Verdict::Hold,
        code: "quiet_hours.held".into(),
        reason: "by quiet hours of user 42".into(),
        until: Some(at(60)),
        recipient: Some("42".into()),
        ..rows(&timeline()).remove(0)
    };
    let zones = HashMap::from([(UserId::from("42"), "Africa/Tunis".to_owned())]);
    let look = Look { colour: false, zones: Some(&zones) };
    let told = table(std::slice::from_ref(&row), look);
    assert!(told.contains("held until 01:01 Africa/Tunis: by quiet hours of user 42"), "{told}");
    // A gate that has said until when is not contradicted.
    let reason = "held until 08:00 Africa/Tunis by quiet hours of user 42".to_owned();
    let told = table(&[Row { reason: reason.clone(), ..row }], look);
    assert!(told.contains(&format!(" {reason} [quiet_hours.held")), "{told}");
}

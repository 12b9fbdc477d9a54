use std::collections::BTreeSet;

use mail_parser::MessageParser;
use serde_json::{Value, json};

use super::{Clinic, for_the_patient, row};
use crate::harness::sink::Answer;
use crate::harness::smtp::Act;

#[tokio::test]
async fn a_retry_carries_the_same_ids() {
    let clinic = Clinic::open().await;
    let node = clinic.node().await;
    clinic.sink.answer(Answer::status(503));
    clinic.sink.answer(Answer::status(503));
    clinic.smtp.on("RCPT", Act::Say("451 4.3.0 come again"));

    let event = node.emit("appointment.booked", for_the_patient()).await;

    clinic.sink.reached(3).await;
    clinic.smtp.reached(1).await;
    let ended = |rows: &[Value]| {
        rows.iter().filter(|row| row["decision"] == "send" && row["outcome"] == "accepted").count()
            == 3
    };
    let rows = node.explained(&event, ended).await;
    let hook = row(&rows, "42", "webhook").expect("a row");
    let id = hook["message"].as_str().expect("an id");
    assert_eq!(clinic.sink.by_id(), [(id.to_owned(), 3)].into());
    let told: Vec<_> = rows
        .iter()
        .filter(|row| row["channel"] == "webhook")
        .map(|row| (row["decision"].as_str().expect("text"), row["code"].as_str().expect("text")))
        .collect();
    let attempt = ("send", "retry");
    let retry = ("retry", "provider.retry");
    assert_eq!(told, [attempt, retry, attempt, retry, ("send", "accepted")]);
    let failed = hook["reason"].as_str().expect("text");
    assert!(failed.contains("http.503"), "{failed}");
    let (_, message) = node.call("GET", &format!("/v1/messages/{id}"), None).await;
    assert_eq!(
        (&message["status"], &message["attempts"].as_array().map(Vec::len)),
        (&json!("sent"), &Some(3))
    );
    let mails = clinic.smtp.mails();
    let parsed = MessageParser::default().parse(&mails[0].data).expect("a mail");
    let mail = row(&rows, "42", "email").expect("a row");
    let expected = format!("{}@clinic.example", mail["message"].as_str().expect("an id"));
    assert_eq!((mails.len(), parsed.message_id()), (1, Some(expected.as_str())));
}

#[tokio::test]
async fn a_retry_comes_from_the_store_after_a_restart() {
    let clinic = Clinic::open().await;
    let node = clinic.node().await;
    clinic.sink.answer_always(Answer::status(503));
    let waits = "retry = [\"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\"]";
    let config = std::fs::read_to_string(clinic.installation.path("nuncio.toml")).expect("it is");
    let config: Vec<_> =
        config.lines().map(|line| if line.starts_with("retry") { waits } else { line }).collect();
    clinic.installation.write("nuncio.toml", &config.join("\n"));
    node.kill().await;
    let node = clinic.node().await;
    let event = node.emit("appointment.booked", for_the_patient()).await;
    let scheduled = |rows: &[Value]| {
        rows.iter().any(|row| row["channel"] == "webhook" && row["decision"] == "retry")
    };
    node.explained(&event, scheduled).await;
    node.kill().await;
    let before = clinic.sink.count();

    clinic.sink.answer_always(Answer::status(204));
    let node = clinic.installation.dev().await;

    clinic.sink.reached(before + 1).await;
    let sent = |rows: &[Value]| {
        rows.iter().any(|row| row["channel"] == "webhook" && row["outcome"] == "accepted")
    };
    let rows = node.explained(&event, sent).await;
    let ids: BTreeSet<_> = clinic.sink.by_id().into_keys().collect();
    let id = row(&rows, "42", "webhook").expect("a row")["message"].as_str().expect("an id");
    assert_eq!(ids, BTreeSet::from([id.to_owned()]));
}

#[tokio::test]
async fn a_list_of_waits_used_up_is_a_dead_letter() {
    let clinic = Clinic::open().await;
    let node = clinic.node().await;
    clinic.sink.answer_always(Answer::status(500));

    let event = node.emit("appointment.booked", for_the_patient()).await;

    let dead = |rows: &[Value]| rows.iter().any(|row| row["decision"] == "fail");
    let rows = node.explained(&event, dead).await;
    let failed = rows.iter().find(|row| row["decision"] == "fail").expect("a row");
    assert_eq!(
        (&failed["channel"], &failed["code"]),
        (&json!("webhook"), &json!("attempts.exhausted"))
    );
    assert_eq!(clinic.sink.count(), 5, "the first attempt and four more");
}
